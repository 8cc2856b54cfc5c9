/*
 * Many devices in one process, for trials of a server: each publishes readings with acknowledgement to
 * `<prefix>/<its number>`, over whatever happens to the network, and every line that it prints is JSON:
 *
 *   {"event":"published","id":"5f0c31aa-17-3","tag":"log/d/17"}     it is in the outbox
 *   {"event":"acknowledged","id":"5f0c31aa-17-3","tag":"log/d/17","epoch":7,"offset":42,"repeated":false}
 *   {"event":"refused","id":…,"tag":…,"code":103}                   for good
 *   {"event":"end","published":9,"acknowledged":9,"refused":0,"unanswered":0}
 *
 * What is published is {"id": id, "n": number}. SIGINT, SIGTERM or the end of the time ends it once all is answered, or
 * after 90 seconds; the status is 0 if all is answered. Disconnects go to standard error.
 *
 *   ./device ws://127.0.0.1:8080/ws <token> <prefix> <count> <readings a second, of each> [<seconds>]
 */
#define _POSIX_C_SOURCE 200809L
#include "posix.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEVICES_MAX 1000
#define GRACE_MS 90000U

typedef struct {
  tagcast_client client;
  tagcast_config config;
  tagcast_posix tcp;
  uint8_t receive[256], send[512], outbox[2048];
  char tag[64];
  uint32_t due, count;
  bool stopped;
} device;

static device devices[DEVICES_MAX];
static struct pollfd readable[DEVICES_MAX];
static tagcast_url url;
static uint32_t run;
static unsigned long published, acknowledged, refused;
static volatile sig_atomic_t leaving;

static void on_signal(int number) {
  (void)number;
  leaving = 1;
}

static void publish(device *self, unsigned number) {
  uint8_t bytes[64];
  char id[32];
  tagcast_writer writer = {NULL, sizeof bytes, 0};
  writer.bytes = bytes;
  snprintf(id, sizeof id, "%08" PRIx32 "-%u-%" PRIu32, run, number, self->count);
  tagcast_write_map(&writer, 2);
  tagcast_write_str(&writer, "id", 2);
  tagcast_write_str(&writer, id, strlen(id));
  tagcast_write_str(&writer, "n", 1);
  tagcast_write_uint(&writer, self->count);
  if (tagcast_publish(&self->client, self->tag, bytes, writer.used) < 0) return; /* the outbox is full: later */
  self->count++;
  published++;
  printf("{\"event\":\"published\",\"id\":\"%s\",\"tag\":\"%s\"}\n", id, self->tag);
}

/* The id in a payload as `publish` makes it. */
static tagcast_value id_of(tagcast_bytes payload) {
  tagcast_reader reader = {payload.bytes, payload.size};
  tagcast_value value;
  tagcast_read(&reader, &value);
  tagcast_read(&reader, &value);
  tagcast_read(&reader, &value);
  return value;
}

static void tell(device *self, const tagcast_event *event) {
  bool is_ack = event->type == TAGCAST_ACKNOWLEDGED;
  if (is_ack || event->type == TAGCAST_REFUSED) {
    tagcast_value id = id_of(event->payload);
    printf("{\"event\":\"%s\",\"id\":\"%.*s\",\"tag\":\"%s\",", is_ack ? "acknowledged" : "refused", (int)id.size,
           (const char *)id.bytes, self->tag);
    if (is_ack) {
      printf("\"epoch\":%" PRIu32 ",\"offset\":%" PRIu64 ",\"repeated\":%s}\n", event->epoch, event->offset,
             event->repeated ? "true" : "false");
      acknowledged++;
    } else {
      printf("\"code\":%" PRIu32 "}\n", event->code);
      refused++;
    }
  }
  if (event->type == TAGCAST_STOPPED) self->stopped = true;
  if (event->type == TAGCAST_STOPPED || event->type == TAGCAST_DISCONNECTED) {
    fprintf(stderr, "%s: disconnected by %" PRIu32 ", %s\n", self->tag, event->code,
            self->stopped ? "for good" : "connects again");
  }
}

static bool begin(device *self, unsigned number, const char *token, const char *prefix, uint32_t interval) {
  uint32_t seed[4];
  if (snprintf(self->tag, sizeof self->tag, "%s/%u", prefix, number) >= (int)sizeof self->tag) return false;
  if (!tagcast_posix_seed(seed)) return false;
  run = number == 0 ? seed[0] : run;
  tagcast_configure(&self->config, &url, token);
  self->tcp.host = url.host;
  self->tcp.port = url.port;
  self->config.transport = tagcast_posix_transport(&self->tcp);
  self->config.receive = self->receive;
  self->config.receive_size = sizeof self->receive;
  self->config.send = self->send;
  self->config.send_size = sizeof self->send;
  self->config.outbox = self->outbox;
  self->config.outbox_size = sizeof self->outbox;
  /* So that they do not all speak at the same moment. */
  self->due = tagcast_posix_ms(NULL) + seed[1] % interval;
  if (tagcast_init(&self->client, &self->config, seed) != 0) return false;
  tagcast_start(&self->client);
  return true;
}

int main(int count, char **arguments) {
  unsigned size = count > 4 ? (unsigned)strtoul(arguments[4], NULL, 10) : 0, i;
  double rate = count > 5 ? strtod(arguments[5], NULL) : 0;
  uint32_t lasts = count > 6 ? (uint32_t)(strtod(arguments[6], NULL) * 1000) : 0, begun = tagcast_posix_ms(NULL), interval;
  unsigned long answered;
  bool all_stopped = false;

  if (size < 1 || size > DEVICES_MAX || rate < 0.001 || rate > 1000 || !tagcast_parse_url(&url, arguments[1]) || url.secure) {
    fprintf(stderr, "device ws://host:port/ws <token> <prefix> <1 to %d> <readings a second, of each> [<seconds>]\n",
            DEVICES_MAX);
    return 2;
  }
  interval = (uint32_t)(1000 / rate);
  setvbuf(stdout, NULL, _IOLBF, 0);
  signal(SIGINT, on_signal);
  signal(SIGTERM, on_signal);
  for (i = 0; i < size; i++) {
    if (begin(&devices[i], i, arguments[2], arguments[3], interval)) continue;
    fprintf(stderr, "The token or the prefix is too long\n");
    return 2;
  }

  do {
    uint32_t now = tagcast_posix_ms(NULL);
    if (leaving == 0 && lasts > 0 && now - begun >= lasts) leaving = 1;
    if (leaving == 1) {
      leaving = 2;
      begun = now;
    }
    all_stopped = true;
    for (i = 0; i < size; i++) {
      device *self = &devices[i];
      tagcast_event event;
      if (leaving == 0 && now - self->due < UINT32_MAX / 2) {
        self->due += interval;
        publish(self, i);
      }
      while (tagcast_poll(&self->client, &event)) tell(self, &event);
      all_stopped = all_stopped && self->stopped;
      readable[i].fd = self->tcp.fd;
      readable[i].events = POLLIN;
    }
    answered = acknowledged + refused;
    if (!all_stopped) poll(readable, size, interval < 20 ? (int)interval : 20);
  } while (!all_stopped && (leaving < 2 || (answered < published && tagcast_posix_ms(NULL) - begun < GRACE_MS)));

  printf("{\"event\":\"end\",\"published\":%lu,\"acknowledged\":%lu,\"refused\":%lu,\"unanswered\":%lu}\n", published,
         acknowledged, refused, published - answered);
  return published == answered ? 0 : 1;
}
