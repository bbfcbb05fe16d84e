// The smallest useful detector: how far a value lies from the running mean, in units of three running standard deviations.
// What an exported function is given belongs to it, and it frees it; what it answers is freed by the bindings.

#include "detector_plugin.h"
#include "mean.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef exports_tandem_plugin_detector_failure_t failure_t;
typedef exports_tandem_plugin_detector_list_frame_t frames_t;
typedef exports_tandem_plugin_detector_frame_t frame_t;
typedef exports_tandem_plugin_detector_scores_t scores_t;
typedef exports_tandem_plugin_detector_list_group_t groups_t;

typedef struct {
  uint32_t id;
  mean_t mean;
} group_t;

// The watched groups, in ascending order of their ids.
struct exports_tandem_plugin_detector_watch_t {
  group_t *groups;
  size_t count;
  size_t room;
};

typedef exports_tandem_plugin_detector_watch_t watch_t;

// An empty list has no memory, because the bindings free none for it.
static void *allocate(size_t count, size_t size) {
  if (count == 0) return NULL;
  void *pointer = calloc(count, size);
  if (pointer == NULL) abort();
  return pointer;
}

// A failure about a group: `before`, the id, `after`. Answers false, which is what an exported function answers then.
static bool fail(failure_t *err, tandem_plugin_types_failure_code_t code, const char *before, uint32_t id, const char *after) {
  char digits[11] = {0};
  size_t at = sizeof(digits) - 1;
  do {
    digits[--at] = (char)('0' + id % 10);
    id /= 10;
  } while (id > 0);
  const char *parts[] = {before, digits + at, after};
  size_t length = 0;
  for (size_t i = 0; i < 3; i++) length += strlen(parts[i]);
  uint8_t *text = allocate(length, 1);
  length = 0;
  for (size_t i = 0; i < 3; i++) {
    memcpy(text + length, parts[i], strlen(parts[i]));
    length += strlen(parts[i]);
  }
  *err = (failure_t){.code = code, .message = {.ptr = text, .len = length}, .retry = false};
  return false;
}

static bool fail_unknown(failure_t *err, uint32_t id) {
  return fail(err, TANDEM_PLUGIN_TYPES_FAILURE_CODE_MALFORMED, "group ", id, " is not watched; it must join first");
}

// Where a group is, or where it would be.
static size_t place_of(const watch_t *watch, uint32_t id) {
  size_t low = 0, high = watch->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (watch->groups[middle].id < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

static mean_t *known(const watch_t *watch, uint32_t id) {
  size_t place = place_of(watch, id);
  return place < watch->count && watch->groups[place].id == id ? &watch->groups[place].mean : NULL;
}

static void put(watch_t *watch, uint32_t id, mean_t mean) {
  mean_t *already = known(watch, id);
  if (already != NULL) {
    *already = mean;
    return;
  }
  if (watch->count == watch->room) {
    watch->room = watch->room * 2 + 8;
    watch->groups = realloc(watch->groups, watch->room * sizeof(group_t));
    if (watch->groups == NULL) abort();
  }
  size_t place = place_of(watch, id);
  memmove(&watch->groups[place + 1], &watch->groups[place], (watch->count - place) * sizeof(group_t));
  watch->groups[place] = (group_t){.id = id, .mean = mean};
  watch->count++;
}

static bool add(watch_t *watch, const groups_t *groups, failure_t *err) {
  for (size_t i = 0; i < groups->len; i++) {
    if (groups->ptr[i].members.len != 1) {
      return fail(err, TANDEM_PLUGIN_TYPES_FAILURE_CODE_UNSUPPORTED, "group ", groups->ptr[i].id,
                  " does not have one member; this detector takes one");
    }
  }
  for (size_t i = 0; i < groups->len; i++) put(watch, groups->ptr[i].id, (mean_t){0});
  return true;
}

// Each frame is of a known group and has as many values as moments.
static bool check(const watch_t *watch, const frames_t *frames, failure_t *err) {
  for (size_t i = 0; i < frames->len; i++) {
    const frame_t *frame = &frames->ptr[i];
    if (known(watch, frame->group) == NULL) return fail_unknown(err, frame->group);
    if (frame->at.len != frame->value.len) {
      return fail(err, TANDEM_PLUGIN_TYPES_FAILURE_CODE_MALFORMED, "the frame of group ", frame->group,
                  " has columns of unequal length");
    }
  }
  return true;
}

static detector_plugin_list_f64_t column(size_t points) {
  return (detector_plugin_list_f64_t){.ptr = allocate(points, sizeof(double)), .len = points};
}

static scores_t answer(mean_t *mean, const frame_t *frame) {
  size_t points = 0;
  for (size_t i = 0; i < frame->value.len; i++) points += isfinite(frame->value.ptr[i]) ? 1 : 0;
  scores_t scores = {.group = frame->group, .score = column(points), .low = column(points), .high = column(points)};
  scores.at.ptr = allocate(points, sizeof(int64_t));
  scores.at.len = points;
  size_t answered = 0;
  for (size_t i = 0; i < frame->value.len; i++) {
    double value = frame->value.ptr[i];
    if (!isfinite(value)) continue;
    judged_t judged = {.score = 0, .low = NAN, .high = NAN};
    if (mean_is_warming(mean)) scores.warming++;
    else judged = mean_judge(mean, value);
    scores.at.ptr[answered] = frame->at.ptr[i];
    scores.score.ptr[answered] = judged.score;
    scores.low.ptr[answered] = judged.low;
    scores.high.ptr[answered] = judged.high;
    answered++;
    mean_learn(mean, value);
  }
  return scores;
}

// Nothing, or an object without keys.
static bool check_config(const detector_plugin_string_t *config, failure_t *err) {
  const char expected[] = "{}";
  size_t seen = 0;
  for (size_t i = 0; i < config->len; i++) {
    char sign = (char)config->ptr[i];
    if (sign == ' ' || sign == '\n' || sign == '\r' || sign == '\t') continue;
    if (seen == 2 || sign != expected[seen]) {
      *err = (failure_t){.code = TANDEM_PLUGIN_TYPES_FAILURE_CODE_MISCONFIGURED};
      detector_plugin_string_dup(&err->message, "this plugin takes no configuration");
      return false;
    }
    seen++;
  }
  return true;
}

static void give(exports_tandem_plugin_detector_own_watch_t *ret, watch_t watch) {
  watch_t *kept = allocate(1, sizeof(watch_t));
  *kept = watch;
  *ret = exports_tandem_plugin_detector_watch_new(kept);
}

static void set(detector_plugin_string_t *string, const char *text) { detector_plugin_string_dup(string, text); }

void exports_tandem_plugin_about_describe(exports_tandem_plugin_about_description_t *ret) {
  memset(ret, 0, sizeof(*ret));
  set(&ret->name, "detector-mean-c");
  set(&ret->version, "1.0.0");
  set(&ret->summary, "Scores each point by its distance to the running mean.");
  ret->interests.ptr = allocate(1, sizeof(*ret->interests.ptr));
  ret->interests.len = 1;
  ret->interests.ptr->scope = TANDEM_PLUGIN_DESCRIPTION_TYPES_SCOPE_SERIES;
  ret->interests.ptr->history_seconds = 3600;
  detector_plugin_list_string_t *metrics = &ret->interests.ptr->selector.metrics;
  metrics->ptr = allocate(1, sizeof(*metrics->ptr));
  metrics->len = 1;
  set(metrics->ptr, "model.*");
}

bool exports_tandem_plugin_detector_open(detector_plugin_string_t *config, exports_tandem_plugin_detector_own_watch_t *ret, failure_t *err) {
  bool good = check_config(config, err);
  if (good) give(ret, (watch_t){0});
  detector_plugin_string_free(config);
  return good;
}

bool exports_tandem_plugin_detector_restore(detector_plugin_string_t *config, groups_t *groups,
                                            exports_tandem_plugin_detector_list_group_state_t *states,
                                            exports_tandem_plugin_detector_own_watch_t *ret, failure_t *err) {
  watch_t watch = {0};
  bool good = check_config(config, err) && add(&watch, groups, err);
  for (size_t i = 0; good && i < states->len; i++) {
    mean_t *mean = known(&watch, states->ptr[i].group);
    if (mean == NULL) {
      good = fail_unknown(err, states->ptr[i].group);
    } else if (!mean_load(mean, states->ptr[i].state.ptr, states->ptr[i].state.len)) {
      good = fail(err, TANDEM_PLUGIN_TYPES_FAILURE_CODE_UNSUPPORTED, "the state of group ", states->ptr[i].group,
                  " is of another version");
    }
  }
  if (good) give(ret, watch);
  else free(watch.groups);
  detector_plugin_string_free(config);
  exports_tandem_plugin_detector_list_group_free(groups);
  exports_tandem_plugin_detector_list_group_state_free(states);
  return good;
}

bool exports_tandem_plugin_detector_method_watch_join(watch_t *watch, groups_t *groups, frames_t *history, failure_t *err) {
  bool good = add(watch, groups, err) && check(watch, history, err);
  for (size_t i = 0; good && i < history->len; i++) {
    mean_t *mean = known(watch, history->ptr[i].group);
    for (size_t k = 0; k < history->ptr[i].value.len; k++) mean_learn(mean, history->ptr[i].value.ptr[k]);
  }
  exports_tandem_plugin_detector_list_group_free(groups);
  exports_tandem_plugin_detector_list_frame_free(history);
  return good;
}

bool exports_tandem_plugin_detector_method_watch_leave(watch_t *watch, detector_plugin_list_u32_t *groups, failure_t *err) {
  (void)err;
  for (size_t i = 0; i < groups->len; i++) {
    size_t place = place_of(watch, groups->ptr[i]);
    if (place == watch->count || watch->groups[place].id != groups->ptr[i]) continue;
    watch->count--;
    memmove(&watch->groups[place], &watch->groups[place + 1], (watch->count - place) * sizeof(group_t));
  }
  detector_plugin_list_u32_free(groups);
  return true;
}

bool exports_tandem_plugin_detector_method_watch_observe(watch_t *watch, frames_t *batch,
                                                         exports_tandem_plugin_detector_observation_t *ret, failure_t *err) {
  bool good = check(watch, batch, err);
  if (good) {
    memset(ret, 0, sizeof(*ret));
    ret->scores.ptr = allocate(batch->len, sizeof(scores_t));
    for (size_t i = 0; i < batch->len; i++) {
      scores_t scores = answer(known(watch, batch->ptr[i].group), &batch->ptr[i]);
      if (scores.at.len > 0) ret->scores.ptr[ret->scores.len++] = scores;
    }
    if (ret->scores.len == 0) free(ret->scores.ptr);
  }
  exports_tandem_plugin_detector_list_frame_free(batch);
  return good;
}

static void save(exports_tandem_plugin_detector_group_state_t *state, uint32_t id, const mean_t *mean) {
  state->group = id;
  state->state = (detector_plugin_list_u8_t){.ptr = allocate(MEAN_STATE_BYTES, 1), .len = MEAN_STATE_BYTES};
  mean_save(mean, state->state.ptr);
}

bool exports_tandem_plugin_detector_method_watch_snapshot(watch_t *watch, detector_plugin_list_u32_t *groups,
                                                          exports_tandem_plugin_detector_list_group_state_t *ret, failure_t *err) {
  bool good = true;
  for (size_t i = 0; good && i < groups->len; i++) {
    if (known(watch, groups->ptr[i]) == NULL) good = fail_unknown(err, groups->ptr[i]);
  }
  if (good) {
    ret->len = groups->len > 0 ? groups->len : watch->count;
    ret->ptr = allocate(ret->len, sizeof(*ret->ptr));
    for (size_t i = 0; i < ret->len; i++) {
      uint32_t id = groups->len > 0 ? groups->ptr[i] : watch->groups[i].id;
      save(&ret->ptr[i], id, known(watch, id));
    }
  }
  detector_plugin_list_u32_free(groups);
  return good;
}

void exports_tandem_plugin_detector_watch_destructor(watch_t *watch) {
  free(watch->groups);
  free(watch);
}
