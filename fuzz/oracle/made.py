"""Types and values of the Component Model that are made up."""

import math
import struct
from random import Random
from typing import Any

from wasmtime import component

# Most types in one another, most parts of a type, and most elements of a short list.
DEPTH, PARTS = 4, 5

# The types without parts: their core type, and for integers the bits and whether they have a sign.
PLAIN: dict[str, tuple[str, tuple[int, bool] | None]] = {
    "bool": ("i32", None),
    "s8": ("i32", (8, True)),
    "u8": ("i32", (8, False)),
    "s16": ("i32", (16, True)),
    "u16": ("i32", (16, False)),
    "s32": ("i32", (32, True)),
    "u32": ("i32", (32, False)),
    "s64": ("i64", (64, True)),
    "u64": ("i64", (64, False)),
    "f32": ("f32", None),
    "f64": ("f64", None),
    "char": ("i32", None),
}

# Characters of one to four bytes of UTF-8, of one and two units of UTF-16, within Latin-1 and beyond.
CHARACTERS = [*"a~\0\n\"\\\x7f\x80éÿĀ日\ud7ff\ue000\uffff🦀\U0010ffff"]


class Type:
    """A value type: its kind, and the types that it is made of, of which cases may have none."""

    def __init__(self, kind: str, parts: "list[Type | None]" = [], count: int = 0):
        self.kind, self.parts, self.count = kind, parts, count

    def flat(self) -> list[str]:
        """Returns the core types of the flat form."""
        match self.kind:
            case "string" | "list":
                return ["i32", "i32"]
            case "tuple" | "record":
                return [core for part in self.parts if part for core in part.flat()]
            case "enum" | "flags":
                return ["i32"]
            case "option" | "variant" | "result":
                return joined(self.parts)
            case plain:
                return [PLAIN[plain][0]]

    def text(self, named: list[str]) -> str:
        """Returns the type as text. What must have a name is added to `named`, each after what it needs."""
        parts = [part and part.text(named) for part in self.parts]
        names = " ".join(f'"a{at}"' for at in range(self.count))
        match self.kind:
            case "list" | "option" | "tuple":
                return f"({self.kind} {' '.join(part for part in parts if part)})"
            case "result":
                return f"(result {parts[0] or ''} {f'(error {parts[1]})' if parts[1] else ''})"
            case "record":
                definition = " ".join(f'(field "a{at}" {part})' for at, part in enumerate(parts))
            case "variant":
                definition = " ".join(f'(case "a{at}" {part or ""})' for at, part in enumerate(parts))
            case "enum" | "flags":
                definition = names
            case plain:
                return plain
        named.append(f"({self.kind} {definition})")
        return f"$t{len(named) - 1}"


def joined(cases: list[Type | None]) -> list[str]:
    """Returns the flat form of a variant: the number of the case, and core types that hold each case."""
    held: list[str] = []
    for case in cases:
        for at, core in enumerate(case.flat() if case else []):
            if at == len(held):
                held.append(core)
            elif held[at] != core:
                held[at] = "i32" if {held[at], core} == {"i32", "f32"} else "i64"
    return ["i32", *held]


def type_(random: Random, depth: int = DEPTH) -> Type:
    """Makes up a type."""

    def parts() -> list[Type | None]:
        return [type_(random, depth - 1) for _ in range(random.randint(1, PARTS))]

    def some(share: float) -> Type | None:
        return type_(random, depth - 1) if random.random() < share else None

    compound = ["list", "tuple", "record", "variant", "option", "result"] if depth else []
    kind = random.choice(["plain", "string", "flags", "enum", *compound])
    match kind:
        case "plain":
            return Type(random.choice(list(PLAIN)))
        case "flags":
            return Type(kind, count=random.randint(1, 32))
        case "enum":
            return Type(kind, count=random.choice([random.randint(1, 5), 255, 256, 257, 300]))
        case "list":
            return Type(kind, [some(1)])
        case "tuple" | "record":
            return Type(kind, parts())
        case "variant":
            return Type(kind, [part if random.random() < 0.7 else None for part in parts()])
        case "option":
            return Type(kind, [None, some(1)])
        case "result":
            return Type(kind, [some(0.5), some(0.5)])
        case _:
            return Type(kind)


def value(random: Random, of: Type) -> Any:
    """Makes up a value, as the package `wasmtime` has values of this type."""
    match of.kind:
        case "bool":
            return random.random() < 0.5
        case "f32":
            return number(random, "<f", 4, [0x7FC00000, 0x7FA00001, 0xFFFFFFFF, 0x80000000, 0x7F800000, 1])
        case "f64":
            return number(random, "<d", 8, [0x7FF8 << 48, 0x7FF0 << 48 | 1, 2**64 - 1, 1 << 63, 0xFFF0 << 48, 1])
        case "char":
            return character(random)
        case "string":
            return "".join(character(random) for _ in range(length(random)))
        case "list":
            element = of.parts[0]
            assert element
            count = length(random) if element.kind in PLAIN else random.randint(0, PARTS)
            values = [value(random, element) for _ in range(count)]
            return bytes(values) if element.kind == "u8" else values
        case "tuple":
            return tuple(value(random, part) for part in of.parts if part)
        case "record":
            record = component.Record()
            for at, part in enumerate(of.parts):
                assert part
                setattr(record, f"a{at}", value(random, part))
            return record
        case "flags":
            return {f"a{at}" for at in range(of.count) if random.random() < 0.5}
        case "enum":
            return f"a{random.randrange(of.count)}"
        case "variant" | "option" | "result":
            names = {"option": ["none", "some"], "result": ["ok", "err"]}.get(of.kind)
            at = random.randrange(len(of.parts))
            payload = of.parts[at]
            return component.Variant(names[at] if names else f"a{at}", payload and value(random, payload))
        case integer:
            bits, signed = PLAIN[integer][1] or (0, False)
            low = -(1 << bits - 1) if signed else 0
            high = low + (1 << bits) - 1
            return random.choice([low, high, 0, random.randint(low, high)])


def character(random: Random) -> str:
    return random.choice(CHARACTERS) if random.random() < 0.8 else chr(random.randrange(0x20, 0xD800))


def length(random: Random) -> int:
    """Makes up how long a string or a list of numbers is: short, most often."""
    return random.choice([0, 1, 2, 3, random.randint(0, 20), random.randint(0, 20), random.randint(60, 300)])


def number(random: Random, form: str, size: int, special: list[int]) -> float:
    """Makes up a float from its bits. What is no number may be another one than these bits say."""
    bits = random.choice([random.getrandbits(size * 8), random.choice(special)])
    found = struct.unpack(form, bits.to_bytes(size, "little"))[0]
    return math.nan if math.isnan(found) else found
