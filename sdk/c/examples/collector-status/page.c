// The reader goes over the text once, keeps nothing, and points into the text.

#include "page.h"

#include <string.h>

typedef struct {
  const uint8_t *at;
  const uint8_t *end;
} reader_t;

typedef struct {
  enum { STRING, NUMBER, BOOLEAN } type;
  const uint8_t *text;
  size_t bytes;
  double number;
  bool boolean;
} value_t;

static void skip_space(reader_t *reader) {
  while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\r' || *reader->at == '\t')) reader->at++;
}

static bool take(reader_t *reader, uint8_t sign) {
  skip_space(reader);
  if (reader->at == reader->end || *reader->at != sign) return false;
  reader->at++;
  return true;
}

static bool take_word(reader_t *reader, const char *word) {
  size_t length = strlen(word);
  if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length) != 0) return false;
  reader->at += length;
  return true;
}

static bool take_string(reader_t *reader, const uint8_t **text, size_t *bytes) {
  if (!take(reader, '"')) return false;
  *text = reader->at;
  while (reader->at < reader->end && *reader->at != '"') {
    if (*reader->at == '\\' || *reader->at < ' ') return false;
    reader->at++;
  }
  *bytes = (size_t)(reader->at - *text);
  return take(reader, '"');
}

// Reads digits into `number`, and answers how many there were.
static size_t take_digits(reader_t *reader, double *number) {
  const uint8_t *start = reader->at;
  for (; reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9'; reader->at++) *number = *number * 10 + (*reader->at - '0');
  return (size_t)(reader->at - start);
}

// Exact for whole numbers up to 2^53; a fraction is rounded once.
static bool take_number(reader_t *reader, double *number) {
  bool is_negative = take_word(reader, "-");
  *number = 0;
  if (take_digits(reader, number) == 0) return false;
  double power = 1;
  if (take_word(reader, ".")) {
    size_t places = take_digits(reader, number);
    if (places == 0) return false;
    for (; places > 0; places--) power *= 10;
  }
  *number = (is_negative ? -*number : *number) / power;
  if (take_word(reader, "e") || take_word(reader, "E")) {
    bool is_small = take_word(reader, "-");
    if (!is_small) take_word(reader, "+");
    double exponent = 0;
    if (take_digits(reader, &exponent) == 0 || exponent > 300) return false;
    for (; exponent > 0; exponent--) *number = is_small ? *number / 10 : *number * 10;
  }
  return true;
}

static bool take_value(reader_t *reader, value_t *value) {
  skip_space(reader);
  if (reader->at < reader->end && *reader->at == '"') {
    value->type = STRING;
    return take_string(reader, &value->text, &value->bytes);
  }
  value->boolean = take_word(reader, "true");
  value->type = BOOLEAN;
  if (value->boolean || take_word(reader, "false")) return true;
  value->type = NUMBER;
  return take_number(reader, &value->number);
}

static bool is_key(const uint8_t *key, size_t bytes, const char *wanted) { return bytes == strlen(wanted) && memcmp(key, wanted, bytes) == 0; }

bool page_read(page_t *page, const uint8_t *text, size_t bytes) {
  reader_t reader = {.at = text, .end = text + bytes};
  unsigned found = 0;
  if (!take(&reader, '{')) return false;
  do {
    const uint8_t *key;
    size_t key_bytes;
    value_t value = {0};
    if (!take_string(&reader, &key, &key_bytes) || !take(&reader, ':') || !take_value(&reader, &value)) return false;
    if (is_key(key, key_bytes, "service") && value.type == STRING) {
      page->service = value.text;
      page->service_bytes = value.bytes;
      found |= 1;
    } else if (is_key(key, key_bytes, "healthy") && value.type == BOOLEAN) {
      page->healthy = value.boolean;
      found |= 2;
    } else if (is_key(key, key_bytes, "queue_depth") && value.type == NUMBER) {
      page->queue_depth = value.number;
      found |= 4;
    } else if (is_key(key, key_bytes, "requests") && value.type == NUMBER) {
      page->requests = value.number;
      found |= 8;
    }
  } while (take(&reader, ','));
  return take(&reader, '}') && found == 15;
}
