/* See posix.h. Names are looked up by getaddrinfo, which blocks; all else does not. */
#define _POSIX_C_SOURCE 200809L
#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

bool tagcast_posix_prepare(int fd) {
  int on = 1, flags = fcntl(fd, F_GETFL);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return flags != -1 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

static int begin(const char *host, const char *port) {
  struct addrinfo hints, *found, *at;
  int fd = -1;
  memset(&hints, 0, sizeof hints);
  hints.ai_socktype = SOCK_STREAM;
  if (getaddrinfo(host, port, &hints, &found) != 0) return -1;
  for (at = found; at != NULL && fd == -1; at = at->ai_next) {
    fd = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
    if (fd == -1) continue;
    if (tagcast_posix_prepare(fd) && (connect(fd, at->ai_addr, at->ai_addrlen) == 0 || errno == EINPROGRESS)) break;
    close(fd);
    fd = -1;
  }
  freeaddrinfo(found);
  return fd;
}

static int on_connect(void *context, tagcast_step step) {
  tagcast_posix *transport = context;
  struct pollfd writable;
  int error = 0;
  socklen_t size = sizeof error;
  if (step != TAGCAST_PROCEED) {
    if (transport->fd != -1) close(transport->fd);
    transport->fd = step == TAGCAST_OPEN ? begin(transport->host, transport->port) : -1;
    return transport->fd == -1 ? -1 : 0;
  }
  writable.fd = transport->fd;
  writable.events = POLLOUT;
  writable.revents = 0;
  if (poll(&writable, 1, 0) == 0) return 0;
  if (getsockopt(transport->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) return -1;
  return 1;
}

static int32_t outcome_of(ssize_t done) {
  if (done >= 0) return (int32_t)done;
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
}

static int32_t on_read(void *context, uint8_t *bytes, size_t size) {
  tagcast_posix *transport = context;
  ssize_t done = recv(transport->fd, bytes, size, 0);
  return done == 0 ? -1 : outcome_of(done);
}

static int32_t on_write(void *context, const uint8_t *bytes, size_t size) {
  tagcast_posix *transport = context;
  return outcome_of(send(transport->fd, bytes, size, MSG_NOSIGNAL));
}

uint32_t tagcast_posix_ms(void *context) {
  struct timespec time;
  (void)context;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint32_t)((uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000);
}

tagcast_transport tagcast_posix_transport(tagcast_posix *socket) {
  tagcast_transport transport = {NULL, on_connect, on_read, on_write, tagcast_posix_ms};
  socket->fd = -1;
  transport.context = socket;
  return transport;
}

bool tagcast_posix_seed(uint32_t seed[4]) {
  FILE *file = fopen("/dev/urandom", "rb");
  bool filled = file != NULL && fread(seed, sizeof *seed, 4, file) == 4;
  if (file != NULL) fclose(file);
  return filled;
}

/* Copies up to the end of a part. False: it does not fit. */
static bool copy(char *to, size_t room, const char *from, size_t size) {
  if (size >= room) return false;
  memcpy(to, from, size);
  to[size] = 0;
  return true;
}

bool tagcast_parse_url(tagcast_url *url, const char *text) {
  const char *host, *port;
  size_t authority, size;
  url->secure = strncmp(text, "wss://", 6) == 0;
  if (!url->secure && strncmp(text, "ws://", 5) != 0) return false;
  text += url->secure ? 6 : 5;
  authority = strcspn(text, "/");
  if (!copy(url->authority, sizeof url->authority, text, authority)) return false;
  if (!copy(url->path, sizeof url->path, text[authority] == 0 ? "/ws" : text + authority, strlen(text + authority) + (text[authority] == 0 ? 3 : 0))) return false;
  /* The address of version 6 has colons, in brackets. */
  host = url->authority + (*url->authority == '[' ? 1 : 0);
  size = strcspn(host, *url->authority == '[' ? "]" : ":");
  port = strchr(host + size, ':');
  return size > 0 && copy(url->host, sizeof url->host, host, size) &&
         copy(url->port, sizeof url->port, port != NULL ? port + 1 : url->secure ? "443" : "80",
              port != NULL ? strlen(port + 1) : url->secure ? 3 : 2);
}

void tagcast_configure(tagcast_config *config, const tagcast_url *url, const char *token) {
  config->host = url->authority;
  config->path = url->path;
  config->token = token;
}
