/* A client whose connection is memory, with the inside of tagcast.c: the tests make the answer to its upgrade by it. */
#ifndef MEMORY_H
#define MEMORY_H

#include "tagcast.c"

#include "event.h"

#include <stdlib.h>

typedef struct {
  const uint8_t *in; /* what the client is to read */
  size_t in_size, read_step, write_step;
  uint8_t *out; /* what it wrote since the connection began */
  size_t out_size, out_room;
  uint32_t now;
  bool refuses, ends; /* connections; once `in` was read */
} memory;

static int memory_connect(void *context, tagcast_step step) {
  memory *self = context;
  if (step == TAGCAST_OPEN) self->out_size = 0;
  if (step != TAGCAST_PROCEED) self->in_size = 0;
  return self->refuses ? -1 : step == TAGCAST_PROCEED ? 1 : 0;
}

static int32_t memory_read(void *context, uint8_t *bytes, size_t size) {
  memory *self = context;
  if (size > self->read_step) size = self->read_step;
  if (size > self->in_size) size = self->in_size;
  if (size == 0 && self->ends) return -1;
  if (size > 0) memcpy(bytes, self->in, size);
  self->in += size;
  self->in_size -= size;
  return (int32_t)size;
}

static int32_t memory_write(void *context, const uint8_t *bytes, size_t size) {
  memory *self = context;
  if (size > self->write_step) size = self->write_step;
  if (size > self->out_room - self->out_size) self->out_size = 0; /* nobody looks that far back */
  if (size > self->out_room) return -1;
  memcpy(self->out + self->out_size, bytes, size);
  self->out_size += size;
  return (int32_t)size;
}

static uint32_t memory_ms(void *context) { return ((memory *)context)->now; }

static tagcast_transport memory_transport(memory *self) {
  tagcast_transport transport = {NULL, memory_connect, memory_read, memory_write, memory_ms};
  transport.context = self;
  return transport;
}

/* The answer of a server to the upgrade that the client sent. */
static size_t memory_accept(const tagcast_client *client, char *text, size_t room) {
  char accept[29];
  accept_of(accept, (const char *)client->control);
  return (size_t)snprintf(text, room,
                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: tagcast.v1.msgpack\r\n\r\n",
                          accept);
}

/* A frame of the server. Answers its size, at most 14 more than what is in it. */
static size_t memory_frame(uint8_t *frame, unsigned first, const uint8_t *bytes, size_t size) {
  size_t head = size < 126 ? 2 : size < 65536 ? 4 : 10;
  frame[0] = (uint8_t)first;
  frame[1] = (uint8_t)(size < 126 ? size : size < 65536 ? 126 : 127);
  if (head == 4) put(frame + 2, 2, (uint32_t)size);
  if (head == 10) put(frame + 2, 4, 0);
  if (head == 10) put(frame + 6, 4, (uint32_t)size);
  memcpy(frame + head, bytes, size);
  return head + size;
}

#endif
