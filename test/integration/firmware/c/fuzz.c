/*
 * fuzz <seed> <runs>: lives of clients among servers that answer well, badly and at random, with buffers of every size,
 * to be compiled with the sanitizers. Standard input has messages as hex, one a line, to begin with. Each of its parts
 * is bounded; a client that does not come to rest, or whose numbers are impossible, ends the program.
 */
#include "memory.h"

#define CORPUS 1000
#define PATTERNS 5

static uint64_t chance;
static uint8_t *corpus[CORPUS];
static size_t corpus_size[CORPUS], corpus_count;
static unsigned long events[16], seen;

static uint32_t below(uint32_t bound) {
  chance ^= chance << 13;
  chance ^= chance >> 7;
  chance ^= chance << 17;
  return (uint32_t)((chance >> 32) % bound);
}

static void check(bool holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "%s\n", what);
  abort();
}

static uint8_t *block(size_t size) {
  uint8_t *bytes = malloc(size == 0 ? 1 : size);
  size_t i;
  for (i = 0; i < size; i++) bytes[i] = (uint8_t)below(256);
  return bytes;
}

static void read_corpus(void) {
  static char line[20000];
  static uint8_t bytes[10000];
  while (corpus_count < CORPUS && fgets(line, sizeof line, stdin) != NULL) {
    size_t size = from_hex(bytes, line, strcspn(line, "\n"));
    corpus[corpus_count] = malloc(size + 1);
    memcpy(corpus[corpus_count], bytes, size);
    corpus_size[corpus_count++] = size;
  }
}

/* A value: small, deep, long or of a type that is seldom. */
static void write_any(tagcast_writer *writer, unsigned depth) {
  static const uint8_t zeros[300];
  uint32_t i, count;
  switch (below(depth > 4 ? 6 : 9)) {
    case 0:
      tagcast_write_nil(writer);
      break;
    case 1:
      tagcast_write_uint(writer, (uint64_t)below(300) << below(55));
      break;
    case 2:
      tagcast_write_int(writer, -(int64_t)below(300) * ((int64_t)1 << below(50)));
      break;
    case 3:
      tagcast_write_str(writer, zeros, below(40));
      break;
    case 4:
      tagcast_write_bin(writer, zeros, below(300));
      break;
    case 5:
      tagcast_write_ext(writer, 5, zeros, below(20));
      break;
    case 6:
      tagcast_write_bool(writer, below(2) == 1);
      break;
    default:
      count = below(4);
      if (below(2) == 1) {
        tagcast_write_array(writer, count);
      } else {
        tagcast_write_map(writer, count);
        count *= 2;
      }
      for (i = 0; i < count; i++) write_any(writer, depth + 1);
  }
}

static const char *const patterns[PATTERNS] = {"t", "a/b", "log/#", "plant/7/temp", "+"};

static void write_name(tagcast_writer *writer) {
  if (below(8) == 0) write_any(writer, 0);
  else write_text(writer, patterns[below(PATTERNS)]);
}

static void write_position(tagcast_writer *writer) {
  uint32_t more = below(2);
  tagcast_write_array(writer, 2 + more);
  tagcast_write_uint(writer, below(4));
  tagcast_write_uint(writer, below(50));
  if (more > 0) write_any(writer, 0);
}

/* A ref that may be waited for. */
static uint32_t some_ref(const tagcast_client *client) {
  const tagcast_subscription *subscription = client->subscriptions;
  uint32_t place = 0, ref = below(8) == 0 ? UINT32_MAX : client->ref - below(4);
  const uint8_t *entry;
  if (client->state == OPEN) return client->connect_ref;
  for (; subscription != NULL; subscription = subscription->next) {
    if (subscription->state == SENT && below(2) == 0) ref = subscription->ref;
  }
  while ((entry = next_entry(client, &place)) != NULL) {
    if (entry[2] == SENT && below(3) == 0) ref = get(entry + 3, 4);
  }
  return below(9) == 0 ? 0 : ref;
}

/* What a server could say: most of it in the right shape. */
static void write_server_message(tagcast_writer *writer, const tagcast_client *client) {
  static const uint16_t codes[] = {100, 103, 110, 115, 116, 117, 2000, 2501, 3000, 3003, 3500, 200, 204};
  static const char *const keys[] = {"position", "start", "recovered", "repeated", "ping", "code", "epoch", "pattern"};
  static const uint8_t ops[] = {16, 16, 16, 16, 17, 18, 18, 18, 18, 18, 19, 20, 20, 21, 22, 23};
  static const uint8_t zeros[3000];
  uint32_t op = ops[client->state == OPEN ? below(5) : below(below(8) == 0 ? 16 : 13)], ref = some_ref(client), count, i;
  size_t head = writer->used;
  unsigned elements = op == 16 ? 4 : op == 18 || op == 20 ? 6 : 5;
  tagcast_write_array(writer, 0); /* how many is known at the end */
  tagcast_write_uint(writer, op);
  if (op == 16 || op == 17) tagcast_write_uint(writer, ref);
  else if (op == 22) tagcast_write_uint(writer, codes[below(13)]);
  else write_name(writer);
  if (op == 17 || op == 21 || op == 22) tagcast_write_uint(writer, codes[below(13)]);
  else if (op == 18) tagcast_write_uint(writer, below(60));
  else if (op == 20) write_any(writer, 3);
  else if (op != 16) write_any(writer, 0);
  if (op == 18 && below(3) == 0) tagcast_write_bin(writer, zeros, below(3000));
  else if (op == 18) write_any(writer, 0);
  if (op == 20) tagcast_write_uint(writer, below(60));
  if (op == 16 || op == 20) {
    count = below(5);
    tagcast_write_map(writer, count);
    for (i = 0; i < count; i++) {
      uint32_t key = below(8);
      write_text(writer, keys[key]);
      if (key == 0) write_position(writer);
      else if (key == 7) write_name(writer);
      else if (key == 2 || key == 3) tagcast_write_bool(writer, below(2) == 1);
      else write_any(writer, 0);
    }
  } else {
    write_any(writer, 2);
  }
  write_any(writer, 0);
  for (; below(3) > 0 && elements < 15; elements++) {
    if (below(2) == 1) write_name(writer);
    else write_any(writer, 0);
  }
  if (writer->used <= writer->size) writer->bytes[head] = (uint8_t)(0x90 | elements);
}

static size_t some_message(uint8_t *bytes, size_t room, const tagcast_client *client) {
  tagcast_writer writer = {bytes, room, 0};
  size_t size, i;
  if (below(6) > 0 || corpus_count == 0) {
    write_server_message(&writer, client);
    size = writer.used <= room ? writer.used : 0;
  } else {
    i = below((uint32_t)corpus_count);
    size = corpus_size[i];
    memcpy(bytes, corpus[i], size);
  }
  if (size > 0 && below(16) == 0) bytes[below((uint32_t)size)] = (uint8_t)below(256);
  if (size > 0 && below(40) == 0) size = below((uint32_t)size);
  return size;
}

/* What the server sends next. */
static size_t some_bytes(uint8_t *bytes, size_t room, const tagcast_client *client) {
  static uint8_t message[40000];
  size_t used = 0, i, count = 1 + below(4);
  if (client->state == RESPONSE && below(10) > 0) {
    used = memory_accept(client, (char *)bytes, room);
    if (below(10) == 0) bytes[below((uint32_t)used)] = (uint8_t)below(256);
    if (below(10) == 0) {
      used = (size_t)snprintf((char *)bytes, room, "HTTP/1.1 %u Because\r\nRetry-After: %u\r\n\r\n", 100 + below(500), below(9));
    }
    if (below(2) == 0) return used;
  }
  for (i = 0; i < count; i++) {
    size_t size = some_message(message, 10000, client), part;
    if (below(4) == 0) size += some_message(message + size, 10000, client);
    switch (below(24)) {
      case 0: /* noise */
        for (size = below(60); size > 0; size--) bytes[used++] = (uint8_t)below(256);
        break;
      case 1: /* control */
        used += memory_frame(bytes + used, 0x88 + below(3), message, below(size < 126 ? (uint32_t)size + 1 : 126));
        break;
      case 2: /* in fragments */
        part = size == 0 ? 0 : below((uint32_t)size);
        used += memory_frame(bytes + used, 2, message, part);
        used += memory_frame(bytes + used, 0x89, message, 0);
        used += memory_frame(bytes + used, 0x80, message + part, size - part);
        break;
      default:
        used += memory_frame(bytes + used, 0x82, message, size);
    }
  }
  return used;
}

static void look_at(const tagcast_bytes *bytes) {
  size_t i;
  for (i = 0; i < bytes->size; i++) seen += bytes->bytes[i];
}

static void poll_until_rest(tagcast_client *client, const memory *wire) {
  tagcast_event event;
  unsigned left = 100000;
  do {
    while (tagcast_poll(client, &event)) {
      check(event.type >= TAGCAST_ACTIVE && event.type <= TAGCAST_STOPPED, "an event without a type");
      events[event.type]++;
      look_at(&event.tag);
      look_at(&event.payload);
      look_at(&event.meta);
      look_at(&event.text);
      check(--left > 0, "no end of events");
    }
    check(client->used <= client->config->receive_size, "more than the receive buffer");
    check(client->send_end <= client->config->send_size, "more than the send buffer");
    check(client->outbox_used <= client->config->outbox_size, "more than the outbox");
    check(--left > 0, "no rest");
  } while (wire->in_size > 0 && client->state >= RESPONSE && client->state < CLOSING);
}

static void act(tagcast_client *client, tagcast_subscription *subscriptions) {
  tagcast_subscription *subscription = &subscriptions[below(PATTERNS)];
  uint8_t *payload;
  size_t size;
  switch (below(9)) {
    case 0:
      tagcast_start(client);
      break;
    case 1:
      if (below(4) == 0) tagcast_stop(client);
      break;
    case 2:
      if (subscription->state == OFF) tagcast_subscribe(client, subscription);
      break;
    case 3:
      if (subscription->state != OFF) tagcast_unsubscribe(client, subscription);
      break;
    case 4:
      tagcast_ping(client);
      break;
    default:
      size = 1 + below(below(4) == 0 ? 500 : 30);
      payload = block(size);
      payload[0] = 0xc4; /* bytes, with a size that may be wrong: what is published is the caller's affair */
      if (below(2) == 0) tagcast_publish(client, patterns[below(PATTERNS)], payload, size);
      else tagcast_send(client, patterns[below(PATTERNS)], payload, size);
      free(payload);
  }
}

static void live(void) {
  static uint8_t bytes[200000], out[2048];
  tagcast_subscription subscriptions[PATTERNS];
  tagcast_client *client = malloc(sizeof *client);
  tagcast_config config;
  memory wire;
  uint32_t seed[4], i, steps = 5 + below(60);
  memset(&config, 0, sizeof config);
  memset(&wire, 0, sizeof wire);
  memset(subscriptions, 0, sizeof subscriptions);
  for (i = 0; i < 4; i++) seed[i] = below(UINT32_MAX);
  for (i = 0; i < PATTERNS; i++) {
    subscriptions[i].pattern = patterns[i];
    subscriptions[i].epoch = below(3);
  }
  wire.out = out;
  wire.out_room = sizeof out;
  wire.now = below(2) == 0 ? UINT32_MAX - below(60000) : below(1000);
  config.transport = memory_transport(&wire);
  config.host = "example.org";
  config.path = "/ws";
  config.token = "secret-of-pump-7";
  config.name = below(2) == 0 ? NULL : "pump-7";
  config.token_in_message = below(2) == 0;
  config.no_echo = below(2) == 0;
  config.ping_s = (uint16_t)(below(2) == 0 ? 0 : 10);
  config.receive_size = RECEIVE_LEAST + below(below(2) == 0 ? 20 : 2000);
  config.send_size = SEND_LEAST + 16 + below(400);
  config.outbox_size = below(3) == 0 ? 0 : below(500);
  config.receive = block(config.receive_size);
  config.send = block(config.send_size);
  config.outbox = config.outbox_size == 0 ? NULL : block(config.outbox_size);
  check(tagcast_init(client, &config, seed) == 0, "a good configuration is refused");
  tagcast_start(client);
  while (steps-- > 0) {
    uint8_t *exact;
    wire.read_step = 1 + below(70);
    wire.write_step = below(10) == 0 ? 0 : 1 + below(300);
    wire.refuses = below(40) == 0;
    wire.ends = below(40) == 0;
    wire.now += below(8) == 0 ? below(40000) : below(300);
    wire.in_size = client->state >= RESPONSE ? some_bytes(bytes, sizeof bytes, client) : 0;
    exact = malloc(wire.in_size + 1);
    memcpy(exact, bytes, wire.in_size);
    wire.in = exact;
    poll_until_rest(client, &wire);
    wire.in_size = 0;
    free(exact);
    for (i = below(4); i > 0; i--) act(client, subscriptions);
  }
  free(config.receive);
  free(config.send);
  free(config.outbox);
  free(client);
}

/* The reader alone, on noise and on what is cut short. */
static void read_noise(void) {
  static const tagcast_client nobody;
  static uint8_t bytes[20000];
  size_t size = below(2) == 0 ? some_message(bytes, 10000, &nobody) : below(40);
  uint8_t *exact = malloc(size + 1), *end = exact + size;
  tagcast_reader reader = {exact, size};
  tagcast_value value;
  if (size < 40) {
    size_t i;
    for (i = 0; i < size; i++) bytes[i] = (uint8_t)below(256);
  }
  memcpy(exact, bytes, size);
  while (tagcast_read(&reader, &value) != TAGCAST_BAD) {
    tagcast_bytes whole = {value.bytes, value.size};
    if (value.bytes != NULL) look_at(&whole);
    check(reader.bytes + reader.size == end, "the reader lost its place");
  }
  reader.bytes = exact;
  reader.size = size;
  while (reader.size > 0 && tagcast_skip(&reader)) check(reader.bytes + reader.size == end, "skip lost its place");
  free(exact);
}

int main(int count, char **arguments) {
  unsigned long runs = count > 2 ? strtoul(arguments[2], NULL, 10) : 1000, i;
  uint64_t seed = count > 1 ? strtoull(arguments[1], NULL, 10) : 1;
  read_corpus();
  for (i = 0; i < runs; i++) {
    chance = (seed * 1000003 + i) * 0x9e3779b97f4a7c15U + 1;
    live();
    read_noise();
    read_noise();
  }
  for (i = 0; i < 16; i++) printf("%lu ", events[i]);
  printf("%lu\n", seen);
  return 0;
}
