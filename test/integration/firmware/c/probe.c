/*
 * A client that does what standard input says, a command a line, and prints each event as a line of JSON.
 *
 *   probe <url> <token> [receive=512] [send=512] [outbox=1024] [name=…] [ping=…] [message=1] [echo=0] [speed=1]
 *
 * Commands: start, stop, subscribe <pattern> [<epoch> <offset>], unsubscribe <pattern>, publish <tag> <hex>,
 * send <tag> <hex>, ping, exit. Each is answered by {"answer": …}. `speed` is how much faster its clock goes. At the end
 * of its input it ends.
 */
#define _POSIX_C_SOURCE 200809L
#include "event.h"
#include "posix.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define PATTERNS 16

static tagcast_client client;
static tagcast_config config;
static tagcast_subscription subscriptions[PATTERNS];
static char names[PATTERNS][256];
static tagcast_posix tcp;
static tagcast_url url;
static uint32_t speed = 1;

static uint32_t fast_ms(void *context) { return tagcast_posix_ms(context) * speed; }

static tagcast_subscription *subscription_named(const char *name) {
  unsigned i;
  for (i = 0; i < PATTERNS; i++) {
    if (strcmp(names[i], name) == 0) return &subscriptions[i];
  }
  for (i = 0; i < PATTERNS; i++) {
    if (names[i][0] != 0) continue;
    strcpy(names[i], name);
    subscriptions[i].pattern = names[i];
    return &subscriptions[i];
  }
  abort();
}

static int obey(char *line) {
  static char word[16], name[256], hex[200000];
  static uint8_t bytes[100000];
  unsigned long epoch = 0, offset = 0;
  size_t size;
  hex[0] = 0;
  if (sscanf(line, "%15s %255s", word, name) < 1) return 0;
  if (strcmp(word, "start") == 0) tagcast_start(&client);
  if (strcmp(word, "stop") == 0) tagcast_stop(&client);
  if (strcmp(word, "ping") == 0) return (int)tagcast_ping(&client);
  if (strcmp(word, "exit") == 0) exit(0);
  if (strcmp(word, "unsubscribe") == 0) return tagcast_unsubscribe(&client, subscription_named(name));
  if (strcmp(word, "subscribe") == 0) {
    tagcast_subscription *subscription = subscription_named(name);
    if (sscanf(line, "%*s %*s %lu %lu", &epoch, &offset) == 2) {
      subscription->epoch = (uint32_t)epoch;
      subscription->offset = offset;
    }
    return tagcast_subscribe(&client, subscription);
  }
  if (strcmp(word, "publish") != 0 && strcmp(word, "send") != 0) return 0;
  if (sscanf(line, "%*s %*s %199999s", hex) != 1) return -99;
  size = from_hex(bytes, hex, strlen(hex));
  return *word == 'p' ? (int)tagcast_publish(&client, name, bytes, size) : tagcast_send(&client, name, bytes, size);
}

/* Commands come in pieces; those that are whole are obeyed. False: the input has ended. */
static bool listen_to_input(void) {
  static char input[400000];
  static size_t used;
  ssize_t size = read(STDIN_FILENO, input + used, sizeof input - used - 1);
  char *end;
  if (size <= 0) return false;
  used += (size_t)size;
  input[used] = 0;
  while ((end = strchr(input, '\n')) != NULL) {
    *end = 0;
    printf("{\"answer\":%d}\n", obey(input));
    used -= (size_t)(end + 1 - input);
    memmove(input, end + 1, used + 1);
  }
  return true;
}

/* The last one counts. */
static size_t option(int count, char **arguments, const char *name, size_t otherwise) {
  size_t length = strlen(name), value = otherwise;
  int i;
  for (i = 3; i < count; i++) {
    if (strncmp(arguments[i], name, length) == 0 && arguments[i][length] == '=') {
      value = strtoul(arguments[i] + length + 1, NULL, 10);
    }
  }
  return value;
}

int main(int count, char **arguments) {
  static char text[300000];
  uint32_t seed[4];
  int i, answer;
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (count < 3 || !tagcast_parse_url(&url, arguments[1]) || !tagcast_posix_seed(seed)) return 2;
  tagcast_configure(&config, &url, arguments[2]);
  tcp.host = url.host;
  tcp.port = url.port;
  config.transport = tagcast_posix_transport(&tcp);
  speed = (uint32_t)option(count, arguments, "speed", 1);
  config.transport.milliseconds = fast_ms;
  config.receive_size = option(count, arguments, "receive", 512);
  config.send_size = option(count, arguments, "send", 512);
  config.outbox_size = option(count, arguments, "outbox", 1024);
  config.receive = malloc(config.receive_size);
  config.send = malloc(config.send_size);
  config.outbox = malloc(config.outbox_size + 1);
  config.ping_s = (uint16_t)option(count, arguments, "ping", 0);
  config.token_in_message = option(count, arguments, "message", 0) == 1;
  config.no_echo = option(count, arguments, "echo", 1) == 0;
  for (i = 3; i < count; i++) {
    if (strncmp(arguments[i], "name=", 5) == 0) config.name = arguments[i] + 5;
  }
  answer = tagcast_init(&client, &config, seed);
  printf("{\"answer\":%d}\n", answer);
  if (answer != 0) return 1;
  for (;;) {
    struct pollfd readable[2];
    tagcast_event event;
    while (tagcast_poll(&client, &event)) {
      event_json(text, sizeof text, &event);
      printf("%s\n", text);
    }
    readable[0].fd = STDIN_FILENO;
    readable[1].fd = tcp.fd;
    readable[0].events = readable[1].events = POLLIN;
    readable[0].revents = 0;
    poll(readable, 2, 10);
    if (readable[0].revents != 0 && !listen_to_input()) return 0;
  }
}
