/* The client of tagcast.h, from docs/protocol.md. Numbers on the wire are big-endian; times are in milliseconds. */
#include "tagcast.h"

#include <string.h>

#define BOUND_FIRST_MS 1000U /* of the random wait before a reconnect; it doubles */
#define BOUND_LAST_MS 30000U
#define LASTING_MS 30000U /* a connection that was active for so long begins at the first bound again */
#ifndef TAGCAST_CONNECT_MS
#define TAGCAST_CONNECT_MS 20000U /* from the first step of the transport to the answer to op 1 */
#endif
#define PING_DEFAULT_MS 25000U
#define PONG_MS 10000U    /* after op 9 something has to arrive within this time */
#define CLOSING_MS 2000U  /* for what is to be sent when leaving, and for the server to close */
#define CHUNKS_A_POLL 64U /* so that a flood of what is skipped does not hold up the caller */

#define HEAD_SIZE 8U      /* of a frame: 2, length 2, mask 4 */
#define ENTRY_SIZE 7U     /* before a message in the outbox: its length 2, state 1, ref 4 */
#define ELEMENTS_KEPT 7U  /* of a message: no op has more that matter here */
#define TAG_SIZE 255U
#define RECEIVE_LEAST 64U
#define SEND_LEAST 160U /* op 1 with everything but the token */
#define HEARTBEAT_REF UINT32_MAX

enum { STOPPED, WAITING, OPENING, REQUEST, RESPONSE, OPEN, ACTIVE, CLOSING }; /* of a client */
enum { OFF, DUE, SENT, ON, LATER, SETTLED, DOOMED };                          /* of a subscription, of a publish */
enum { FIRST, LENGTH, MORE_LENGTH, CONTENT };                                 /* of the frame that is being read */
/* What the upgrade was answered: each of the first three has to be there, and not the last. */
enum { HAS_UPGRADE = 1, HAS_CONNECTION = 2, HAS_ACCEPT = 4, HAS_OTHER = 8 };
/* Flags of a subscription: has wildcards; was active before; op 2 had `since`; its position was given up. */
enum { WILD = 1, BEGUN = 2, ASKED = 4, MISSING = 8 };

/* ---- Bytes ---- */

static uint32_t get(const uint8_t *bytes, unsigned size) {
  uint32_t value = 0;
  while (size-- > 0) value = value << 8 | *bytes++;
  return value;
}

static void put(uint8_t *bytes, unsigned size, uint32_t value) {
  while (size-- > 0) {
    bytes[size] = (uint8_t)value;
    value >>= 8;
  }
}

/* ---- MessagePack: writing ---- */

static void write_raw(tagcast_writer *writer, const void *bytes, size_t size) {
  if (writer->used <= writer->size && size <= writer->size - writer->used) {
    if (size > 0) memcpy(writer->bytes + writer->used, bytes, size);
    writer->used += size;
  } else {
    writer->used = writer->size + 1;
  }
}

/* A first byte, and behind it a number of as many bytes as `form` has above it. */
enum { W1 = 0x100, W2 = 0x200, W4 = 0x400, W8 = 0x800 };
static void write_head(tagcast_writer *writer, unsigned form, uint64_t number) {
  uint8_t bytes[9];
  unsigned width = form >> 8;
  bytes[0] = (uint8_t)form;
  put(bytes + 1, 4, (uint32_t)(number >> 32));
  put(bytes + (width == 8 ? 5 : 1), width < 4 ? width : 4, (uint32_t)number);
  write_raw(writer, bytes, width + 1);
}

/* A size in its shortest form: below `limit` in the byte `fix`; `middle` is the first byte of the form with 2 bytes. */
static void write_size(tagcast_writer *writer, size_t size, unsigned fix, size_t limit, unsigned middle) {
  if (size < limit) write_head(writer, fix | (unsigned)size, 0);
  else if (size <= 0xff && middle < 0xdc) write_head(writer, W1 + middle - 1, size);
  else if (size <= 0xffff) write_head(writer, W2 + middle, size);
  else write_head(writer, W4 + middle + 1, size);
}

void tagcast_write_nil(tagcast_writer *writer) { write_head(writer, 0xc0, 0); }

void tagcast_write_bool(tagcast_writer *writer, bool value) { write_head(writer, value ? 0xc3 : 0xc2, 0); }

void tagcast_write_uint(tagcast_writer *writer, uint64_t value) {
  if (value < 0x80) write_head(writer, (unsigned)value, 0);
  else if (value <= 0xff) write_head(writer, W1 + 0xcc, value);
  else if (value <= 0xffff) write_head(writer, W2 + 0xcd, value);
  else if (value <= 0xffffffff) write_head(writer, W4 + 0xce, value);
  else write_head(writer, W8 + 0xcf, value);
}

void tagcast_write_int(tagcast_writer *writer, int64_t value) {
  uint64_t bits = (uint64_t)value;
  if (value >= 0) tagcast_write_uint(writer, bits);
  else if (value >= -32) write_head(writer, (uint8_t)bits, 0);
  else if (value >= INT8_MIN) write_head(writer, W1 + 0xd0, bits);
  else if (value >= INT16_MIN) write_head(writer, W2 + 0xd1, bits);
  else if (value >= INT32_MIN) write_head(writer, W4 + 0xd2, bits);
  else write_head(writer, W8 + 0xd3, bits);
}

void tagcast_write_float(tagcast_writer *writer, float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  write_head(writer, W4 + 0xca, bits);
}

void tagcast_write_double(tagcast_writer *writer, double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  write_head(writer, W8 + 0xcb, bits);
}

void tagcast_write_str(tagcast_writer *writer, const void *bytes, size_t size) {
  write_size(writer, size, 0xa0, 32, 0xda);
  write_raw(writer, bytes, size);
}

void tagcast_write_bin(tagcast_writer *writer, const void *bytes, size_t size) {
  write_size(writer, size, 0, 0, 0xc5);
  write_raw(writer, bytes, size);
}

void tagcast_write_ext(tagcast_writer *writer, int8_t type, const void *bytes, size_t size) {
  unsigned fix = 0xd4;
  size_t fixed = 1;
  uint8_t byte = (uint8_t)type;
  while (fixed < size && fixed < 16) {
    fixed <<= 1;
    fix++;
  }
  if (size == fixed) write_head(writer, fix, 0);
  else write_size(writer, size, 0, 0, 0xc8);
  write_raw(writer, &byte, 1);
  write_raw(writer, bytes, size);
}

void tagcast_write_array(tagcast_writer *writer, uint32_t elements) { write_size(writer, elements, 0x90, 16, 0xdc); }

void tagcast_write_map(tagcast_writer *writer, uint32_t pairs) { write_size(writer, pairs, 0x80, 16, 0xde); }

static void write_text(tagcast_writer *writer, const char *text) { tagcast_write_str(writer, text, strlen(text)); }

/* ---- MessagePack: reading ---- */

/*
 * What a first byte says: the type, the number of bytes behind it that hold a number (the size, or the value itself),
 * and the size where it is part of the first byte.
 */
static tagcast_type head_of(uint8_t first, uint8_t *width, uint32_t *size) {
  /* From 0xc0 to 0xdf: the type in the upper four bits, the width in the lower four. */
  static const uint8_t heads[32] = {
      TAGCAST_NIL << 4,         TAGCAST_BAD << 4,         TAGCAST_BOOL << 4,       TAGCAST_BOOL << 4,
      TAGCAST_BIN << 4 | 1,     TAGCAST_BIN << 4 | 2,     TAGCAST_BIN << 4 | 4,    TAGCAST_EXT << 4 | 1,
      TAGCAST_EXT << 4 | 2,     TAGCAST_EXT << 4 | 4,     TAGCAST_FLOAT << 4 | 4,  TAGCAST_DOUBLE << 4 | 8,
      TAGCAST_UINT << 4 | 1,    TAGCAST_UINT << 4 | 2,    TAGCAST_UINT << 4 | 4,   TAGCAST_UINT << 4 | 8,
      TAGCAST_INT << 4 | 1,     TAGCAST_INT << 4 | 2,     TAGCAST_INT << 4 | 4,    TAGCAST_INT << 4 | 8,
      TAGCAST_EXT << 4,         TAGCAST_EXT << 4,         TAGCAST_EXT << 4,        TAGCAST_EXT << 4,
      TAGCAST_EXT << 4,         TAGCAST_STR << 4 | 1,     TAGCAST_STR << 4 | 2,    TAGCAST_STR << 4 | 4,
      TAGCAST_ARRAY << 4 | 2,   TAGCAST_ARRAY << 4 | 4,   TAGCAST_MAP << 4 | 2,    TAGCAST_MAP << 4 | 4};
  uint8_t head;
  *width = 0;
  *size = 0;
  if (first < 0x80) return TAGCAST_UINT;
  if (first >= 0xe0) return TAGCAST_INT;
  if (first >= 0xc0) {
    head = heads[first - 0xc0];
    *width = head & 15;
    if (first >= 0xd4 && first <= 0xd8) *size = 1U << (first - 0xd4);
    return (tagcast_type)(head >> 4);
  }
  *size = first & (first >= 0xa0 ? 31 : 15);
  return first >= 0xa0 ? TAGCAST_STR : first >= 0x90 ? TAGCAST_ARRAY : TAGCAST_MAP;
}

static bool has_bytes(tagcast_type type) { return type >= TAGCAST_STR && type <= TAGCAST_EXT; }

tagcast_type tagcast_read(tagcast_reader *reader, tagcast_value *value) {
  const uint8_t *at = reader->bytes;
  size_t left = reader->size;
  uint64_t number = 0;
  uint8_t width;
  tagcast_type type;

  memset(value, 0, sizeof *value);
  if (left == 0) return TAGCAST_BAD;
  type = head_of(*at, &width, &value->size);
  left--;
  if (type == TAGCAST_BAD || width > left) return TAGCAST_BAD;
  left -= width;
  if (width > 0) at++;
  else width = 1;
  /* The sign of the shorter forms is spread to the left. */
  if (type == TAGCAST_INT && *at >= 0x80) number = ~number;
  while (width-- > 0) number = number << 8 | *at++;
  if (type == TAGCAST_INT && number >> 63 == 0) type = TAGCAST_UINT;
  if (type == TAGCAST_BOOL) {
    value->as.truth = number == 0xc3;
  } else if (type == TAGCAST_FLOAT) {
    uint32_t bits = (uint32_t)number;
    memcpy(&value->as.single, &bits, sizeof bits);
  } else if (type < TAGCAST_STR) {
    memcpy(&value->as, &number, sizeof number);
  } else if (value->size == 0 && at - reader->bytes > 1) {
    value->size = (uint32_t)number;
  }
  if (type == TAGCAST_EXT) {
    if (left == 0) return TAGCAST_BAD;
    memcpy(&value->ext, at++, 1);
    left--;
  }
  if (has_bytes(type)) {
    if (value->size > left) return TAGCAST_BAD;
    value->bytes = at;
    at += value->size;
    left -= value->size;
  }
  reader->bytes = at;
  reader->size = left;
  return value->type = type;
}

bool tagcast_skip(tagcast_reader *reader) {
  tagcast_value value;
  size_t values = 1;
  while (values > 0) {
    tagcast_type type = tagcast_read(reader, &value);
    /* Each value takes a byte: what is more than is left is cut short. */
    if (type == TAGCAST_BAD || (type >= TAGCAST_ARRAY && value.size > reader->size)) return false;
    values--;
    if (type >= TAGCAST_ARRAY) values += value.size;
    if (type == TAGCAST_MAP) values += value.size;
    if (values > reader->size) return false;
  }
  return true;
}

static bool same(const uint8_t *bytes, size_t size, const char *text) {
  return size == strlen(text) && memcmp(bytes, text, size) == 0;
}

bool tagcast_is(const tagcast_value *value, const char *text) {
  return value->type == TAGCAST_STR && same(value->bytes, value->size, text);
}

/* An integer from 0; of what is something else, 0. */
static uint64_t read_uint64(tagcast_reader *reader) {
  tagcast_reader ahead = *reader;
  tagcast_value value;
  bool is_uint = tagcast_read(&ahead, &value) == TAGCAST_UINT;
  tagcast_skip(reader);
  return is_uint ? value.as.uint : 0;
}

/* The same up to 2^32 - 1. */
static uint32_t read_uint32(tagcast_reader *reader) {
  uint64_t value = read_uint64(reader);
  return value >> 32 == 0 ? (uint32_t)value : 0;
}

/* The bytes of a text; of what is something else, none. */
static tagcast_bytes read_text(tagcast_reader *reader) {
  tagcast_reader ahead = *reader;
  tagcast_value value;
  tagcast_bytes text = {NULL, 0};
  if (tagcast_read(&ahead, &value) == TAGCAST_STR) {
    text.bytes = value.bytes;
    text.size = value.size;
  }
  tagcast_skip(reader);
  return text;
}

/* The bytes of a whole value. */
static tagcast_bytes read_whole(tagcast_reader *reader) {
  tagcast_bytes whole = {reader->bytes, 0};
  tagcast_skip(reader);
  whole.size = (size_t)(reader->bytes - whole.bytes);
  return whole;
}

/* ---- What the handshake takes: SHA-1, Base64 ---- */

static uint32_t rotate(uint32_t value, unsigned bits) { return value << bits | value >> (32 - bits); }

static void sha1_block(uint32_t state[5], uint32_t w[16]) {
  static const uint32_t constants[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
  unsigned i, round = 0;
  for (i = 0; i < 80; i++) {
    uint32_t mixed = b ^ c ^ d, next;
    if (i == 20 || i == 40 || i == 60) round++;
    if (i >= 16) w[i & 15] = rotate(w[(i + 13) & 15] ^ w[(i + 8) & 15] ^ w[(i + 2) & 15] ^ w[i & 15], 1);
    if (round == 0) mixed = (b & c) | (~b & d);
    if (round == 2) mixed = (b & c) | (b & d) | (c & d);
    next = rotate(a, 5) + mixed + e + w[i & 15] + constants[round];
    e = d;
    d = c;
    c = rotate(b, 30);
    b = a;
    a = next;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
}

static char base64_digit(unsigned value) {
  unsigned digit = value + (value < 26 ? 'A' : value < 52 ? 'a' - 26U : value < 62 ? '0' - 52U : '+' - 62U);
  return (char)(value == 63 ? '/' : digit);
}

/* `text` has room for 4 bytes of each 3 begun, and a 0. */
static void base64(char *text, const uint8_t *bytes, unsigned size) {
  unsigned at, i;
  for (at = 0; at < size; at += 3) {
    uint32_t bits = 0;
    for (i = 0; i < 3; i++) bits = bits << 8 | (at + i < size ? bytes[at + i] : 0U);
    for (i = 0; i < 4; i++) *text++ = at + i > size ? '=' : base64_digit(bits >> (18 - 6 * i) & 63);
  }
  *text = 0;
}

/* What a server that speaks WebSocket makes of the key, which has 24 characters: 28, and a 0 (RFC 6455, 4.2.2). */
static void accept_of(char *text, const char *key) {
  static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}, words[16];
  uint8_t bytes[64];
  unsigned i;
  memcpy(bytes, key, 24);
  memcpy(bytes + 24, guid, 36);
  put(bytes + 60, 4, 0x80000000);
  for (i = 0; i < 16; i++) words[i] = get(bytes + 4 * i, 4);
  sha1_block(state, words);
  memset(words, 0, sizeof words);
  words[15] = 8 * 60;
  sha1_block(state, words);
  for (i = 0; i < 5; i++) put(bytes + 4 * i, 4, state[i]);
  base64(text, bytes, 20);
}

/* ---- Time and chance ---- */

static uint32_t now(const tagcast_client *client) {
  const tagcast_transport *transport = &client->config->transport;
  return transport->milliseconds(transport->context);
}

static bool passed(const tagcast_client *client, uint32_t since, uint32_t ms) { return now(client) - since >= ms; }

/* The generator sfc32 by Chris Doty-Humphrey. */
static uint32_t random_number(tagcast_client *client) {
  uint32_t *s = client->random, next = s[0] + s[1] + s[3]++;
  s[0] = s[1] ^ s[1] >> 9;
  s[1] = s[2] + (s[2] << 3);
  s[2] = rotate(s[2], 21) + next;
  return next;
}

/* A random time up to a bound, which doubles. */
static uint32_t random_wait(tagcast_client *client, uint32_t *bound) {
  uint32_t wait = (random_number(client) >> 16) * *bound >> 16;
  *bound = *bound * 2 < BOUND_LAST_MS ? *bound * 2 : BOUND_LAST_MS;
  return wait;
}

/* What the server could not do now is asked again after a while. */
static void retry_later(tagcast_client *client) {
  if (client->retrying) return;
  client->retrying = true;
  client->retry_since = now(client);
  client->retry_wait = random_wait(client, &client->retry_bound);
}

static uint32_t next_ref(tagcast_client *client) {
  client->ref = (client->ref + 1) & 0x7fffffff;
  if (client->ref == 0) client->ref = 1;
  return client->ref;
}

/* ---- Sending: messages are gathered in a frame, frames in the buffer ---- */

static void close_frame(tagcast_client *client) {
  uint8_t *frame = client->config->send + client->frame;
  uint32_t size = client->send_end - client->frame - HEAD_SIZE, i;
  unsigned head = size < 126 ? HEAD_SIZE - 2 : HEAD_SIZE;
  if (!client->framing) return;
  client->framing = false;
  frame[0] = 0x82;
  if (size < 126) {
    memmove(frame + head, frame + HEAD_SIZE, size);
    frame[1] = (uint8_t)(0x80 | size);
  } else {
    frame[1] = 0x80 | 126;
    put(frame + 2, 2, size);
  }
  put(frame + head - 4, 4, random_number(client));
  for (i = 0; i < size; i++) frame[head + i] ^= frame[head - 4 + (i & 3)];
  client->send_end = client->frame + head + size;
}

/* Where a message may be written; `commit` makes it part of the frame. */
static tagcast_writer begin_message(const tagcast_client *client) {
  uint32_t at = client->send_end + (!client->framing ? HEAD_SIZE : 0);
  tagcast_writer writer = {NULL, 0, 1};
  if (at >= client->config->send_size) return writer;
  writer.bytes = client->config->send + at;
  writer.size = client->config->send_size - at;
  writer.used = 0;
  return writer;
}

static bool commit(tagcast_client *client, const tagcast_writer *writer) {
  if (writer->used > writer->size) return false;
  if (!client->framing) {
    client->framing = true;
    client->frame = client->send_end;
    client->send_end += HEAD_SIZE;
  }
  client->send_end += (uint32_t)writer->used;
  return true;
}

/* A frame of the connection itself: close, pong. */
static bool send_control(tagcast_client *client, unsigned opcode, const uint8_t *bytes, unsigned size) {
  uint8_t *frame;
  unsigned i;
  close_frame(client);
  if (client->config->send_size - client->send_end < 6 + size) return false;
  frame = client->config->send + client->send_end;
  frame[0] = (uint8_t)(0x80 | opcode);
  frame[1] = (uint8_t)(0x80 | size);
  put(frame + 2, 4, random_number(client));
  for (i = 0; i < size; i++) frame[6 + i] = bytes[i] ^ frame[2 + (i & 3)];
  client->send_end += 6 + size;
  return true;
}

static bool send_close(tagcast_client *client) { return send_control(client, 8, (const uint8_t *)"\x03\xe8", 2); }

/* Writes what the transport takes. False: it is gone. */
static bool flush(tagcast_client *client) {
  const tagcast_transport *transport = &client->config->transport;
  uint8_t *send = client->config->send;
  if (client->state >= OPEN) close_frame(client);
  while (client->send_end > 0) {
    int32_t taken = transport->write(transport->context, send, client->send_end);
    if (taken < 0) return false;
    if (taken == 0) return true;
    client->send_end -= (uint32_t)taken;
    memmove(send, send + taken, client->send_end);
  }
  return true;
}

/* Whether a client may know by a code that to try again has no sense: of the server, of WebSocket, of HTTP. */
static bool is_final(uint32_t code) {
  if (code < 1000) return code != 100 && code != 429 && code < 500;
  if (code < 1016) return (1U << (code - 1000) & (1U << 2 | 1U << 3 | 1U << 7 | 1U << 8 | 1U << 10)) != 0;
  return code == 3003 || (code >= 3500 && code < 4000);
}

/* Ends the connection. `event` tells of it. */
static bool end(tagcast_client *client, tagcast_event *event, uint32_t code) {
  const tagcast_transport *transport = &client->config->transport;
  bool left = client->state == CLOSING;
  if (client->state == ACTIVE) {
    if (passed(client, client->since, LASTING_MS)) client->bound = BOUND_FIRST_MS;
    if (send_close(client)) flush(client);
  }
  transport->connect(transport->context, TAGCAST_CLOSE);
  client->chunk_at = client->chunk_size = 0;
  client->send_end = 0;
  client->framing = client->retrying = false;
  event->type = TAGCAST_STOPPED;
  event->code = left ? 1000 : code;
  client->state = STOPPED;
  if (left || is_final(code)) return true;
  event->type = TAGCAST_DISCONNECTED;
  event->wait_ms = client->retry_after > 0 ? client->retry_after : random_wait(client, &client->bound);
  client->wait = event->wait_ms;
  client->since = now(client);
  client->state = WAITING;
  return true;
}

/* ---- The outbox: entries of length, state, ref, message ---- */

/* The entry at a place, which moves behind it; NULL at the end. */
static uint8_t *next_entry(const tagcast_client *client, uint32_t *place) {
  uint8_t *entry;
  if (*place >= client->outbox_used) return NULL;
  entry = client->config->outbox + *place;
  *place += ENTRY_SIZE + get(entry, 2);
  return entry;
}

static void set_entries(tagcast_client *client, unsigned from, unsigned to) {
  uint32_t place = 0;
  uint8_t *entry;
  while ((entry = next_entry(client, &place)) != NULL) {
    if (entry[2] == from) entry[2] = (uint8_t)to;
  }
}

static void forget_settled(tagcast_client *client) {
  uint32_t place = 0, kept = 0;
  uint8_t *entry;
  while ((entry = next_entry(client, &place)) != NULL) {
    uint32_t length = ENTRY_SIZE + get(entry, 2);
    if (entry[2] == SETTLED) continue;
    memmove(client->config->outbox + kept, entry, length);
    kept += length;
  }
  client->outbox_used = kept;
}

static uint8_t *entry_of(const tagcast_client *client, uint32_t ref) {
  uint32_t place = 0;
  uint8_t *entry;
  while ((entry = next_entry(client, &place)) != NULL) {
    if (entry[2] == SENT && get(entry + 3, 4) == ref) break;
  }
  return entry;
}

/* The entry is done with; it stays until the next poll, as the event points into it. */
static bool settle(uint8_t *entry, tagcast_event *event, tagcast_event_type type) {
  tagcast_reader reader = {entry + ENTRY_SIZE, get(entry, 2)};
  tagcast_value value;
  entry[2] = SETTLED;
  event->type = type;
  event->ref = get(entry + 3, 4);
  tagcast_read(&reader, &value);
  tagcast_skip(&reader);
  tagcast_skip(&reader);
  event->tag = read_text(&reader);
  event->payload = read_whole(&reader);
  return true;
}

/* ---- What is sent on its own account ---- */

static void write_pair(tagcast_writer *writer, const char *key, const char *text) {
  write_text(writer, key);
  write_text(writer, text);
}

static bool send_hello(tagcast_client *client) {
  const tagcast_config *config = client->config;
  bool token = config->token_in_message, name = config->name != NULL, ping = config->ping_s != 0;
  tagcast_writer writer = begin_message(client);
  tagcast_write_array(&writer, 3);
  tagcast_write_uint(&writer, 1);
  tagcast_write_uint(&writer, client->connect_ref = next_ref(client));
  tagcast_write_map(&writer, (uint32_t)token + name + ping + config->no_echo);
  if (token) write_pair(&writer, "token", config->token);
  if (name) write_pair(&writer, "client", config->name);
  if (ping) {
    write_text(&writer, "ping");
    tagcast_write_uint(&writer, config->ping_s);
  }
  if (config->no_echo) {
    write_text(&writer, "echo");
    tagcast_write_bool(&writer, false);
  }
  return commit(client, &writer);
}

static bool send_subscribe(tagcast_client *client, tagcast_subscription *subscription) {
  bool since = subscription->epoch != 0 && (subscription->flags & WILD) == 0;
  tagcast_writer writer = begin_message(client);
  subscription->ref = next_ref(client);
  tagcast_write_array(&writer, since ? 4 : 3);
  tagcast_write_uint(&writer, 2);
  tagcast_write_uint(&writer, subscription->ref);
  write_text(&writer, subscription->pattern);
  if (since) {
    tagcast_write_map(&writer, 1);
    write_text(&writer, "since");
    tagcast_write_array(&writer, 2);
    tagcast_write_uint(&writer, subscription->epoch);
    tagcast_write_uint(&writer, subscription->offset);
  }
  if (!commit(client, &writer)) return false;
  subscription->state = SENT;
  subscription->lost_epoch = 0;
  subscription->flags &= (uint8_t)~ASKED;
  if (since) subscription->flags |= ASKED;
  return true;
}

static bool send_ping(tagcast_client *client, uint32_t ref) {
  tagcast_writer writer = begin_message(client);
  tagcast_write_array(&writer, 2);
  tagcast_write_uint(&writer, 9);
  tagcast_write_uint(&writer, ref);
  return commit(client, &writer);
}

static void set_subscriptions(const tagcast_client *client, unsigned from, unsigned to) {
  tagcast_subscription *subscription = client->subscriptions;
  for (; subscription != NULL; subscription = subscription->next) {
    if (from == OFF || subscription->state == from) subscription->state = (uint8_t)to;
  }
}

/* Whatever is due and has room. True: an event. */
static bool send_due(tagcast_client *client, tagcast_event *event) {
  tagcast_subscription *subscription = client->subscriptions;
  uint32_t place = 0;
  uint8_t *entry;
  if (client->pong_due && send_control(client, 10, client->control, client->control_size)) {
    client->pong_due = false;
  }
  if (client->retrying && passed(client, client->retry_since, client->retry_wait)) {
    client->retrying = false;
    set_subscriptions(client, LATER, DUE);
    set_entries(client, LATER, DUE);
  }
  if (client->hello_due) {
    if (!send_hello(client)) return false;
    client->hello_due = false;
  }
  for (; subscription != NULL; subscription = subscription->next) {
    if (subscription->state == DUE && !send_subscribe(client, subscription)) break;
  }
  while ((entry = next_entry(client, &place)) != NULL) {
    tagcast_writer writer;
    if (entry[2] == DOOMED) {
      event->code = 1009;
      return settle(entry, event, TAGCAST_REFUSED);
    }
    if (entry[2] != DUE) continue;
    writer = begin_message(client);
    write_raw(&writer, entry + ENTRY_SIZE, get(entry, 2));
    if (!commit(client, &writer)) break;
    entry[2] = SENT;
  }
  if (passed(client, client->heard, client->ping_ms) && !client->pinged) {
    if (send_ping(client, HEARTBEAT_REF)) client->pinged = true;
  }
  return false;
}

/* ---- Messages of the server ---- */

static tagcast_subscription *subscription_to(const tagcast_client *client, const tagcast_bytes *pattern) {
  tagcast_subscription *subscription = client->subscriptions;
  while (subscription != NULL && !same(pattern->bytes, pattern->size, subscription->pattern)) subscription = subscription->next;
  return subscription;
}

static tagcast_subscription *subscription_asked(const tagcast_client *client, uint32_t ref) {
  tagcast_subscription *subscription = client->subscriptions;
  while (subscription != NULL && (subscription->state != SENT || subscription->ref != ref)) {
    subscription = subscription->next;
  }
  return subscription;
}

static void unlink_subscription(tagcast_client *client, tagcast_subscription *gone) {
  tagcast_subscription **link = &client->subscriptions;
  while (*link != NULL && *link != gone) link = &(*link)->next;
  if (*link != NULL) *link = gone->next;
  gone->state = OFF;
}

/* What the map of a message says that matters here. */
enum { START, RECOVERED, REPEATED, PING, CODE, EPOCH, POSITION, PATTERN, KEYS };
typedef struct {
  uint64_t offset;
  uint64_t numbers[EPOCH + 1]; /* by key; true is 1 */
  tagcast_bytes pattern;
  bool has_start;
} tagcast_result;

static void read_result(tagcast_reader *reader, tagcast_result *result) {
  static const char keys[KEYS][10] = {"start", "recovered", "repeated", "ping", "code", "epoch", "position", "pattern"};
  tagcast_value map, key, value;
  memset(result, 0, sizeof *result);
  if (tagcast_read(reader, &map) != TAGCAST_MAP) return;
  for (; map.size > 0; map.size--) {
    tagcast_reader ahead = *reader, behind;
    unsigned i = 0;
    tagcast_read(&ahead, &key);
    tagcast_skip(reader);
    behind = ahead = *reader;
    tagcast_skip(reader);
    while (i < KEYS && !tagcast_is(&key, keys[i])) i++;
    tagcast_read(&ahead, &value);
    if (i <= EPOCH) result->numbers[i] = value.type == TAGCAST_BOOL ? value.as.truth : value.as.uint;
    if (i == START) result->has_start = true;
    if (i == POSITION && value.type == TAGCAST_ARRAY && value.size >= 2) {
      result->numbers[EPOCH] = read_uint32(&ahead);
      result->offset = read_uint64(&ahead);
    }
    if (i == PATTERN) result->pattern = read_text(&behind);
  }
}

/* Op 16 of op 2, by the rules of "Positions and recovery". */
static bool take_subscribed(tagcast_subscription *subscription, const tagcast_result *result, tagcast_event *event) {
  uint8_t flags = subscription->flags;
  bool asked = (flags & ASKED) != 0;
  event->type = TAGCAST_SUBSCRIBED;
  event->subscription = subscription;
  event->whole = (flags & (BEGUN | MISSING)) == 0;
  if (asked && (uint32_t)result->numbers[EPOCH] != 0) {
    event->whole = result->numbers[RECOVERED] != 0 && (flags & MISSING) == 0;
    if (result->numbers[RECOVERED] != 0) subscription->epoch = (uint32_t)result->numbers[EPOCH];
    else subscription->lost_epoch = (uint32_t)result->numbers[EPOCH];
  } else if (asked) {
    event->whole = false;
    subscription->epoch = 0;
  } else if ((flags & WILD) == 0) {
    subscription->epoch = (uint32_t)result->numbers[EPOCH];
    subscription->offset = result->has_start ? result->numbers[START] : result->offset;
  }
  subscription->state = ON;
  subscription->flags = (uint8_t)((flags & ~MISSING) | BEGUN);
  return true;
}

/* Op 16. */
static bool take_ok(tagcast_client *client, tagcast_reader *reader, tagcast_event *event) {
  uint32_t ref = read_uint32(reader);
  tagcast_subscription *subscription = subscription_asked(client, ref);
  uint8_t *entry = entry_of(client, ref);
  tagcast_result result;
  read_result(reader, &result);
  client->retry_bound = BOUND_FIRST_MS;
  if (subscription != NULL) return take_subscribed(subscription, &result, event);
  if (entry != NULL) {
    event->epoch = (uint32_t)result.numbers[EPOCH];
    event->offset = result.offset;
    event->repeated = result.numbers[REPEATED] != 0;
    return settle(entry, event, TAGCAST_ACKNOWLEDGED);
  }
  if (client->state == OPEN && ref == client->connect_ref) {
    if (result.numbers[PING] > 0) client->ping_ms = (uint32_t)result.numbers[PING] * 1000;
    client->state = ACTIVE;
    client->since = now(client);
    event->type = TAGCAST_ACTIVE;
    return true;
  }
  event->type = TAGCAST_PONG;
  event->ref = ref;
  return ref != HEARTBEAT_REF;
}

static bool may_succeed_later(uint32_t code) { return code == 100 || code == 111 || code == 115 || code == 116; }

/* The server ended or refused a subscription. */
static bool take_ended(tagcast_client *client, tagcast_subscription *subscription, bool again, tagcast_event *event) {
  if (again) {
    subscription->state = LATER;
    retry_later(client);
    return false;
  }
  unlink_subscription(client, subscription);
  event->type = TAGCAST_UNSUBSCRIBED;
  event->subscription = subscription;
  return true;
}

/* Op 17. */
static bool take_error(tagcast_client *client, tagcast_reader *reader, tagcast_event *event) {
  uint32_t ref = read_uint32(reader), code = read_uint32(reader);
  tagcast_subscription *subscription = subscription_asked(client, ref);
  uint8_t *entry = entry_of(client, ref);
  event->code = code;
  event->text = read_text(reader);
  if (subscription != NULL) {
    if (code != 103 || (subscription->flags & ASKED) == 0) {
      return take_ended(client, subscription, may_succeed_later(code), event);
    }
    /* The credential may not grant `history`: without it the position is of no use. */
    subscription->epoch = 0;
    subscription->flags |= MISSING;
    subscription->state = DUE;
    return false;
  }
  if (entry != NULL) {
    if (!may_succeed_later(code)) return settle(entry, event, TAGCAST_REFUSED);
    entry[2] = LATER;
    retry_later(client);
    return false;
  }
  if (client->state == OPEN && ref == client->connect_ref) {
    /* After these three op 22 follows, and says what to do. */
    return code != 115 && code != 117 && code != 118 && end(client, event, code);
  }
  event->type = TAGCAST_ERROR;
  event->ref = ref;
  return true;
}

/* Op 18. */
static bool take_message(tagcast_client *client, tagcast_reader *reader, tagcast_event *event) {
  tagcast_subscription *subscription;
  tagcast_bytes pattern = {NULL, 0};
  event->type = client->skipped > 0 ? TAGCAST_SKIPPED : TAGCAST_MESSAGE;
  event->size = client->skipped;
  event->tag = read_text(reader);
  event->offset = read_uint64(reader);
  event->payload = read_whole(reader);
  event->meta = read_whole(reader);
  if (event->meta.size <= 1) event->meta = pattern;
  pattern = read_text(reader);
  event->epoch = read_uint32(reader);
  subscription = subscription_to(client, pattern.bytes == NULL ? &event->tag : &pattern);
  if (subscription == NULL || subscription->state != ON) return false;
  event->subscription = subscription;
  if ((subscription->flags & WILD) == 0 && event->offset > 0 && subscription->epoch != 0) {
    if (event->offset <= subscription->offset) return false;
    subscription->offset = event->offset;
    event->epoch = subscription->epoch;
  }
  return true;
}

/* Op 20. */
static bool take_gap(tagcast_client *client, tagcast_reader *reader, tagcast_event *event) {
  tagcast_subscription *subscription;
  tagcast_result result;
  bool moves;
  event->type = TAGCAST_GAP;
  event->tag = read_text(reader);
  event->from = read_uint64(reader);
  moves = reader->size > 0 && *reader->bytes != 0xc0;
  event->offset = read_uint64(reader);
  read_result(reader, &result);
  event->code = (uint32_t)result.numbers[CODE];
  subscription = subscription_to(client, result.pattern.bytes == NULL ? &event->tag : &result.pattern);
  if (subscription == NULL) return false;
  event->subscription = subscription;
  if (moves && (subscription->flags & WILD) == 0) {
    if (result.numbers[EPOCH] == 0) result.numbers[EPOCH] = subscription->lost_epoch;
    if (result.numbers[EPOCH] != 0) subscription->epoch = (uint32_t)result.numbers[EPOCH];
    subscription->lost_epoch = 0;
    subscription->offset = event->offset;
    event->epoch = subscription->epoch;
  }
  return true;
}

/* Op 21. */
static bool take_unsubscribed(tagcast_client *client, tagcast_reader *reader, tagcast_event *event) {
  tagcast_bytes pattern = read_text(reader);
  tagcast_subscription *subscription = subscription_to(client, &pattern);
  event->code = read_uint32(reader);
  event->text = read_text(reader);
  return subscription != NULL &&
         take_ended(client, subscription, event->code >= 2500 && event->code < 3000, event);
}

/* Op 22. */
static bool take_disconnect(tagcast_client *client, tagcast_reader *reader, tagcast_event *event) {
  uint32_t code = read_uint32(reader);
  event->text = read_text(reader);
  client->retry_after = read_uint32(reader);
  return end(client, event, code);
}

/* What came of a byte, or of a look around: an event, or that the connection cannot go on. */
typedef enum { NOTHING, HAPPENED, BROKEN } outcome;

/* A whole message is in the buffer. True: an event. */
static bool take_whole(tagcast_client *client, tagcast_event *event) {
  tagcast_reader reader = {client->config->receive, client->used};
  memset(event, 0, sizeof *event);
  switch (read_uint32(&reader)) {
    case 16:
      return take_ok(client, &reader, event);
    case 17:
      return take_error(client, &reader, event);
    case 18:
      return take_message(client, &reader, event);
    case 20:
      return take_gap(client, &reader, event);
    case 21:
      return take_unsubscribed(client, &reader, event);
    case 22:
      return take_disconnect(client, &reader, event);
    default:
      return false; /* of a newer server */
  }
}

/* Keeps a byte of an element, or, where the element is too long for the buffer, nil in its stead. */
static void keep(tagcast_client *client, uint8_t byte) {
  uint8_t *receive = client->config->receive;
  client->size++;
  if (client->index >= ELEMENTS_KEPT || client->dropping) return;
  if (client->used < client->config->receive_size - ELEMENTS_KEPT) {
    receive[client->used++] = byte;
  } else {
    client->used = client->mark;
    receive[client->used++] = 0xc0;
    client->dropping = true;
  }
}

/* An element of the message has ended. */
static outcome next_element(tagcast_client *client, tagcast_event *event) {
  if (client->dropping && client->index == 3) client->skipped = client->size;
  client->dropping = false;
  client->mark = client->used;
  client->size = 0;
  client->values = 1;
  if (client->index < ELEMENTS_KEPT) client->index++;
  return --client->elements == 0 && take_whole(client, event) ? HAPPENED : NOTHING;
}

/*
 * Takes a byte of a message: the head of its array, and then element by element. `values` is how many values the
 * element is to have yet, `width` and `body` what the value is to have yet. BROKEN by what is no message.
 */
static outcome take_byte(tagcast_client *client, uint8_t byte, tagcast_event *event) {
  bool is_head = client->elements == 0;
  if (!is_head) keep(client, byte);
  if (client->body > 0) {
    client->body--;
  } else {
    if (client->width > 0) {
      client->number = client->number << 8 | byte;
      client->width--;
    } else {
      client->type = (uint8_t)head_of(byte, &client->width, &client->number);
      if (client->type == TAGCAST_BAD || (is_head && client->type != TAGCAST_ARRAY)) return BROKEN;
      if (!is_head) client->values--;
      if (client->type < TAGCAST_STR) {
        client->body = client->width;
        client->width = 0;
      }
    }
    if (client->width > 0) return NOTHING;
    if (is_head) {
      if (client->number == 0) return BROKEN;
      client->elements = client->number;
      client->values = 1;
      client->index = 0;
      client->used = client->mark = client->size = client->skipped = 0;
      return NOTHING;
    }
    if (has_bytes((tagcast_type)client->type)) {
      client->body = client->number;
      if (client->type == TAGCAST_EXT && ++client->body == 0) return BROKEN;
    } else if (client->type >= TAGCAST_ARRAY) {
      uint32_t room = UINT32_MAX - client->values;
      if (client->type == TAGCAST_MAP) room >>= 1;
      if (client->number > room) return BROKEN;
      client->values += client->type == TAGCAST_MAP ? client->number * 2 : client->number;
    }
  }
  return client->body == 0 && client->values == 0 ? next_element(client, event) : NOTHING;
}

/* ---- Frames of the server ---- */

static outcome frame_ended(tagcast_client *client, tagcast_event *event) {
  if (client->opcode == 9) client->pong_due = true;
  if (client->opcode == 8) {
    unsigned told = client->control_size < 2 ? 0 : 2;
    uint32_t code = told == 0 ? 1005 : get(client->control, 2);
    if (code == 1009) set_entries(client, SENT, DOOMED); /* one of them was too much for somebody: not again */
    event->text.bytes = client->control + told;
    event->text.size = client->control_size - told;
    end(client, event, code);
    return HAPPENED;
  }
  /* No message spans frames. */
  if (client->opcode > 8 || client->fragmented || client->elements + client->width == 0) return NOTHING;
  return BROKEN;
}

static outcome take_frame(tagcast_client *client, uint8_t byte, tagcast_event *event) {
  outcome came = NOTHING;
  switch (client->stage) {
    case FIRST:
      client->stage = LENGTH;
      client->opcode = byte & 15;
      if (client->opcode >= 8) {
        client->control_size = 0;
        client->pong_due = false;
        return byte >= 0x88 && byte <= 0x8a ? NOTHING : BROKEN;
      }
      byte ^= client->fragmented ? 0 : 2;
      client->fragmented = byte == 0;
      return (byte & 0x7f) == 0 ? NOTHING : BROKEN;
    case LENGTH:
      client->stage = CONTENT;
      client->left = byte;
      if (byte < 126) break;
      if (byte >= 128 || client->opcode >= 8) return BROKEN;
      client->stage = MORE_LENGTH;
      client->left = 0;
      client->length_bytes = byte == 126 ? 2 : 8;
      return NOTHING;
    case MORE_LENGTH:
      if (client->left >> 24 != 0) return BROKEN;
      client->left = client->left << 8 | byte;
      if (--client->length_bytes > 0) return NOTHING;
      client->stage = CONTENT;
      break;
    default:
      client->left--;
      if (client->opcode >= 8) client->control[client->control_size++] = byte;
      else came = take_byte(client, byte, event);
  }
  if (client->left > 0 || client->stage != CONTENT) return came;
  /* After an event nothing of the frame can be cut short, as it came at the end of a message. */
  client->stage = FIRST;
  return came == NOTHING ? frame_ended(client, event) : came;
}

/* ---- The upgrade ---- */

static uint8_t lower(uint8_t byte) { return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte; }

/* Whether a text begins with another, which is in lower case. */
static bool begins(const uint8_t *text, const char *start) {
  while (*start != 0 && lower(*text) == (uint8_t)*start) {
    text++;
    start++;
  }
  return *start == 0;
}

/* Puts as much of the request into the buffer as it takes. False: all of it was put there before. */
static bool fill_request(tagcast_client *client) {
  /* Bytes from 1 to 5 stand for texts. */
  static const char request[] =
      "GET \1 HTTP/1.1\r\nHost: \2\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Protocol: tagcast.v1.msgpack\r\nSec-WebSocket-Key: \3\4\5\r\n\r\n";
  const tagcast_config *config = client->config;
  const char *texts[5];
  texts[0] = config->path;
  texts[1] = config->host;
  texts[2] = (const char *)client->control;
  texts[3] = texts[4] = "";
  if (!config->token_in_message) {
    texts[3] = "\r\nAuthorization: Bearer ";
    texts[4] = config->token;
  }
  while (request[client->piece] != 0 && client->send_end < config->send_size) {
    char byte = request[client->piece];
    if (byte < 6) byte = texts[byte - 1][client->piece_at++];
    else client->piece++;
    if (byte == 0) {
      client->piece++;
      client->piece_at = 0;
    } else {
      config->send[client->send_end++] = (uint8_t)byte;
    }
  }
  return client->send_end > 0;
}

/* A line of the answer, ended by 0. */
static void take_field(tagcast_client *client) {
  static const char names[] = "upgrade:\0connection:\0sec-websocket-accept:\0sec-websocket-extensions:\0retry-after:\0";
  const char *name = names;
  const uint8_t *line = client->config->receive, *value;
  char accept[29];
  unsigned i = 0;
  for (; *name != 0 && !begins(line, name); i++) name += strlen(name) + 1;
  if (*name == 0) return;
  for (value = line + strlen(name); *value == ' ' || *value == '\t';) value++;
  if (i < 2) {
    while (*value != 0 && !begins(value, i == 0 ? "websocket" : "upgrade")) value++;
    if (*value != 0) client->answer |= i == 0 ? HAS_UPGRADE : HAS_CONNECTION;
  }
  if (i == 2) {
    accept_of(accept, (const char *)client->control);
    if (memcmp(value, accept, 28) == 0) client->answer |= HAS_ACCEPT;
  }
  if (i == 3) client->answer |= HAS_OTHER; /* none was asked for */
  if (i == 4) {
    uint32_t seconds = 0;
    while (*value >= '0' && *value <= '9' && seconds < 100000) seconds = seconds * 10 + (*value++ - (uint32_t)'0');
    client->retry_after = seconds * 1000;
  }
}

/* The upgrade was answered. */
static outcome upgraded(tagcast_client *client, tagcast_event *event) {
  if (client->number != 101) {
    end(client, event, client->number);
    return HAPPENED;
  }
  client->retry_after = 0;
  if (client->answer != (HAS_UPGRADE | HAS_CONNECTION | HAS_ACCEPT)) return BROKEN;
  client->state = OPEN;
  client->hello_due = true;
  client->used = 0;
  client->number = 0;
  client->ping_ms = client->config->ping_s > 0 ? client->config->ping_s * 1000U : PING_DEFAULT_MS;
  client->retry_bound = BOUND_FIRST_MS;
  set_subscriptions(client, OFF, DUE);
  set_entries(client, SENT, DUE);
  set_entries(client, LATER, DUE);
  return NOTHING;
}

/* A byte of the answer to the upgrade. What a line has beyond the buffer is not looked at. */
static outcome take_http(tagcast_client *client, uint8_t byte, tagcast_event *event) {
  uint8_t *line = client->config->receive;
  if (byte != '\n') {
    if (client->used < client->config->receive_size - 1) line[client->used++] = byte;
    return NOTHING;
  }
  if (client->used > 0 && line[client->used - 1] == '\r') client->used--;
  line[client->used] = 0;
  if (client->number == 0) {
    if (client->used < 12 || !begins(line, "http/1.")) return BROKEN;
    client->number = (line[9] - 48U) * 100 + (line[10] - 48U) * 10 + (line[11] - 48U);
    if (client->number < 101 || client->number > 599) return BROKEN;
  } else if (client->used == 0) {
    return upgraded(client, event);
  } else {
    take_field(client);
  }
  client->used = 0;
  return NOTHING;
}

/* ---- The client ---- */

static void begin_connection(tagcast_client *client) {
  uint8_t key[16];
  unsigned i;
  client->state = OPENING;
  client->since = client->heard = now(client);
  client->pong_due = client->hello_due = client->pinged = client->fragmented = client->dropping = false;
  client->retry_after = client->left = 0;
  client->elements = client->values = client->body = client->number = client->used = 0;
  client->piece_at = client->piece = client->answer = 0;
  client->stage = FIRST;
  client->width = 0;
  for (i = 0; i < 4; i++) put(key + 4 * i, 4, random_number(client));
  base64((char *)client->control, key, sizeof key);
}

/* What is to be done without anything having arrived. True: an event. */
static outcome work(tagcast_client *client, tagcast_event *event) {
  const tagcast_transport *transport = &client->config->transport;
  if (client->state == WAITING) {
    if (!passed(client, client->since, client->wait)) return NOTHING;
    begin_connection(client);
    if (transport->connect(transport->context, TAGCAST_OPEN) < 0) return BROKEN;
  }
  if (client->state == OPENING) {
    int reached = transport->connect(transport->context, TAGCAST_PROCEED);
    if (reached < 0) return BROKEN;
    if (reached > 0) client->state = REQUEST;
  }
  if (client->state == REQUEST) {
    uint32_t before = 0;
    while (fill_request(client) && client->send_end != before) {
      before = client->send_end;
      if (!flush(client)) return BROKEN;
    }
    if (client->send_end == 0) client->state = RESPONSE;
  }
  if (client->state >= OPENING && client->state <= OPEN && passed(client, client->since, TAGCAST_CONNECT_MS)) {
    return BROKEN;
  }
  if (client->state == OPEN || client->state == ACTIVE) {
    if (send_due(client, event)) return HAPPENED;
    if (!flush(client) || passed(client, client->heard, client->ping_ms + PONG_MS)) return BROKEN;
  }
  return client->state == CLOSING && (!flush(client) || passed(client, client->since, CLOSING_MS)) ? BROKEN : NOTHING;
}

bool tagcast_poll(tagcast_client *client, tagcast_event *event) {
  const tagcast_transport *transport = &client->config->transport;
  unsigned chunks = CHUNKS_A_POLL;
  outcome came = NOTHING;
  memset(event, 0, sizeof *event);
  forget_settled(client);
  while (came == NOTHING) {
    if (client->chunk_at < client->chunk_size) {
      uint8_t byte = client->chunk[client->chunk_at++];
      came = client->state == RESPONSE ? take_http(client, byte, event) : take_frame(client, byte, event);
    } else {
      int32_t size;
      came = work(client, event);
      if (came != NOTHING) break;
      if (client->state < RESPONSE || chunks-- == 0) return false;
      size = transport->read(transport->context, client->chunk, sizeof client->chunk);
      if (size == 0) return false;
      if (size < 0) return end(client, event, 1006);
      client->heard = now(client);
      client->pinged = false;
      client->chunk_at = 0;
      /* Who leaves reads to the end without looking: what is left unread may undo what was sent last. */
      client->chunk_size = client->state == CLOSING ? 0 : (uint8_t)size;
    }
  }
  return came != BROKEN || end(client, event, 1006);
}

static bool is_text(const char *text, size_t size_max) {
  size_t size = 0;
  if (text == NULL) return false;
  for (; text[size] != 0; size++) {
    if (size == size_max || (uint8_t)text[size] <= ' ' || text[size] == 0x7f) return false;
  }
  return size > 0;
}

int tagcast_init(tagcast_client *client, const tagcast_config *config, const uint32_t seed[4]) {
  size_t hello = SEND_LEAST;
  unsigned i;
  memset(client, 0, sizeof *client);
  client->config = config;
  memcpy(client->random, seed, sizeof client->random);
  for (i = 0; i < 16; i++) client->nonce = random_number(client);
  if (!is_text(config->host, 255) || !is_text(config->path, 1024) || !is_text(config->token, 8192) ||
      (config->name != NULL && !is_text(config->name, 64)) || config->send_size > 65535) {
    return TAGCAST_INVALID;
  }
  if (config->token_in_message) hello += strlen(config->token);
  return config->receive_size < RECEIVE_LEAST || config->send_size < hello ? TAGCAST_LARGE : 0;
}

void tagcast_start(tagcast_client *client) {
  if (client->state != STOPPED) return;
  client->state = WAITING;
  client->since = now(client);
  client->wait = 0;
  client->bound = BOUND_FIRST_MS;
}

void tagcast_stop(tagcast_client *client) {
  if (client->state == STOPPED || client->state == CLOSING) return;
  client->since = now(client);
  if (client->state >= OPEN) send_close(client);
  else client->since -= CLOSING_MS;
  client->state = CLOSING;
  client->chunk_size = client->chunk_at = 0;
}

int tagcast_subscribe(tagcast_client *client, tagcast_subscription *subscription) {
  const char *at = subscription->pattern;
  size_t size = at == NULL ? 0 : strlen(at);
  if (size == 0 || size > TAG_SIZE) return TAGCAST_INVALID;
  if (size + 48 > client->config->send_size) return TAGCAST_LARGE;
  unlink_subscription(client, subscription);
  subscription->flags = 0;
  for (; *at != 0; at++) {
    if (*at == '+' || *at == '#') subscription->flags = WILD;
  }
  subscription->state = DUE;
  subscription->next = client->subscriptions;
  client->subscriptions = subscription;
  return 0;
}

int tagcast_unsubscribe(tagcast_client *client, tagcast_subscription *subscription) {
  if (client->state == OPEN || client->state == ACTIVE) {
    tagcast_writer writer = begin_message(client);
    tagcast_write_array(&writer, 3);
    tagcast_write_uint(&writer, 3);
    tagcast_write_uint(&writer, 0);
    write_text(&writer, subscription->pattern);
    if ((subscription->state == SENT || subscription->state == ON) && !commit(client, &writer)) return TAGCAST_FULL;
  }
  unlink_subscription(client, subscription);
  return 0;
}

/* Op 4; with `id`, 8 bytes, where `ref` is not 0. */
static void write_publish(tagcast_writer *writer, uint32_t ref, const char *tag, tagcast_bytes payload,
                          const uint8_t *id) {
  tagcast_write_array(writer, id == NULL ? 4 : 5);
  tagcast_write_uint(writer, 4);
  tagcast_write_uint(writer, ref);
  write_text(writer, tag);
  write_raw(writer, payload.bytes, payload.size);
  if (id == NULL) return;
  tagcast_write_map(writer, 1);
  write_text(writer, "id");
  tagcast_write_bin(writer, id, 8);
}

/* Whether a publish can be sent at all: 0, or what the caller is answered. */
static int check_publish(size_t room, const char *tag, size_t size) {
  size_t tag_size = tag == NULL ? 0 : strlen(tag);
  if (tag_size == 0 || tag_size > TAG_SIZE || size == 0) return TAGCAST_INVALID;
  return room < HEAD_SIZE + 22 || size > room - HEAD_SIZE - 22 || tag_size > room - HEAD_SIZE - 22 - size
             ? TAGCAST_LARGE
             : 0;
}

int32_t tagcast_publish(tagcast_client *client, const char *tag, const uint8_t *payload, size_t size) {
  const tagcast_config *config = client->config;
  size_t room = config->outbox_size < config->send_size ? config->outbox_size : config->send_size;
  int refused = check_publish(room, tag, size);
  uint8_t id[8], *entry = config->outbox + client->outbox_used;
  tagcast_writer writer;
  if (refused != 0) return refused;
  if (config->outbox_size - client->outbox_used < ENTRY_SIZE) return TAGCAST_FULL;
  writer.bytes = entry + ENTRY_SIZE;
  writer.size = config->outbox_size - client->outbox_used - ENTRY_SIZE;
  writer.used = 0;
  put(id, 4, client->nonce);
  put(id + 4, 4, next_ref(client));
  write_publish(&writer, client->ref, tag, (tagcast_bytes){payload, size}, id);
  if (writer.used > writer.size) return TAGCAST_FULL;
  put(entry, 2, (uint32_t)writer.used);
  entry[2] = DUE;
  put(entry + 3, 4, client->ref);
  client->outbox_used += ENTRY_SIZE + (uint32_t)writer.used;
  return (int32_t)client->ref;
}

int tagcast_send(tagcast_client *client, const char *tag, const uint8_t *payload, size_t size) {
  int refused = check_publish(client->config->send_size, tag, size);
  tagcast_writer writer;
  if (refused != 0) return refused;
  if ((client->state != OPEN && client->state != ACTIVE) || client->hello_due) return TAGCAST_OFFLINE;
  writer = begin_message(client);
  write_publish(&writer, 0, tag, (tagcast_bytes){payload, size}, NULL);
  return commit(client, &writer) ? 0 : TAGCAST_FULL;
}

int32_t tagcast_ping(tagcast_client *client) {
  if (client->state != OPEN && client->state != ACTIVE) return TAGCAST_OFFLINE;
  return send_ping(client, next_ref(client)) ? (int32_t)client->ref : TAGCAST_FULL;
}
