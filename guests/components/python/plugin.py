"""The plugin of the example's contract. Its resource is in `text.py`: componentize-py looks for resources in a module with
the name of their interface."""

from string import ascii_lowercase, ascii_uppercase

from componentize_py_types import Err
from wit_world.exports.text import (
    Frame,
    Frame_Configured,
    Frame_Prefix,
    Frame_Quotes,
    Problem_Empty,
    Problem_NotAscii,
    Request,
    Response,
    Style,
)
from wit_world.imports import host
from wit_world.imports.host import Level

# Only ASCII letters, as in the other languages.
UPPER_CASE = str.maketrans(ascii_lowercase, ascii_uppercase)


def change(text: str, style: Style, frame: Frame | None) -> str:
    host.log(Level.INFO, f"processing {len(text.encode())} bytes")
    if Style.UPPER in style:
        text = text.translate(UPPER_CASE)
    if Style.REVERSE in style:
        text = text[::-1]
    match frame:
        case Frame_Configured():
            prefix = host.config("prefix")
            return f"{'DEFAULT_PREFIX' if prefix is None else prefix}_{text}"
        case Frame_Prefix(prefix):
            return prefix + text
        case Frame_Quotes((opening, closing)):
            return opening + text + closing
    return text


class WitWorld:
    def process(self, input: bytes) -> bytes:
        try:
            text = input.decode()
        except UnicodeDecodeError:
            raise Err("input is not UTF-8")
        return change(text, Style.UPPER, Frame_Configured()).encode()


class Text:
    def customize(self, request: Request) -> Response:
        if not request.text:
            raise Err(Problem_Empty())
        if Style.ASCII in request.style:
            for character in request.text:
                if not character.isascii():
                    raise Err(Problem_NotAscii(character))
        text = change(request.text, request.style, request.frame)
        return Response(text, len(text))
