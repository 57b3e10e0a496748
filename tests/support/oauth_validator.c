// In: a token, and the file accepted_tokens in the data directory, of which each line is a token, a space and its bearer.
// Out: whether PostgreSQL 18 lets its bearer in. What it needs of PostgreSQL is declared here: no headers are installed.
// Chapter: https://www.postgresql.org/docs/18/oauth-validators.html
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

extern char *pstrdup(const char *text);

// What a module says of itself (fmgr.h): PostgreSQL loads none that was made for another version or another build.
struct magic {
  int length;
  int version, max_arguments, max_index_keys, name_length, float8_by_value;
  char build[32];
  const char *name, *module_version;
};

const struct magic *Pg_magic_func(void) {
  static const struct magic magic = {
    .length = sizeof magic,
    .version = 1800,
    .max_arguments = 100,
    .max_index_keys = 32,
    .name_length = 64,
    .float8_by_value = 1,
    .build = "PostgreSQL",
  };
  return &magic;
}

// What a validator is (libpq/oauth.h).
struct result {
  bool authorized;
  char *authn_id;
};

struct callbacks {
  uint32_t magic;
  void (*startup)(void *state);
  void (*shutdown)(void *state);
  bool (*validate)(const void *state, const char *token, const char *role, struct result *result);
};

static bool validate(const void *state, const char *token, const char *role, struct result *result) {
  static char line[70000];
  (void)state, (void)role;
  FILE *file = fopen("accepted_tokens", "r");
  if (file == NULL) return false;
  result->authorized = false;
  while (!result->authorized && fgets(line, sizeof line, file) != NULL) {
    char *space = strchr(line, ' ');
    if (space == NULL) continue;
    *space = '\0';
    space[1 + strcspn(space + 1, "\n")] = '\0';
    if (strcmp(line, token) != 0) continue;
    result->authorized = true;
    result->authn_id = pstrdup(space + 1);
  }
  fclose(file);
  return true;
}

const struct callbacks *_PG_oauth_validator_module_init(void) {
  static const struct callbacks callbacks = {.magic = 0x20250220, .validate = validate};
  return &callbacks;
}
