"""Values of components as text (WAVE), read and written by their type, as the Python package `wasmtime` has both."""

import re
from typing import Any

from wasmtime import component as types

TOKEN = re.compile(
    r"""\s*(?: (?P<string>"(?:[^"\\]|\\.)*") | (?P<char>'(?:[^'\\]|\\.[^']*)')
             | (?P<number>-?(?:[0-9][0-9.eE+-]*|inf)|nan) | \$(?P<handle>\w+) | %?(?P<name>[A-Za-z][A-Za-z0-9-]*)
             | (?P<mark>[()\[\]{},:]) )""",
    re.VERBOSE,
)
ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F]+)\}|(.))")
LETTERS = {"n": "\n", "r": "\r", "t": "\t"}


class Reader:
    """Reads values from a text, token by token."""

    def __init__(self, text: str, handles: dict[str, Any]):
        self.tokens = []
        at = 0
        text = text.rstrip()
        while at < len(text):
            token = TOKEN.match(text, at)
            if not token:
                raise ValueError(f"not WAVE: {text[at:]!r}")
            self.tokens.append((token.lastgroup, token[token.lastgroup]))
            at = token.end()
        self.handles = handles

    def peek(self) -> tuple[str, str]:
        return self.tokens[0] if self.tokens else ("end", "the end")

    def take(self, kind: str) -> str:
        found = self.peek()
        if found[0] != kind:
            raise ValueError(f"expected a {kind}, found {found[1]}")
        return self.tokens.pop(0)[1]

    def take_if(self, mark: str) -> bool:
        if self.peek() == ("mark", mark):
            self.tokens.pop(0)
            return True
        return False

    def expect(self, mark: str) -> None:
        if not self.take_if(mark):
            raise ValueError(f"expected `{mark}`, found {self.peek()[1]}")

    def list(self, end: str, element: Any) -> list:
        values = []
        while not self.take_if(end):
            values.append(element(len(values)))
            if not self.take_if(","):
                self.expect(end)
                break
        return values

    def value(self, type: types.ValType) -> Any:
        match type:
            case types.Bool():
                return {"true": True, "false": False}[self.take("name")]
            case types.F32() | types.F64():
                return float(self.take("number"))
            case types.Char() | types.String():
                quoted = self.take("char" if isinstance(type, types.Char) else "string")
                return ESCAPE.sub(
                    lambda escape: chr(int(escape[1], 16)) if escape[1] else LETTERS.get(escape[2], escape[2]),
                    quoted[1:-1],
                )
            case types.ListType():
                self.expect("[")
                values = self.list("]", lambda _: self.value(type.element))
                return bytes(values) if isinstance(type.element, types.U8) else values
            case types.TupleType():
                self.expect("(")
                return tuple(self.list(")", lambda index: self.value(type.elements[index])))
            case types.RecordType():
                return self.record(dict(type.fields))
            case types.FlagsType():
                self.expect("{")
                return set(self.list("}", lambda _: self.take("name")))
            case types.EnumType():
                return self.take("name")
            case types.OwnType() | types.BorrowType():
                return self.handles[self.take("handle")]
            case types.VariantType() | types.OptionType() | types.ResultType():
                return self.variant(type)
            case _:
                return int(self.take("number"))

    def record(self, fields: dict[str, types.ValType]) -> types.Record:
        record = types.Record()
        for name, type in fields.items():
            if isinstance(type, types.OptionType):
                setattr(record, name, types.Variant("none") if type._tagged() else None)

        def field(_: int) -> None:
            name = self.take("name")
            self.expect(":")
            setattr(record, name, self.value(fields[name]))

        self.expect("{")
        self.list("}", field)
        return record

    def variant(self, type: Any) -> Any:
        cases = dict(type._cases())
        kind, name = self.peek()
        payload = None
        if kind == "name" and name in cases:
            self.take("name")
            if cases[name] is not None:
                self.expect("(")
                payload = self.value(cases[name])
                self.expect(")")
        elif isinstance(type, types.VariantType):
            raise ValueError(f"expected one of {', '.join(cases)}, found {name}")
        else:
            # The text may leave out `some` and `ok`.
            name = "some" if isinstance(type, types.OptionType) else "ok"
            payload = self.value(cases[name])
        return types.Variant(name, payload) if type._tagged() else payload


def read_call(text: str, parameters: list[types.ValType], handles: dict[str, Any]) -> list[Any]:
    """Reads the arguments of `function(arguments)`, whose handles are names with `$` before."""
    reader = Reader(text[text.index("(") :], handles)
    reader.expect("(")
    arguments = reader.list(")", lambda index: reader.value(parameters[index]))
    if len(arguments) != len(parameters) or reader.tokens:
        raise ValueError(f"expected {len(parameters)} arguments in {text}")
    return arguments


def quote(text: str, mark: str) -> str:
    """Quotes a text. Control characters become escapes."""
    names = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", mark: "\\" + mark}
    return mark + "".join(names.get(c, c if c.isprintable() else f"\\u{{{ord(c):x}}}") for c in text) + mark


def write(type: types.ValType, value: Any) -> str:
    """Returns a value as text, with every `some` and `ok`. A handle is written as `$`."""
    match type:
        case types.Bool():
            return "true" if value else "false"
        case types.Char():
            return quote(value, "'")
        case types.String():
            return quote(value, '"')
        case types.ListType():
            return f"[{', '.join(write(type.element, element) for element in value)}]"
        case types.TupleType():
            return f"({', '.join(map(write, type.elements, value))})"
        case types.RecordType():
            return f"{{{', '.join(f'{name}: {write(of, getattr(value, name))}' for name, of in type.fields)}}}"
        case types.FlagsType():
            return f"{{{', '.join(name for name in type.names if name in value)}}}"
        case types.EnumType():
            return value
        case types.OwnType() | types.BorrowType():
            return "$"
        case types.VariantType() | types.OptionType() | types.ResultType():
            return write_variant(type, value)
        case _:
            return str(value)


def write_variant(type: Any, value: Any) -> str:
    if type._tagged():
        name, value = value.tag, value.payload
        of = dict(type._cases())[name]
    else:
        name, of = next((name, of) for name, of in type._cases() if matches(of, value))
    return name if of is None else f"{name}({write(of, value)})"


def matches(type: types.ValType | None, value: Any) -> bool:
    """Whether a value without a tag can be of this type."""
    if type is None:
        return value is None
    if isinstance(type, (types.VariantType, types.OptionType, types.ResultType)) and not type._tagged():
        return any(matches(of, value) for _, of in type._cases())
    classes: set[Any] = set()
    type.add_classes(classes)
    return isinstance(value, tuple(classes))
