// The part of the C library's byte and string functions that the bindings and the examples use.
#ifndef TANDEM_FREESTANDING_STRING_H
#define TANDEM_FREESTANDING_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *left, const void *right, size_t size);
size_t strlen(const char *text);

#endif
