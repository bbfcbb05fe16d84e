"""One blocking GET through `wasi:http`, which the host answers for addresses that are granted."""

from typing import Dict, Tuple
from urllib.parse import urlsplit

from componentize_py_types import Err, Ok
from wit_world.imports import outgoing_handler
from wit_world.imports.streams import StreamError_Closed
from wit_world.imports.wasi_http_types import (
    ErrorCode_DestinationIpProhibited,
    ErrorCode_HttpRequestDenied,
    Fields,
    IncomingResponse,
    OutgoingBody,
    OutgoingRequest,
    RequestOptions,
    Scheme_Http,
    Scheme_Https,
)

# How long connecting, the first byte, and each further one may take.
TIMEOUT_NANOSECONDS = 10_000_000_000
# How much is read at once.
READ_BYTES = 65_536


class Unreachable(Exception):
    """There is no answer; `refused` says whether that is for want of a grant."""

    def __init__(self, why: object):
        super().__init__(type(why).__name__.removeprefix("ErrorCode_") if not isinstance(why, str) else why)
        self.refused = isinstance(why, (ErrorCode_HttpRequestDenied, ErrorCode_DestinationIpProhibited))


def get(url: str, headers: Dict[str, str]) -> Tuple[int, bytes]:
    """The status and the body."""
    try:
        response = send(request_of(url, headers))
        with response:
            return response.status(), read(response)
    except Err as error:
        raise Unreachable(error.value) from error


def request_of(url: str, headers: Dict[str, str]) -> OutgoingRequest:
    parts = urlsplit(url)
    request = OutgoingRequest(Fields.from_list([(name, value.encode()) for name, value in headers.items()]))
    request.set_scheme(Scheme_Https() if parts.scheme == "https" else Scheme_Http())
    request.set_authority(parts.netloc)
    request.set_path_with_query((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
    return request


def send(request: OutgoingRequest) -> IncomingResponse:
    options = RequestOptions()
    options.set_connect_timeout(TIMEOUT_NANOSECONDS)
    options.set_first_byte_timeout(TIMEOUT_NANOSECONDS)
    options.set_between_bytes_timeout(TIMEOUT_NANOSECONDS)
    body = request.body()
    future = outgoing_handler.handle(request, options)
    OutgoingBody.finish(body, None)
    with future.subscribe() as ready:
        ready.block()
    answered = future.get()
    if not isinstance(answered, Ok):
        raise Unreachable("the answer was taken already")
    if isinstance(answered.value, Err):
        raise Unreachable(answered.value.value)
    return answered.value.value


def read(response: IncomingResponse) -> bytes:
    whole = bytearray()
    with response.consume() as body, body.stream() as stream:
        while True:
            try:
                whole += stream.blocking_read(READ_BYTES)
            except Err as error:
                if isinstance(error.value, StreamError_Closed):
                    return bytes(whole)
                raise
