// The running mean and standard deviation of one series, by Welford's method (Technometrics 4(3), 1962).
#ifndef MEAN_H
#define MEAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The version, then count, mean and squares in little-endian order.
#define MEAN_STATE_BYTES 25

// Count, mean, and sum of squared distances to the mean.
typedef struct {
  uint64_t count;
  double mean;
  double squares;
} mean_t;

// A point's score, and the band of values expected.
typedef struct {
  double score;
  double low;
  double high;
} judged_t;

// Whether there are too few points yet.
bool mean_is_warming(const mean_t *mean);
// Judges a value by the points before it.
judged_t mean_judge(const mean_t *mean, double value);
// Takes a value in; what is no number is left out.
void mean_learn(mean_t *mean, double value);
void mean_save(const mean_t *mean, uint8_t state[MEAN_STATE_BYTES]);
// False when the state is not one that `mean_save` wrote.
bool mean_load(mean_t *mean, const uint8_t *state, size_t bytes);

#endif
