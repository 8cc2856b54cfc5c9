/* A transport of tagcast.h on sockets of POSIX, and what programs on such systems need beside it. */
#ifndef TAGCAST_POSIX_H
#define TAGCAST_POSIX_H

#include "tagcast.h"

typedef struct {
  const char *host, *port;
  int fd; /* -1: none. For poll(2): there is something to do once it can be read */
} tagcast_posix;

tagcast_transport tagcast_posix_transport(tagcast_posix *socket);

/* Milliseconds since some time. */
uint32_t tagcast_posix_ms(void *context);

/* 16 bytes of /dev/urandom. False: there is none. */
bool tagcast_posix_seed(uint32_t seed[4]);

/* The parts of ws://host:port/path, or wss://; each ends with 0. */
typedef struct {
  char host[256], port[6], path[256], authority[264];
  bool secure;
} tagcast_url;

bool tagcast_parse_url(tagcast_url *url, const char *text);

/* The parts of a configuration that come of a URL and a token. */
void tagcast_configure(tagcast_config *config, const tagcast_url *url, const char *token);

/* Makes a socket non-blocking. False: it does not let. */
bool tagcast_posix_prepare(int fd);

#endif
