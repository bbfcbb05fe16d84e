// The request, step by step, as `wasi:http` wants it. Every handle is given back before the function that took it ends.

#include "http.h"

#include <stdlib.h>
#include <string.h>

// How long connecting, the first byte, and each further one may take.
#define TIMEOUT_NANOSECONDS 10000000000u
// How much is read at once.
#define READ_BYTES 65536
// The longest page that is read; a status page is far shorter.
#define MAX_PAGE_BYTES (1u << 20)

typedef struct {
  bool is_https;
  collector_plugin_string_t authority;
  collector_plugin_string_t path_with_query;
} address_t;

static bool begins_with(const collector_plugin_string_t *text, const char *start) {
  return text->len >= strlen(start) && memcmp(text->ptr, start, strlen(start)) == 0;
}

static bool parse(const collector_plugin_string_t *url, address_t *address) {
  address->is_https = begins_with(url, "https://");
  if (!address->is_https && !begins_with(url, "http://")) return false;
  size_t start = address->is_https ? 8 : 7, end = start;
  while (end < url->len && url->ptr[end] != '/') end++;
  address->authority = (collector_plugin_string_t){.ptr = url->ptr + start, .len = end - start};
  address->path_with_query = (collector_plugin_string_t){.ptr = url->ptr + end, .len = url->len - end};
  if (end == url->len) collector_plugin_string_set(&address->path_with_query, "/");
  return address->authority.len > 0;
}

static bool make_request(const address_t *address, wasi_http_types_own_outgoing_request_t *request) {
  wasi_http_types_own_headers_t headers = wasi_http_types_constructor_fields();
  wasi_http_types_field_name_t name;
  collector_plugin_string_set(&name, "accept");
  const char json[] = "application/json";
  wasi_http_types_field_value_t value = {.ptr = (uint8_t *)json, .len = sizeof(json) - 1};
  wasi_http_types_header_error_t wrong;
  bool good = wasi_http_types_method_fields_append(wasi_http_types_borrow_fields(headers), &name, &value, &wrong);
  *request = wasi_http_types_constructor_outgoing_request(headers);
  wasi_http_types_borrow_outgoing_request_t borrowed = wasi_http_types_borrow_outgoing_request(*request);
  wasi_http_types_scheme_t scheme = {.tag = address->is_https ? WASI_HTTP_TYPES_SCHEME_HTTPS : WASI_HTTP_TYPES_SCHEME_HTTP};
  collector_plugin_string_t authority = address->authority, path = address->path_with_query;
  good = good && wasi_http_types_method_outgoing_request_set_scheme(borrowed, &scheme) &&
         wasi_http_types_method_outgoing_request_set_authority(borrowed, &authority) &&
         wasi_http_types_method_outgoing_request_set_path_with_query(borrowed, &path);
  if (!good) wasi_http_types_outgoing_request_drop_own(*request);
  return good;
}

// Takes the code, and answers it in words.
static const char *in_words(wasi_http_types_error_code_t *code, bool *is_refused) {
  const char *words = "the request failed";
  *is_refused = code->tag == WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_DENIED || code->tag == WASI_HTTP_TYPES_ERROR_CODE_DESTINATION_IP_PROHIBITED;
  switch (code->tag) {
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_DENIED:
    case WASI_HTTP_TYPES_ERROR_CODE_DESTINATION_IP_PROHIBITED: words = "the host does not grant this address"; break;
    case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_REFUSED: words = "the connection was refused"; break;
    case WASI_HTTP_TYPES_ERROR_CODE_DNS_TIMEOUT:
    case WASI_HTTP_TYPES_ERROR_CODE_DNS_ERROR: words = "the name is not known"; break;
    case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_TIMEOUT:
    case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_READ_TIMEOUT:
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_RESPONSE_TIMEOUT: words = "it took too long"; break;
    default: break;
  }
  wasi_http_types_error_code_free(code);
  return words;
}

// Sends the request, which is used up, and waits for the answer's head.
static bool send(wasi_http_types_own_outgoing_request_t request, wasi_http_types_own_incoming_response_t *response, bool *is_refused,
                 const char **why) {
  wasi_http_types_own_request_options_t options = wasi_http_types_constructor_request_options();
  wasi_http_types_borrow_request_options_t borrowed = wasi_http_types_borrow_request_options(options);
  uint64_t timeout = TIMEOUT_NANOSECONDS;
  // A host that does not know one of the timeouts says so, and uses its own.
  (void)wasi_http_types_method_request_options_set_connect_timeout(borrowed, &timeout);
  (void)wasi_http_types_method_request_options_set_first_byte_timeout(borrowed, &timeout);
  (void)wasi_http_types_method_request_options_set_between_bytes_timeout(borrowed, &timeout);
  wasi_http_outgoing_handler_own_future_incoming_response_t pending;
  wasi_http_types_error_code_t code;
  if (!wasi_http_outgoing_handler_handle(request, &options, &pending, &code)) {
    *why = in_words(&code, is_refused);
    return false;
  }
  wasi_http_types_borrow_future_incoming_response_t waiting = wasi_http_types_borrow_future_incoming_response(pending);
  wasi_io_poll_own_pollable_t ready = wasi_http_types_method_future_incoming_response_subscribe(waiting);
  wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(ready));
  wasi_io_poll_pollable_drop_own(ready);
  wasi_http_types_result_result_own_incoming_response_error_code_void_t result;
  bool good = wasi_http_types_method_future_incoming_response_get(waiting, &result) && !result.is_err;
  if (!good) {
    *why = "the answer was taken already";
  } else if (result.val.ok.is_err) {
    *why = in_words(&result.val.ok.val.err, is_refused);
    good = false;
  } else {
    *response = result.val.ok.val.ok;
  }
  wasi_http_types_future_incoming_response_drop_own(pending);
  return good;
}

static bool append(collector_plugin_list_u8_t *whole, collector_plugin_list_u8_t *part) {
  uint8_t *bytes = whole->len + part->len > MAX_PAGE_BYTES ? NULL : realloc(whole->ptr, whole->len + part->len + 1);
  if (bytes != NULL) {
    memcpy(bytes + whole->len, part->ptr, part->len);
    whole->ptr = bytes;
    whole->len += part->len;
  }
  collector_plugin_list_u8_free(part);
  return bytes != NULL;
}

static bool read_body(wasi_http_types_own_incoming_response_t response, collector_plugin_list_u8_t *whole, const char **why) {
  wasi_http_types_own_incoming_body_t body;
  wasi_http_types_own_input_stream_t stream;
  *why = "the connection broke while reading";
  if (!wasi_http_types_method_incoming_response_consume(wasi_http_types_borrow_incoming_response(response), &body)) return false;
  bool good = false;
  if (wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(body), &stream)) {
    for (;;) {
      collector_plugin_list_u8_t part;
      wasi_io_streams_stream_error_t error;
      if (!wasi_io_streams_method_input_stream_blocking_read(wasi_io_streams_borrow_input_stream(stream), READ_BYTES, &part, &error)) {
        good = error.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED;
        wasi_io_streams_stream_error_free(&error);
        break;
      }
      if (!append(whole, &part)) {
        *why = "the page is longer than 1 MiB";
        break;
      }
    }
    wasi_io_streams_input_stream_drop_own(stream);
  }
  wasi_http_types_incoming_body_drop_own(body);
  return good;
}

bool http_get(const collector_plugin_string_t *url, http_answer_t *answer, const char **why) {
  memset(answer, 0, sizeof(*answer));
  address_t address;
  wasi_http_types_own_outgoing_request_t request;
  wasi_http_types_own_incoming_response_t response;
  *why = "the target is no http address";
  if (!parse(url, &address) || !make_request(&address, &request) || !send(request, &response, &answer->is_refused, why)) return false;
  answer->status = wasi_http_types_method_incoming_response_status(wasi_http_types_borrow_incoming_response(response));
  bool good = read_body(response, &answer->body, why);
  wasi_http_types_incoming_response_drop_own(response);
  if (!good) free(answer->body.ptr);
  return good;
}
