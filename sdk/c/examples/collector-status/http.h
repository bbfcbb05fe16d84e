// One blocking GET through `wasi:http`, which the host answers for addresses that are granted.
#ifndef HTTP_H
#define HTTP_H

#include "collector_plugin.h"

typedef struct {
  // There is no answer for want of a grant.
  bool is_refused;
  uint16_t status;
  collector_plugin_list_u8_t body;
} http_answer_t;

// Whether there is an answer, of any status; else `why` says what went wrong. The body is the caller's to free.
bool http_get(const collector_plugin_string_t *url, http_answer_t *answer, const char **why);

#endif
