/* Events as lines of JSON, for the tests. Bytes are hex. */
#ifndef EVENT_H
#define EVENT_H

#include "tagcast.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static inline size_t put_bytes(char *text, size_t room, const char *name, tagcast_bytes bytes) {
  size_t used = 0, i;
  if (bytes.bytes == NULL) return 0;
  used += (size_t)snprintf(text, room, ",\"%s\":\"", name);
  for (i = 0; i < bytes.size && used + 3 < room; i++) {
    text[used++] = "0123456789abcdef"[bytes.bytes[i] >> 4];
    text[used++] = "0123456789abcdef"[bytes.bytes[i] & 15];
  }
  used += (size_t)snprintf(text + used, room - used, "\"");
  return used;
}

/* Writes one line, without its end. `text` has room for twice the buffers and 600 bytes. */
static inline void event_json(char *text, size_t room, const tagcast_event *event) {
  static const char *const names[] = {"",      "active",       "subscribed", "unsubscribed", "message", "skipped",
                                      "gap",   "acknowledged", "refused",    "error",        "pong",    "disconnected",
                                      "stopped"};
  size_t used = (size_t)snprintf(text, room,
                                 "{\"event\":\"%s\",\"code\":%" PRIu32 ",\"ref\":%" PRIu32 ",\"epoch\":%" PRIu32
                                 ",\"offset\":%" PRIu64 ",\"from\":%" PRIu64 ",\"size\":%" PRIu32 ",\"wait\":%" PRIu32
                                 ",\"whole\":%s,\"repeated\":%s",
                                 names[event->type], event->code, event->ref, event->epoch, event->offset, event->from,
                                 event->size, event->wait_ms, event->whole ? "true" : "false",
                                 event->repeated ? "true" : "false");
  used += put_bytes(text + used, room - used, "tag", event->tag);
  used += put_bytes(text + used, room - used, "payload", event->payload);
  used += put_bytes(text + used, room - used, "meta", event->meta);
  used += put_bytes(text + used, room - used, "text", event->text);
  if (event->subscription != NULL) {
    used += (size_t)snprintf(text + used, room - used, ",\"pattern\":\"%s\",\"position\":[%" PRIu32 ",%" PRIu64 "]",
                             event->subscription->pattern, event->subscription->epoch, event->subscription->offset);
  }
  snprintf(text + used, room - used, "}");
}

/* Bytes of hex; answers how many. */
static inline size_t from_hex(uint8_t *bytes, const char *text, size_t digits) {
  static const char values[] = "0123456789abcdef";
  size_t i;
  for (i = 0; i + 1 < digits; i += 2) {
    size_t high = (size_t)(strchr(values, text[i]) - values), low = (size_t)(strchr(values, text[i + 1]) - values);
    bytes[i / 2] = (uint8_t)(high << 4 | low);
  }
  return digits / 2;
}

#endif
