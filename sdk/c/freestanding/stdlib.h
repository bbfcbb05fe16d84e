// The part of the C library's memory functions that the bindings and the examples use.
#ifndef TANDEM_FREESTANDING_STDLIB_H
#define TANDEM_FREESTANDING_STDLIB_H

#include <stddef.h>

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *old, size_t size);
void free(void *block);
_Noreturn void abort(void);

#endif
