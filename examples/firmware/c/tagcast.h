/*
 * A client of tagcast for microcontrollers: C99, no heap, no dependency. See README.md beside this file.
 *
 * Everything is done by tagcast_poll, which never blocks: call it again and again, and do what its events say.
 * All memory is the caller's. What is given by pointer (texts, buffers, subscriptions) stays where it is while the
 * client is used; what an event points to is good until the next call of tagcast_poll.
 */
#ifndef TAGCAST_H
#define TAGCAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Transport: what the client asks of the world ---- */

typedef enum {
  TAGCAST_OPEN,    /* drop what there is and begin a new connection */
  TAGCAST_PROCEED, /* go on with it */
  TAGCAST_CLOSE    /* drop it; the answer does not matter */
} tagcast_step;

typedef struct {
  void *context; /* handed to each of the four */
  /* 1: there is a connection; 0: it is still being made; -1: it failed. */
  int (*connect)(void *context, tagcast_step step);
  /* How many bytes were read, up to `size`; 0: none are there now; -1: the connection is gone. */
  int32_t (*read)(void *context, uint8_t *bytes, size_t size);
  /* How many bytes were taken; 0: none now; -1: the connection is gone. */
  int32_t (*write)(void *context, const uint8_t *bytes, size_t size);
  /* A clock that never goes back but from 2^32 - 1 to 0. */
  uint32_t (*milliseconds)(void *context);
} tagcast_transport;

/* ---- The client ---- */

typedef struct {
  tagcast_transport transport;
  const char *host;      /* for the Host header: "example.org", "10.0.0.7:8080" */
  const char *path;      /* "/ws" */
  const char *token;     /* the credential */
  const char *name;      /* the client name that presence shows; NULL: the server makes one */
  bool token_in_message; /* false: in the header of the upgrade, which needs no room in `send` */
  bool no_echo;          /* do not deliver to this device what it publishes itself */
  uint16_t ping_s;       /* wished heartbeat, 10 to 900 seconds; 0: as the server likes */

  uint8_t *receive; /* the longest message that is delivered, with its tag and some 16 bytes; from 64 bytes */
  size_t receive_size;
  uint8_t *send; /* what one moment sends: the longest message, or the longest subscription; from 160 to 65,535 bytes */
  size_t send_size;
  uint8_t *outbox; /* publishes that wait for their acknowledgement; NULL: none */
  size_t outbox_size;
} tagcast_config;

/* A subscribed tag. Zero it, set `pattern`, and where an earlier run left a position, that as well. */
typedef struct tagcast_subscription {
  const char *pattern; /* a tag, or with wildcards: then nothing is recovered, and each reconnect says so */
  uint64_t offset;     /* the position: what came last. Keep both to continue with them after a restart */
  uint32_t epoch;      /* 0: none */
  /* The rest belongs to the client. */
  uint32_t lost_epoch;
  uint32_t ref;
  struct tagcast_subscription *next;
  uint8_t state, flags;
} tagcast_subscription;

typedef enum {
  TAGCAST_ACTIVE = 1,   /* the server knows who this is */
  TAGCAST_SUBSCRIBED,   /* `subscription`; `whole`: nothing is missing since it was subscribed to before */
  TAGCAST_UNSUBSCRIBED, /* `subscription` was refused or ended for good, by `code`; `text` */
  TAGCAST_MESSAGE,      /* `subscription`, `tag`, `payload`, `offset` (0: the tag keeps no log), `epoch`, `meta` */
  TAGCAST_SKIPPED,      /* the same, but its payload of `size` bytes was too long for the buffer, and is lost */
  TAGCAST_GAP,          /* `subscription`, `tag`: messages `from` to `offset` are missing, by `code`; 0: not known */
  TAGCAST_ACKNOWLEDGED, /* the publish `ref`, its `tag` and `payload`: position `epoch`, `offset`, or 0 without a log */
  TAGCAST_REFUSED,      /* the publish `ref` for good, by `code`; its `tag` and `payload` */
  TAGCAST_ERROR,        /* something unacknowledged was refused by `code`, `text` */
  TAGCAST_PONG,         /* the answer to tagcast_ping `ref` */
  TAGCAST_DISCONNECTED, /* by `code`, `text`; connects again after `wait_ms` */
  TAGCAST_STOPPED       /* by `code`: of docs/codes.md, of WebSocket, or an HTTP status; until tagcast_start */
} tagcast_event_type;

typedef struct {
  const uint8_t *bytes;
  size_t size;
} tagcast_bytes;

typedef struct {
  tagcast_event_type type;
  tagcast_subscription *subscription; /* NULL: it was unsubscribed from */
  tagcast_bytes tag, payload, meta, text; /* payload and meta are MessagePack; bytes NULL: there is none */
  uint64_t offset, from;
  uint32_t epoch, code, ref, size, wait_ms;
  bool whole, repeated;
} tagcast_event;

/* Answers below 0. */
enum {
  TAGCAST_FULL = -1,    /* no room now: poll, and try again */
  TAGCAST_LARGE = -2,   /* there never will be room: a buffer is too small */
  TAGCAST_OFFLINE = -3, /* there is no connection */
  TAGCAST_INVALID = -4  /* a text is missing, too long, or has spaces or control characters */
};

/* All of it is the client's own, but for sizeof. */
typedef struct {
  /* Small ones first: a Cortex-M0+ reaches a byte within the first 32. */
  uint8_t state, stage, opcode, length_bytes, type, width, index;
  uint8_t piece, answer, chunk_at, chunk_size, control_size;
  bool framing, pong_due, hello_due, retrying, pinged, fragmented, dropping;
  uint16_t piece_at;
  const tagcast_config *config;
  tagcast_subscription *subscriptions;
  uint32_t elements, values, body, number, size, skipped; /* of the message that is being read */
  uint32_t used, mark;                                    /* of the receive buffer */
  uint32_t left;                                          /* of the frame that is being read */
  uint32_t send_end, frame, outbox_used;
  uint32_t since, wait, bound, heard, ping_ms;
  uint32_t retry_since, retry_wait, retry_bound, retry_after;
  uint32_t random[4], nonce, ref, connect_ref;
  uint8_t chunk[64];
  uint8_t control[125];
} tagcast_client;

/*
 * Prepares the client. `seed` is 16 random bytes: of a generator of true random numbers, or of the device's serial
 * number and a counter in flash that grows with each start. It MUST differ at each start and on each device, as the
 * ids of publishes are made from it. Answers 0, TAGCAST_LARGE or TAGCAST_INVALID.
 */
int tagcast_init(tagcast_client *client, const tagcast_config *config, const uint32_t seed[4]);

/* Begins to connect, and goes on until tagcast_stop, or until TAGCAST_STOPPED says that it has no sense. */
void tagcast_start(tagcast_client *client);

/* Leaves. TAGCAST_STOPPED with code 1000 says when. Positions and the outbox are kept. */
void tagcast_stop(tagcast_client *client);

/* Does what can be done now. True: something happened, ask again; false: nothing more at the moment. */
bool tagcast_poll(tagcast_client *client, tagcast_event *event);

/* Subscribes, now and after each reconnect. Answers 0, TAGCAST_LARGE or TAGCAST_INVALID. */
int tagcast_subscribe(tagcast_client *client, tagcast_subscription *subscription);

/* Answers 0, after which nothing of it is delivered, or TAGCAST_FULL. */
int tagcast_unsubscribe(tagcast_client *client, tagcast_subscription *subscription);

/*
 * Publishes with acknowledgement: kept in the outbox and repeated over reconnects until the server has answered. A tag
 * with a log gets it once, however often it is repeated. Answers its ref (> 0), TAGCAST_FULL, TAGCAST_LARGE or
 * TAGCAST_INVALID. `payload` is one MessagePack value.
 */
int32_t tagcast_publish(tagcast_client *client, const char *tag, const uint8_t *payload, size_t size);

/* Publishes without acknowledgement: lost if the connection is. Answers 0 or what is below. */
int tagcast_send(tagcast_client *client, const char *tag, const uint8_t *payload, size_t size);

/* Asks the server for a sign of life. Answers its ref (> 0), TAGCAST_FULL or TAGCAST_OFFLINE. */
int32_t tagcast_ping(tagcast_client *client);

/* ---- MessagePack ---- */

typedef struct {
  uint8_t *bytes;
  size_t size;
  size_t used; /* greater than `size`: it did not fit */
} tagcast_writer;

void tagcast_write_nil(tagcast_writer *writer);
void tagcast_write_bool(tagcast_writer *writer, bool value);
void tagcast_write_uint(tagcast_writer *writer, uint64_t value);
void tagcast_write_int(tagcast_writer *writer, int64_t value);
void tagcast_write_float(tagcast_writer *writer, float value);
void tagcast_write_double(tagcast_writer *writer, double value);
void tagcast_write_str(tagcast_writer *writer, const void *bytes, size_t size);
void tagcast_write_bin(tagcast_writer *writer, const void *bytes, size_t size);
void tagcast_write_ext(tagcast_writer *writer, int8_t type, const void *bytes, size_t size);
void tagcast_write_array(tagcast_writer *writer, uint32_t elements);
void tagcast_write_map(tagcast_writer *writer, uint32_t pairs);

typedef enum {
  TAGCAST_BAD, /* no MessagePack, or it is cut short */
  TAGCAST_NIL,
  TAGCAST_BOOL,
  TAGCAST_UINT, /* an integer from 0 */
  TAGCAST_INT,  /* an integer below 0 */
  TAGCAST_FLOAT,
  TAGCAST_DOUBLE,
  TAGCAST_STR,
  TAGCAST_BIN,
  TAGCAST_EXT,
  TAGCAST_ARRAY,
  TAGCAST_MAP
} tagcast_type;

typedef struct {
  tagcast_type type;
  int8_t ext;           /* the type of an extension */
  uint32_t size;        /* bytes; elements of an array; pairs of a map: they are read next */
  const uint8_t *bytes; /* of str, bin and ext */
  union {
    bool truth;
    uint64_t uint;
    int64_t integer;
    float single;
    double number;
  } as;
} tagcast_value;

typedef struct {
  const uint8_t *bytes;
  size_t size; /* what is left */
} tagcast_reader;

/* Reads one value; of an array or map its head alone. Nothing is copied: str is not terminated by 0. */
tagcast_type tagcast_read(tagcast_reader *reader, tagcast_value *value);

/* Passes over one value with all that is in it. False: it is cut short. */
bool tagcast_skip(tagcast_reader *reader);

/* Whether a value is this text. */
bool tagcast_is(const tagcast_value *value, const char *text);

#ifdef __cplusplus
}
#endif

#endif
