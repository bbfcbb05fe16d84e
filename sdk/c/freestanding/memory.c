// A small allocator: one list of free blocks for each power of two, and fresh blocks from the end of the memory. Blocks are
// given back to their list and never joined, so that both ways take a fixed number of steps.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Before each block: its class. 16 bytes, so that blocks are aligned for every type.
typedef struct header {
  struct header *next;
  uint32_t class;
  uint32_t unused[2];
} header;

_Static_assert(sizeof(header) == 16, "blocks must stay aligned to 16 bytes");

enum { SMALLEST_CLASS = 5, CLASSES = 31, PAGE_BYTES = 65536 };

// The linker puts the heap behind data and stack.
extern unsigned char __heap_base;

static header *free_blocks[CLASSES];
static uintptr_t fresh, end;

static header *take_fresh(size_t bytes) {
  if (fresh == 0) {
    fresh = ((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15;
    end = __builtin_wasm_memory_size(0) * PAGE_BYTES;
  }
  if (end - fresh < bytes) {
    size_t pages = (bytes - (end - fresh) + PAGE_BYTES - 1) / PAGE_BYTES;
    if (__builtin_wasm_memory_grow(0, pages) == SIZE_MAX) return NULL;
    end += pages * PAGE_BYTES;
  }
  header *block = (header *)fresh;
  fresh += bytes;
  return block;
}

void *malloc(size_t size) {
  if (size > ((size_t)1 << (CLASSES - 1)) - sizeof(header)) return NULL;
  uint32_t class = SMALLEST_CLASS;
  while (((size_t)1 << class) < size + sizeof(header)) class++;
  header *block = free_blocks[class];
  if (block != NULL) {
    free_blocks[class] = block->next;
  } else {
    block = take_fresh((size_t)1 << class);
    if (block == NULL) return NULL;
    block->class = class;
  }
  return block + 1;
}

void free(void *pointer) {
  if (pointer == NULL) return;
  header *block = (header *)pointer - 1;
  block->next = free_blocks[block->class];
  free_blocks[block->class] = block;
}

void *calloc(size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
  void *pointer = malloc(bytes);
  if (pointer != NULL) memset(pointer, 0, bytes);
  return pointer;
}

void *realloc(void *old, size_t size) {
  if (old == NULL) return malloc(size);
  size_t room = ((size_t)1 << ((header *)old - 1)->class) - sizeof(header);
  if (size <= room) return old;
  void *pointer = malloc(size);
  if (pointer == NULL) return NULL;
  memcpy(pointer, old, room);
  free(old);
  return pointer;
}

_Noreturn void abort(void) { __builtin_trap(); }
