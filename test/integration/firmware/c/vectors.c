/*
 * Reads lines, writes a line for each; c-client.test.ts knows what they have to be.
 *
 *   value <hex>              {"back": <hex of it written again>, "value": <it, with its types>}
 *   message <pattern> <hex>  the event that comes of it at a client subscribed to the pattern; null: none. However the
 *                            bytes are divided it is the same event, else the program ends with status 1.
 *   accept <key>             what a server answers to this key
 */
#include "memory.h"

static char line[2000000];
static uint8_t bytes[1000000], back[1000000], frames[1200000];

/* A value with its type in front: ["i", "7"]. False: it is cut short. */
static bool write_value(tagcast_reader *reader, tagcast_writer *writer) {
  tagcast_value value;
  uint32_t i;
  switch (tagcast_read(reader, &value)) {
    case TAGCAST_BAD:
      return false;
    case TAGCAST_NIL:
      tagcast_write_nil(writer);
      printf("null");
      return true;
    case TAGCAST_BOOL:
      tagcast_write_bool(writer, value.as.truth);
      printf(value.as.truth ? "true" : "false");
      return true;
    case TAGCAST_UINT:
      tagcast_write_uint(writer, value.as.uint);
      printf("[\"i\",\"%" PRIu64 "\"]", value.as.uint);
      return true;
    case TAGCAST_INT:
      tagcast_write_int(writer, value.as.integer);
      printf("[\"i\",\"%" PRId64 "\"]", value.as.integer);
      return true;
    case TAGCAST_FLOAT:
      tagcast_write_float(writer, value.as.single);
      printf("[\"f\",\"%.17g\"]", (double)value.as.single);
      return true;
    case TAGCAST_DOUBLE:
      tagcast_write_double(writer, value.as.number);
      printf("[\"f\",\"%.17g\"]", value.as.number);
      return true;
    case TAGCAST_STR:
    case TAGCAST_BIN:
    case TAGCAST_EXT:
      if (value.type == TAGCAST_STR) tagcast_write_str(writer, value.bytes, value.size);
      if (value.type == TAGCAST_BIN) tagcast_write_bin(writer, value.bytes, value.size);
      if (value.type == TAGCAST_EXT) tagcast_write_ext(writer, value.ext, value.bytes, value.size);
      printf("[\"%s\",\"", value.type == TAGCAST_STR ? "s" : value.type == TAGCAST_BIN ? "b" : "x");
      for (i = 0; i < value.size; i++) printf("%02x", value.bytes[i]);
      if (value.type == TAGCAST_EXT) printf("\",%d]", value.ext);
      else printf("\"]");
      return true;
    case TAGCAST_ARRAY:
    case TAGCAST_MAP:
      if (value.type == TAGCAST_ARRAY) tagcast_write_array(writer, value.size);
      else tagcast_write_map(writer, value.size);
      printf("[\"%s\"", value.type == TAGCAST_ARRAY ? "a" : "m");
      for (i = 0; i < value.size; i++) {
        printf(",");
        if (value.type == TAGCAST_MAP) printf("[");
        if (!write_value(reader, writer)) return false;
        if (value.type == TAGCAST_MAP) printf(",");
        if (value.type == TAGCAST_MAP && !write_value(reader, writer)) return false;
        if (value.type == TAGCAST_MAP) printf("]");
      }
      printf("]");
      return true;
  }
  return false;
}

static void do_value(const char *hex) {
  size_t size = from_hex(bytes, hex, strlen(hex)), i;
  uint8_t *exact = malloc(size + 1); /* so that reading beyond the end is seen */
  tagcast_reader reader, again;
  tagcast_writer writer = {back, sizeof back, 0};
  memcpy(exact, bytes, size);
  reader.bytes = again.bytes = exact;
  reader.size = again.size = size;
  printf("{\"value\":");
  if (!write_value(&reader, &writer) || reader.size > 0 || !tagcast_skip(&again) || again.size > 0) exit(1);
  printf(",\"back\":\"");
  for (i = 0; i < writer.used; i++) printf("%02x", back[i]);
  printf("\"}\n");
  free(exact);
}

/* The event of a message, with the bytes divided in reads of `step` and frames of `part`. */
static void event_of(char *text, size_t room, const char *pattern, size_t size, size_t step, size_t part) {
  static const uint32_t seed[4] = {1, 2, 3, 4};
  static uint8_t send[512], out[4096], receive[1000000];
  char answer[256];
  const uint8_t hello[] = {0x93, 0x10, 0x01, 0x80};
  uint8_t ok[] = {0x93, 0x10, 0x02, 0x81, 0xa8, 'p', 'o', 's', 'i', 't', 'i', 'o', 'n', 0x92, 0x07, 0x00};
  memory wire = {0};
  tagcast_config config = {0};
  tagcast_subscription subscription = {0};
  tagcast_client client;
  tagcast_event event;
  size_t at, used = 0;
  wire.out = out;
  wire.out_room = sizeof out;
  wire.read_step = step;
  wire.write_step = 64;
  config.transport = memory_transport(&wire);
  config.host = "h";
  config.path = config.token = "/";
  config.receive = receive;
  config.receive_size = sizeof receive;
  config.send = send;
  config.send_size = sizeof send;
  if (tagcast_init(&client, &config, seed) != 0) exit(2);
  subscription.pattern = pattern;
  if (tagcast_subscribe(&client, &subscription) != 0) exit(3);
  tagcast_start(&client);
  if (tagcast_poll(&client, &event)) exit(4);
  wire.in = (uint8_t *)answer;
  wire.in_size = memory_accept(&client, answer, sizeof answer);
  while (wire.in_size > 0) {
    if (tagcast_poll(&client, &event)) exit(5);
  }
  used = memory_frame(frames, 0x82, hello, sizeof hello);
  wire.in = frames;
  wire.in_size = used + memory_frame(frames + used, 0x82, ok, sizeof ok);
  if (!tagcast_poll(&client, &event) || event.type != TAGCAST_ACTIVE) exit(6);
  if (!tagcast_poll(&client, &event) || event.type != TAGCAST_SUBSCRIBED) exit(7);
  used = 0;
  for (at = 0; at < size; at += part) {
    size_t some = size - at < part ? size - at : part;
    used += memory_frame(frames + used, (at == 0 ? 2U : 0U) | (at + some == size ? 0x80U : 0), bytes + at, some);
    used += memory_frame(frames + used, 0x89, bytes, 3);
  }
  wire.in = frames;
  wire.in_size = used;
  if (size == 0) wire.in_size = memory_frame(frames, 0x82, bytes, 0);
  while (wire.in_size > 0) {
    if (tagcast_poll(&client, &event)) {
      event_json(text, room, &event);
      if (wire.in_size > 0 && event.type != TAGCAST_DISCONNECTED && event.type != TAGCAST_STOPPED) {
        while (wire.in_size > 0) {
          if (tagcast_poll(&client, &event)) exit(8);
        }
      }
      return;
    }
  }
  snprintf(text, room, "null");
}

static void do_message(char *rest) {
  static const size_t ways[][2] = {{1, 1000000}, {7, 50}, {64, 1000000}};
  static char text[2000000], other[2000000];
  char *hex = strchr(rest, ' ');
  size_t size = from_hex(bytes, hex + 1, strlen(hex + 1)), i;
  *hex = 0;
  event_of(text, sizeof text, rest, size, 3, 1000000);
  for (i = 0; i < sizeof ways / sizeof *ways; i++) {
    event_of(other, sizeof other, rest, size, ways[i][0], ways[i][1]);
    if (strcmp(text, other) != 0) {
      fprintf(stderr, "in reads of %zu: %s, not %s\n", ways[i][0], other, text);
      exit(1);
    }
  }
  printf("%s\n", text);
}

int main(void) {
  while (fgets(line, sizeof line, stdin) != NULL) {
    line[strcspn(line, "\n")] = 0;
    if (strncmp(line, "value ", 6) == 0) do_value(line + 6);
    if (strncmp(line, "message ", 8) == 0) do_message(line + 8);
    if (strncmp(line, "accept ", 7) == 0) {
      char accept[29];
      accept_of(accept, line + 7);
      printf("\"%s\"\n", accept);
    }
    fflush(stdout);
  }
  return 0;
}
