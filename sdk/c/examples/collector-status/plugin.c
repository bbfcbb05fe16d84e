// A small collector: reads a service's JSON status page over HTTP, and says what its numbers mean.
// What an exported function is given belongs to it, and it frees it; what it answers is freed by the bindings.

#include "collector_plugin.h"
#include "http.h"
#include "page.h"

#include <stdlib.h>
#include <string.h>

typedef exports_tandem_plugin_collector_failure_t failure_t;
typedef exports_tandem_plugin_collector_collection_t collection_t;
typedef collector_plugin_string_t string_t;

#define SERIES 4
// Digits of the largest 32-bit number.
#define CURSOR_BYTES 10

// An empty list has no memory, because the bindings free none for it.
static void *allocate(size_t count, size_t size) {
  if (count == 0) return NULL;
  void *pointer = calloc(count, size);
  if (pointer == NULL) abort();
  return pointer;
}

static void set(string_t *string, const char *text) { collector_plugin_string_dup(string, text); }

static void set_bytes(string_t *string, const uint8_t *text, size_t bytes) {
  string->ptr = allocate(bytes, 1);
  string->len = bytes;
  memcpy(string->ptr, text, bytes);
}

// Answers false, which is what an exported function answers with a failure.
static bool fail(failure_t *err, tandem_plugin_types_failure_code_t code, const char *message, bool retry) {
  err->code = code;
  err->retry = retry;
  set(&err->message, message);
  return false;
}

static bool is(const string_t *string, const char *text) { return string->len == strlen(text) && memcmp(string->ptr, text, string->len) == 0; }

static void service_entity(tandem_plugin_types_entity_t *entity, const uint8_t *name, size_t bytes) {
  set(&entity->kind, "service");
  entity->keys.ptr = allocate(1, sizeof(*entity->keys.ptr));
  entity->keys.len = 1;
  set(&entity->keys.ptr->scheme, "name");
  set_bytes(&entity->keys.ptr->value, name, bytes);
  entity->keys.ptr->strength = TANDEM_PLUGIN_TYPES_KEY_STRENGTH_LOCAL;
  set_bytes(&entity->name, name, bytes);
}

void exports_tandem_plugin_about_describe(exports_tandem_plugin_about_description_t *ret) {
  memset(ret, 0, sizeof(*ret));
  set(&ret->name, "collector-status-c");
  set(&ret->version, "1.0.0");
  set(&ret->summary, "Reads a service's JSON status page.");
  ret->interests.ptr = allocate(1, sizeof(*ret->interests.ptr));
  ret->interests.len = 1;
  ret->interests.ptr->scope = TANDEM_PLUGIN_DESCRIPTION_TYPES_SCOPE_TARGET;
  collector_plugin_list_string_t *metrics = &ret->interests.ptr->selector.metrics;
  metrics->ptr = allocate(1, sizeof(*metrics->ptr));
  metrics->len = 1;
  set(metrics->ptr, "status_*");
  ret->capabilities.ptr = allocate(1, sizeof(*ret->capabilities.ptr));
  ret->capabilities.len = 1;
  set(&ret->capabilities.ptr->name, "http");
  set(&ret->capabilities.ptr->value, "target");
  set(&ret->capabilities.ptr->reason, "to fetch the status page");
}

// The cursor counts the calls, in decimal digits.
static bool read_cursor(const collector_plugin_list_u8_t *cursor, uint32_t *calls) {
  *calls = 0;
  if (cursor->len > CURSOR_BYTES - 1) return false;
  for (size_t i = 0; i < cursor->len; i++) {
    if (cursor->ptr[i] < '0' || cursor->ptr[i] > '9') return false;
    *calls = *calls * 10 + (cursor->ptr[i] - '0');
  }
  return true;
}

static void write_cursor(collector_plugin_list_u8_t *cursor, uint32_t calls) {
  uint8_t digits[CURSOR_BYTES];
  size_t at = CURSOR_BYTES;
  do {
    digits[--at] = (uint8_t)('0' + calls % 10);
    calls /= 10;
  } while (calls > 0);
  cursor->len = CURSOR_BYTES - at;
  cursor->ptr = allocate(cursor->len, 1);
  memcpy(cursor->ptr, digits + at, cursor->len);
}

static void fill(collection_t *ret, int64_t now, const page_t *page, uint32_t calls) {
  memset(ret, 0, sizeof(*ret));
  const struct {
    const char *metric;
    tandem_plugin_types_metric_type_t metric_type;
    double value;
  } values[SERIES] = {
      {"status_healthy", TANDEM_PLUGIN_TYPES_METRIC_TYPE_GAUGE, page->healthy ? 1 : 0},
      {"status_queue_depth", TANDEM_PLUGIN_TYPES_METRIC_TYPE_GAUGE, page->queue_depth},
      {"status_requests_total", TANDEM_PLUGIN_TYPES_METRIC_TYPE_COUNTER, page->requests},
      {"status_calls_total", TANDEM_PLUGIN_TYPES_METRIC_TYPE_COUNTER, calls},
  };
  ret->series.ptr = allocate(SERIES, sizeof(*ret->series.ptr));
  ret->points.ptr = allocate(SERIES, sizeof(*ret->points.ptr));
  ret->series.len = ret->points.len = SERIES;
  for (uint32_t i = 0; i < SERIES; i++) {
    tandem_plugin_types_series_t *series = &ret->series.ptr[i];
    set(&series->metric, values[i].metric);
    series->metric_type = values[i].metric_type;
    series->labels.ptr = allocate(1, sizeof(*series->labels.ptr));
    series->labels.len = 1;
    set(&series->labels.ptr->name, "service");
    set_bytes(&series->labels.ptr->value, page->service, page->service_bytes);
    tandem_plugin_types_points_t *points = &ret->points.ptr[i];
    points->series = i;
    points->at.ptr = allocate(1, sizeof(int64_t));
    points->value.ptr = allocate(1, sizeof(double));
    points->at.len = points->value.len = 1;
    points->at.ptr[0] = now;
    points->value.ptr[0] = values[i].value;
  }
  ret->entities.ptr = allocate(1, sizeof(*ret->entities.ptr));
  ret->entities.len = 1;
  service_entity(ret->entities.ptr, page->service, page->service_bytes);
  write_cursor(&ret->cursor, calls);
}

bool exports_tandem_plugin_collector_collect(exports_tandem_plugin_collector_collect_request_t *request, collection_t *ret, failure_t *err) {
  uint32_t calls;
  http_answer_t answer;
  const char *why;
  page_t page;
  bool good = read_cursor(&request->cursor, &calls);
  if (!good) {
    fail(err, TANDEM_PLUGIN_TYPES_FAILURE_CODE_MALFORMED, "the cursor is no number", false);
  } else if (!http_get(&request->target, &answer, &why)) {
    good = answer.is_refused ? fail(err, TANDEM_PLUGIN_TYPES_FAILURE_CODE_REFUSED, why, false)
                             : fail(err, TANDEM_PLUGIN_TYPES_FAILURE_CODE_UNREACHABLE, why, true);
  } else {
    if (answer.status != 200) {
      good = fail(err, TANDEM_PLUGIN_TYPES_FAILURE_CODE_UNREACHABLE, "the page's status is not 200", true);
    } else if (!page_read(&page, answer.body.ptr, answer.body.len)) {
      good = fail(err, TANDEM_PLUGIN_TYPES_FAILURE_CODE_MALFORMED, "the page is not as expected", false);
    } else {
      fill(ret, request->now, &page, calls + 1);
    }
    free(answer.body.ptr);
  }
  exports_tandem_plugin_collector_collect_request_free(request);
  return good;
}

bool exports_tandem_plugin_collector_receive(exports_tandem_plugin_collector_payload_t *payload, collection_t *ret, failure_t *err) {
  (void)ret;
  exports_tandem_plugin_collector_payload_free(payload);
  return fail(err, TANDEM_PLUGIN_TYPES_FAILURE_CODE_UNSUPPORTED, "this plugin takes no pushed payloads", false);
}

static void set_unhealthy_rule(tandem_plugin_meaning_types_list_fault_rule_t *rules) {
  rules->ptr = allocate(1, sizeof(*rules->ptr));
  rules->len = 1;
  set(&rules->ptr->code, "service.unhealthy");
  rules->ptr->condition.tag = TANDEM_PLUGIN_MEANING_TYPES_CONDITION_WITHIN;
  rules->ptr->condition.val.within = (tandem_plugin_meaning_types_range_t){.low = 0, .high = 0};
  rules->ptr->severity = TANDEM_PLUGIN_TYPES_SEVERITY_CRITICAL;
  set(&rules->ptr->title, "the service calls itself unhealthy");
  set(&rules->ptr->advice, "Look at the service's own log.");
}

// The index of the service's entity, added when it is new.
static uint32_t entity_of(exports_tandem_plugin_mapper_mapping_t *mapping, const string_t *service) {
  for (uint32_t i = 0; i < mapping->entities.len; i++) {
    const string_t *name = &mapping->entities.ptr[i].name;
    if (name->len == service->len && memcmp(name->ptr, service->ptr, name->len) == 0) return i;
  }
  service_entity(&mapping->entities.ptr[mapping->entities.len], service->ptr, service->len);
  return (uint32_t)mapping->entities.len++;
}

static const string_t *service_of(const tandem_plugin_types_series_t *series) {
  for (size_t i = 0; i < series->labels.len; i++) {
    if (is(&series->labels.ptr[i].name, "service")) return &series->labels.ptr[i].value;
  }
  return NULL;
}

bool exports_tandem_plugin_mapper_interpret(exports_tandem_plugin_mapper_target_t *target, exports_tandem_plugin_mapper_list_series_t *series,
                                            exports_tandem_plugin_mapper_mapping_t *ret, failure_t *err) {
  (void)err;
  const struct {
    const char *metric, *name, *unit;
  } known[] = {
      {"status_healthy", "service.healthy", "1"},
      {"status_queue_depth", "service.queue.depth", "{request}"},
      {"status_requests_total", "service.requests", "{request}"},
  };
  memset(ret, 0, sizeof(*ret));
  ret->entities.ptr = allocate(series->len, sizeof(*ret->entities.ptr));
  ret->meanings.ptr = allocate(series->len, sizeof(*ret->meanings.ptr));
  for (uint32_t i = 0; i < series->len; i++) {
    const string_t *service = service_of(&series->ptr[i]);
    for (size_t k = 0; service != NULL && k < sizeof(known) / sizeof(known[0]); k++) {
      if (!is(&series->ptr[i].metric, known[k].metric)) continue;
      tandem_plugin_meaning_types_meaning_t *meaning = &ret->meanings.ptr[ret->meanings.len++];
      meaning->series = i;
      meaning->entity = entity_of(ret, service);
      set(&meaning->name, known[k].name);
      set(&meaning->unit, known[k].unit);
      meaning->scale = 1;
      if (k == 0) set_unhealthy_rule(&meaning->fault_rules);
    }
  }
  if (ret->meanings.len == 0) {
    free(ret->entities.ptr);
    free(ret->meanings.ptr);
  }
  exports_tandem_plugin_mapper_target_free(target);
  exports_tandem_plugin_mapper_list_series_free(series);
  return true;
}
