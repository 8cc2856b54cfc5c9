/* A transport of tagcast.h through TLS by mbedTLS 2.28 or 3, with its own sockets below. */
#ifndef TAGCAST_MBEDTLS_H
#define TAGCAST_MBEDTLS_H

#include "tagcast.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>

typedef struct {
  const char *host, *port; /* the certificate has to be of this host */
  bool has_connection;
  mbedtls_net_context net;
  mbedtls_entropy_context entropy;
  mbedtls_ctr_drbg_context random;
  mbedtls_x509_crt authorities;
  mbedtls_ssl_config config;
  mbedtls_ssl_context ssl;
} tagcast_mbedtls;

/* `authorities`: PEM text of the certificates that are trusted, its final 0 included in `size`. Answers 0 or mbedTLS's error. */
int tagcast_mbedtls_open(tagcast_mbedtls *tls, const uint8_t *authorities, size_t size);

tagcast_transport tagcast_mbedtls_transport(tagcast_mbedtls *tls);

#endif
