// The status page `{"service": "chat", "healthy": true, "queue_depth": 3, "requests": 120}`: a flat JSON object of strings,
// numbers and booleans, which is all that this reader knows.
#ifndef PAGE_H
#define PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  // Points into the text.
  const uint8_t *service;
  size_t service_bytes;
  bool healthy;
  double queue_depth;
  double requests;
} page_t;

// False when the text is no such page. Further keys are passed over; strings with escapes are refused.
bool page_read(page_t *page, const uint8_t *text, size_t bytes);

#endif
