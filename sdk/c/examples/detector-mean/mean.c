// The same formulas, in the same order, as in the other languages, so that the scores are the same to the last bit.

#include "mean.h"

#include <math.h>
#include <string.h>

// How many points are learnt before the first is scored.
#define WARMUP_POINTS 10
// A value this many standard deviations away scores 1.
#define LIMIT_DEVIATIONS 3.0
// The first byte of the state; another one is refused.
#define STATE_VERSION 1

_Static_assert(MEAN_STATE_BYTES == 1 + sizeof(mean_t), "the state is the version and the three fields");

bool mean_is_warming(const mean_t *mean) { return mean->count < WARMUP_POINTS; }

judged_t mean_judge(const mean_t *mean, double value) {
  double limit = LIMIT_DEVIATIONS * sqrt(mean->squares / (double)mean->count);
  double distance = fabs(value - mean->mean);
  double score = limit > 0 ? distance / limit : (distance > 0 ? 1.0 : 0.0);
  return (judged_t){.score = score, .low = mean->mean - limit, .high = mean->mean + limit};
}

void mean_learn(mean_t *mean, double value) {
  if (!isfinite(value)) return;
  mean->count++;
  double before = value - mean->mean;
  mean->mean += before / (double)mean->count;
  mean->squares += before * (value - mean->mean);
}

// WebAssembly is little-endian, so the fields are copied as they are.
void mean_save(const mean_t *mean, uint8_t state[MEAN_STATE_BYTES]) {
  state[0] = STATE_VERSION;
  memcpy(state + 1, mean, sizeof(mean_t));
}

bool mean_load(mean_t *mean, const uint8_t *state, size_t bytes) {
  if (bytes != MEAN_STATE_BYTES || state[0] != STATE_VERSION) return false;
  memcpy(mean, state + 1, sizeof(mean_t));
  return true;
}
