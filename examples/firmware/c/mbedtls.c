/* See mbedtls.h. mbedtls_net_connect blocks until TCP is connected; a firmware has its own in place of mbedtls_net_*. */
#include "mbedtls.h"

#include "posix.h"

#include <string.h>

int tagcast_mbedtls_open(tagcast_mbedtls *tls, const uint8_t *authorities, size_t size) {
  int error;
  tls->has_connection = false;
  mbedtls_net_init(&tls->net);
  mbedtls_entropy_init(&tls->entropy);
  mbedtls_ctr_drbg_init(&tls->random);
  mbedtls_x509_crt_init(&tls->authorities);
  mbedtls_ssl_config_init(&tls->config);
  mbedtls_ssl_init(&tls->ssl);
  error = mbedtls_ctr_drbg_seed(&tls->random, mbedtls_entropy_func, &tls->entropy, NULL, 0);
  if (error == 0) error = mbedtls_x509_crt_parse(&tls->authorities, authorities, size);
  if (error == 0) {
    error = mbedtls_ssl_config_defaults(&tls->config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                        MBEDTLS_SSL_PRESET_DEFAULT);
  }
  if (error != 0) return error;
  mbedtls_ssl_conf_authmode(&tls->config, MBEDTLS_SSL_VERIFY_REQUIRED);
  mbedtls_ssl_conf_ca_chain(&tls->config, &tls->authorities, NULL);
  mbedtls_ssl_conf_rng(&tls->config, mbedtls_ctr_drbg_random, &tls->random);
  error = mbedtls_ssl_setup(&tls->ssl, &tls->config);
  if (error == 0) error = mbedtls_ssl_set_hostname(&tls->ssl, tls->host);
  if (error == 0) mbedtls_ssl_set_bio(&tls->ssl, &tls->net, mbedtls_net_send, mbedtls_net_recv, NULL);
  return error;
}

static bool waits(int answer) { return answer == MBEDTLS_ERR_SSL_WANT_READ || answer == MBEDTLS_ERR_SSL_WANT_WRITE; }

static int on_connect(void *context, tagcast_step step) {
  tagcast_mbedtls *tls = context;
  int answer;
  if (step == TAGCAST_PROCEED) {
    answer = mbedtls_ssl_handshake(&tls->ssl);
    return answer == 0 ? 1 : waits(answer) ? 0 : -1;
  }
  if (tls->has_connection) {
    mbedtls_ssl_close_notify(&tls->ssl);
    mbedtls_net_free(&tls->net);
    tls->has_connection = false;
  }
  if (step == TAGCAST_CLOSE) return 0;
  if (mbedtls_ssl_session_reset(&tls->ssl) != 0) return -1;
  if (mbedtls_net_connect(&tls->net, tls->host, tls->port, MBEDTLS_NET_PROTO_TCP) != 0) return -1;
  tls->has_connection = true;
  return tagcast_posix_prepare(tls->net.fd) ? 0 : -1;
}

static int32_t on_read(void *context, uint8_t *bytes, size_t size) {
  tagcast_mbedtls *tls = context;
  int answer = mbedtls_ssl_read(&tls->ssl, bytes, size);
  return answer > 0 ? answer : waits(answer) ? 0 : -1;
}

/* What was not taken now is offered again with more behind it: mbedTLS wants what it began first, which is the same bytes. */
static int32_t on_write(void *context, const uint8_t *bytes, size_t size) {
  tagcast_mbedtls *tls = context;
  int answer = mbedtls_ssl_write(&tls->ssl, bytes, size);
  return answer >= 0 ? answer : waits(answer) ? 0 : -1;
}

tagcast_transport tagcast_mbedtls_transport(tagcast_mbedtls *tls) {
  tagcast_transport transport = {NULL, on_connect, on_read, on_write, tagcast_posix_ms};
  transport.context = tls;
  return transport;
}
