/*
 * A sensor: publishes a reading every second to `<tag>/reading`, with acknowledgement, and obeys `<tag>/interval`, a
 * number of seconds that somebody publishes. What it does on a microcontroller is the same, with another transport.
 *
 *   TAGCAST_URL=ws://127.0.0.1:8080/ws TAGCAST_TOKEN=... ./sensor plant/7
 *
 * Compiled with -DTAGCAST_TLS it takes wss:// as well; the environment's TAGCAST_CA names the file with the
 * certificates that it trusts.
 */
#define _POSIX_C_SOURCE 200809L
#include "posix.h"
#ifdef TAGCAST_TLS
#include "mbedtls.h"
#endif

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t receive_buffer[512], send_buffer[512], outbox[1024];
static tagcast_client client;
static tagcast_config config;
static tagcast_url url;
static tagcast_posix tcp;
static volatile sig_atomic_t leaving;

static void on_signal(int number) {
  (void)number;
  leaving = 1;
}

#ifdef TAGCAST_TLS
static tagcast_mbedtls tls;
static uint8_t authorities[262144];

/* The transport through TLS, or none. */
static bool use_tls(void) {
  const char *name = getenv("TAGCAST_CA");
  FILE *file = fopen(name == NULL ? "/etc/ssl/certs/ca-certificates.crt" : name, "rb");
  size_t size = file == NULL ? 0 : fread(authorities, 1, sizeof authorities - 1, file);
  if (file != NULL) fclose(file);
  tls.host = url.host;
  tls.port = url.port;
  config.transport = tagcast_mbedtls_transport(&tls);
  return tagcast_mbedtls_open(&tls, authorities, size + 1) == 0;
}

static int descriptor(void) { return url.secure ? (tls.has_connection ? tls.net.fd : -1) : tcp.fd; }
#else
static bool use_tls(void) { return false; }

static int descriptor(void) { return tcp.fd; }
#endif

/* {"celsius": …, "n": …}: what a real one would read from its hardware. */
static size_t reading(uint8_t *bytes, size_t size) {
  static uint32_t count;
  tagcast_writer writer = {NULL, 0, 0};
  writer.bytes = bytes;
  writer.size = size;
  tagcast_write_map(&writer, 2);
  tagcast_write_str(&writer, "celsius", 7);
  tagcast_write_float(&writer, 20.0F + (float)(count % 10) / 4.0F);
  tagcast_write_str(&writer, "n", 1);
  tagcast_write_uint(&writer, count++);
  return writer.used;
}

static uint32_t interval_ms = 1000;

static void obey(const tagcast_event *event) {
  tagcast_reader reader = {event->payload.bytes, event->payload.size};
  tagcast_value value;
  if (tagcast_read(&reader, &value) != TAGCAST_UINT || value.as.uint < 1 || value.as.uint > 3600) return;
  interval_ms = (uint32_t)value.as.uint * 1000;
  printf("a reading every %" PRIu32 " ms\n", interval_ms);
}

/* False: it is over. */
static bool tell(const tagcast_event *event) {
  switch (event->type) {
    case TAGCAST_ACTIVE:
      printf("connected\n");
      break;
    case TAGCAST_MESSAGE:
      obey(event);
      break;
    case TAGCAST_ACKNOWLEDGED:
      printf("acknowledged at %" PRIu64 "\n", event->offset);
      break;
    case TAGCAST_REFUSED:
    case TAGCAST_UNSUBSCRIBED:
    case TAGCAST_ERROR:
      printf("refused by %" PRIu32 " %.*s\n", event->code, (int)event->text.size, (const char *)event->text.bytes);
      break;
    case TAGCAST_DISCONNECTED:
      printf("disconnected by %" PRIu32 ", again in %" PRIu32 " ms\n", event->code, event->wait_ms);
      break;
    case TAGCAST_STOPPED:
      printf("stopped by %" PRIu32 "\n", event->code);
      return false;
    default:
      break;
  }
  return true;
}

int main(int count, char **arguments) {
  static char reading_tag[256], interval_tag[256];
  static tagcast_subscription interval;
  const char *tag = count > 1 ? arguments[1] : "plant/7", *token = getenv("TAGCAST_TOKEN"), *where = getenv("TAGCAST_URL");
  uint32_t seed[4], last;
  tagcast_event event;

  setvbuf(stdout, NULL, _IOLBF, 0);
  signal(SIGINT, on_signal);
  signal(SIGTERM, on_signal);
  if (token == NULL || where == NULL || !tagcast_parse_url(&url, where) || !tagcast_posix_seed(seed)) {
    fprintf(stderr, "TAGCAST_URL has to be ws://host:port/ws, and TAGCAST_TOKEN a token\n");
    return 2;
  }
  tagcast_configure(&config, &url, token);
  tcp.host = url.host;
  tcp.port = url.port;
  config.transport = tagcast_posix_transport(&tcp);
  if (url.secure && !use_tls()) {
    fprintf(stderr, "No TLS: compile with it (make sensor-tls), and let TAGCAST_CA name a file of certificates\n");
    return 2;
  }
  config.no_echo = true;
  config.receive = receive_buffer;
  config.receive_size = sizeof receive_buffer;
  config.send = send_buffer;
  config.send_size = sizeof send_buffer;
  config.outbox = outbox;
  config.outbox_size = sizeof outbox;
  snprintf(reading_tag, sizeof reading_tag, "%s/reading", tag);
  snprintf(interval_tag, sizeof interval_tag, "%s/interval", tag);
  interval.pattern = interval_tag;
  if (tagcast_init(&client, &config, seed) != 0 || tagcast_subscribe(&client, &interval) != 0) {
    fprintf(stderr, "The token or the tag is too long\n");
    return 2;
  }
  tagcast_start(&client);

  last = tagcast_posix_ms(NULL) - interval_ms;
  for (;;) {
    struct pollfd readable;
    while (tagcast_poll(&client, &event)) {
      if (!tell(&event)) return event.code == 1000 ? 0 : 1;
    }
    if (leaving) tagcast_stop(&client);
    if (!leaving && tagcast_posix_ms(NULL) - last >= interval_ms) {
      uint8_t bytes[32];
      last += interval_ms;
      if (tagcast_publish(&client, reading_tag, bytes, reading(bytes, sizeof bytes)) < 0) printf("outbox full\n");
      continue;
    }
    readable.fd = descriptor();
    readable.events = POLLIN;
    poll(&readable, 1, 50);
  }
}
