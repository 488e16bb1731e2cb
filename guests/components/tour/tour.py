"""What Python has of the features that `guests/tour/component.toml` tests. The contract is in `wit/`."""

import json
import sys
from urllib.parse import urlsplit

import wit_world
from componentize_py_types import Err, Ok
from wit_world.imports import outgoing_handler, settings, shop, state
from wit_world.imports.streams import StreamError_Closed
from wit_world.imports.types import Fields, IncomingResponse, OutgoingRequest, Scheme_Http, Scheme_Https


def decode(input: bytes) -> str:
    try:
        return input.decode()
    except UnicodeDecodeError:
        raise Err("input is not UTF-8")


def sent(request: OutgoingRequest) -> IncomingResponse:
    future = outgoing_handler.handle(request, None)
    with future.subscribe() as ready:
        ready.block()
    # Of the wait, and of its only use.
    match future.get().value:
        case Err(problem):
            raise Err(f"the request failed: {type(problem).__name__}")
        case Ok(response):
            return response


def read(response: IncomingResponse) -> bytes:
    body, parts = response.consume(), []
    with body.stream() as stream:
        try:
            while True:
                parts.append(stream.blocking_read(65536))
        except Err as error:
            if not isinstance(error.value, StreamError_Closed):
                raise Err("the response is cut off")
    return b"".join(parts)


class WitWorld(wit_world.WitWorld):
    def bytes(self, input: bytes) -> bytes:
        return input[::-1]

    def text(self, input: bytes) -> bytes:
        return decode(input).upper().encode()

    def json(self, input: bytes) -> bytes:
        try:
            order = json.loads(input)
        except ValueError as error:
            raise Err(f"input is not the expected JSON: {error}")
        return json.dumps({**order, "total": order["count"] * 1999}).encode()

    def fail(self, input: bytes) -> bytes:
        text = decode(input)
        try:
            int(text)
        except ValueError:
            raise Err(f"`{text}` is no number")
        return input

    def setting(self, input: bytes) -> bytes:
        value = settings.get(decode(input))
        return ("unset" if value is None else value).encode()

    def levels(self, input: bytes) -> bytes:
        line = decode(input)
        print(line)
        print(line, file=sys.stderr)
        return b""

    def count(self, input: bytes) -> bytes:
        key = decode(input)
        count = str(int(state.get(key) or 0) + 1)
        state.set(key, count)
        return count.encode()

    def keys(self, input: bytes) -> bytes:
        return ",".join(state.keys(decode(input))).encode()

    def forget(self, input: bytes) -> bytes:
        state.delete(decode(input))
        return b""

    def fetch(self, input: bytes) -> bytes:
        url = urlsplit(decode(input))
        request = OutgoingRequest(Fields.from_list([("accept", b"text/plain")]))
        request.set_scheme(Scheme_Https() if url.scheme == "https" else Scheme_Http())
        request.set_authority(url.netloc)
        request.set_path_with_query(url.path)
        response = sent(request)
        with response.headers() as headers:
            kind = headers.get("content-type")[0]
        return b"%d %s %s" % (response.status(), kind, read(response))

    def buy(self, input: bytes) -> bytes:
        cents = shop.price(decode(input))
        if cents is None:
            raise Err("there is no such article")
        return str(cents).encode()

    def crash(self, input: bytes) -> bytes:
        raise RuntimeError(f"the input is {decode(input)}")
