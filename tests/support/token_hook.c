// In: a program of libpq 18 that this library is loaded into beforehand, and the variable OAUTH_TEST_TOKEN. Out: its
// answer to whoever asks for a token by OAUTHBEARER; without the variable libpq goes and gets one itself.
// What it needs of libpq is declared here: no headers are installed.
// Chapter: https://www.postgresql.org/docs/18/libpq-oauth.html#LIBPQ-OAUTH-AUTHDATA-HOOKS
#include <stdlib.h>

enum kind { PROMPT_OAUTH_DEVICE, OAUTH_BEARER_TOKEN };

struct bearer_request {
  const char *openid_configuration, *scope;
  void *async, *cleanup;
  char *token;
  void *user;
};

extern void PQsetAuthDataHook(int (*hook)(enum kind kind, void *connection, void *request));

static int answer(enum kind kind, void *connection, void *request) {
  (void)connection;
  char *token = getenv("OAUTH_TEST_TOKEN");
  if (kind != OAUTH_BEARER_TOKEN || token == NULL) return 0;
  ((struct bearer_request *)request)->token = token;
  return 1;
}

__attribute__((constructor)) static void begin(void) { PQsetAuthDataHook(answer); }
