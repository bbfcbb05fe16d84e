// What WebAssembly has an instruction for.
#ifndef TANDEM_FREESTANDING_MATH_H
#define TANDEM_FREESTANDING_MATH_H

#define NAN __builtin_nan("")
#define INFINITY __builtin_inf()
#define isfinite(x) __builtin_isfinite(x)
#define isnan(x) __builtin_isnan(x)

static inline double fabs(double x) { return __builtin_fabs(x); }
static inline double sqrt(double x) { return __builtin_sqrt(x); }

#endif
