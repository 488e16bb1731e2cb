"""Components of one function `g`, which passes its argument to the imported `f`, and what that returns back.

Some are made of two that call each other. Some spoil a few bits on the way, or allocate badly.
"""

from random import Random

from made import Type

ENCODINGS = ["utf8", "utf16", "latin1+utf16"]

# The address of `f`'s result, the first one that is allocated, and the end of memory.
RESULT, HEAP, END = 0x100, 0x4000, 0x40000

# A host may reallocate a string until its length is known, or call `realloc` once. The last block stays in its place,
# so that later addresses do not depend on it. No place is given twice: hosts may leave the bytes between the parts of a
# value as they are, or not. `{place}` is a change of the place.
MEMORY = f"""(core module $Memory
    (memory (export "memory") 4)
    (global $at (export "at") (mut i32) (i32.const {HEAP}))
    (global $last (mut i32) (i32.const -1))
    (global $calls (mut i32) (i32.const 0))
    (func (export "realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
      (local $p i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (local.set $p
        (if (result i32) (i32.and (i32.ne (local.get $size) (i32.const 0)) (i32.eq (local.get $old) (global.get $last)))
          (then (local.get $old))
          (else (i32.and (i32.add (global.get $at) (i32.sub (local.get $align) (i32.const 1)))
                         (i32.sub (i32.const 0) (local.get $align))))))
      {{place}}
      (global.set $last (local.get $p))
      (global.set $at (i32.add (local.get $p) (local.get $new)))
      (local.get $p)))
  (core instance $memory (instantiate $Memory))"""


def text(random: Random, of: Type) -> str:
    """Makes up a component for values of this type."""
    encodings = [random.choice(ENCODINGS) for _ in range(random.choice([1, 1, 2]))]
    spoiler = Spoiler(random, of, encodings)
    named: list[str] = []
    name = of.text(named)
    types = "\n  ".join(
        f'(type $u{at} {definition}) (import "t{at}" (type $t{at} (eq $u{at})))' for at, definition in enumerate(named)
    )
    imports = f'{types}\n  (import "f" (func $f (param "v" {name}) (result {name})))'
    bodies = [f"{imports}\n  {passing(of, name, encoding, spoiler)}" for encoding in encodings]
    if len(bodies) == 1:
        return f"(component {bodies[0]})"
    arguments = " ".join(f'(with "t{at}" (type $t{at}))' for at in range(len(named)))
    return f"""(component {imports}
  (component $Inner {bodies[0]})
  (component $Outer {bodies[1]})
  (instance $inner (instantiate $Inner {arguments} (with "f" (func $f))))
  (instance $outer (instantiate $Outer {arguments} (with "f" (func $inner "g"))))
  (export "g" (func $outer "g")))"""


class Spoiler:
    """Makes up what goes wrong in the components of a case: nothing in some of them, up to three things in others."""

    def __init__(self, random: Random, of: Type, encodings: list[str]):
        self.random, self.flat = random, of.flat()
        # The number of calls and the sizes of `realloc` depend on the host otherwise.
        self.exact = set(encodings) == {"utf8"}
        places = ["before", "after", "memory"]
        self.wrong = [random.choice(places) for _ in range(random.choice([0, 1, 1, 2, 3]))]

    def code(self, place: str, params: list[str]) -> str:
        """Returns code for this place, in a function with these parameters."""
        here = [wrong for wrong in self.wrong if wrong == place and self.random.random() < 0.7]
        return "\n      ".join(self.change(params) for _ in here)

    def change(self, params: list[str]) -> str:
        """Makes up a change of a parameter, or of something in memory."""
        random = self.random
        bits = random.choice([1, 2, 1 << random.randrange(32), random.getrandbits(32)])
        if params and random.random() < 0.4:
            at = random.randrange(len(params))
            return f"(local.set {at} {changed(params[at], f'(local.get {at})', bits)})"
        address = random.choice([RESULT, HEAP]) + random.choice([0, random.randrange(32), random.randrange(200)])
        if random.random() < 0.5:
            one = 1 << random.randrange(8)
            return f"(i32.store8 (i32.const {address}) (i32.xor (i32.load8_u (i32.const {address})) (i32.const {one})))"
        number = random.choice([0, 1, END - 4, END, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, bits])
        return f"(i32.store (i32.const {address & ~3}) (i32.const {number}))"

    def realloc(self) -> str:
        """Makes up what `realloc` does wrong: it returns other places, the first time or always."""
        if "memory" not in self.wrong:
            return ""
        places = ["(i32.const 0xFFFFFFF0)", "(i32.const -1)", "(i32.add (local.get $p) (i32.const 1))"]
        if self.exact:
            places += [f"(i32.const {END - 8})", "(i32.add (local.get $p) (i32.const 4))", f"(i32.const {END})"]
        change = f"(local.set $p {self.random.choice(places)})"
        most = self.random.choice([1, 1000])
        return f"(if (i32.le_u (global.get $calls) (i32.const {most})) (then {change}))"


def changed(core: str, value: str, bits: int) -> str:
    """Returns a core value with these bits changed."""
    if core.startswith("f"):
        integer = "i" + core[1:]
        return f"({core}.reinterpret_{integer} {changed(integer, f'({integer}.reinterpret_{core} {value})', bits)})"
    return f"({core}.xor {value} ({core}.const {bits}))"


def passing(of: Type, name: str, encoding: str, spoiler: Spoiler) -> str:
    """Returns what a component is made of whose export `g` passes its argument to `f`."""
    flat = of.flat()
    params = flat if len(flat) <= 16 else ["i32"]
    values = " ".join(f"(local.get {at})" for at in range(len(params)))
    if len(flat) == 1:
        result, returns, place, call = flat[0], f"(result {flat[0]})", "", f"(local.set $r (call $f {values}))"
    else:
        result, returns, place = "i32", "", "i32"
        call = f"(call $f {values} (i32.const {RESULT})) (local.set $r (i32.const {RESULT}))"
    allocating = '(memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))'
    options = f"{allocating} string-encoding={encoding}"
    before = spoiler.code("before", params)
    # After the call, the only local that matters is the result.
    after = spoiler.code("after", [])
    if "after" in spoiler.wrong and spoiler.random.random() < 0.3:
        after += f"(local.set $r {changed(result, '(local.get $r)', 1 << spoiler.random.randrange(32))})"
    return f"""{MEMORY.format(place=spoiler.realloc())}
  (core module $M
    (import "h" "f" (func $f (param {' '.join(params)} {place}) {returns}))
    (import "h" "memory" (memory 4))
    (import "h" "at" (global $at (mut i32)))
    (func (export "g") (param {' '.join(params)}) (result {result})
      (local $r {result})
      {before}
      (memory.fill (i32.const {RESULT}) (i32.const 0) (i32.const {HEAP - RESULT}))
      (memory.fill (global.get $at) (i32.const 0) (i32.sub (i32.const {END}) (global.get $at)))
      {call}
      {after}
      (local.get $r)))
  (core func $f (canon lower (func $f) {options}))
  (core instance $m (instantiate $M
    (with "h" (instance (export "f" (func $f)) (export "memory" (memory $memory "memory"))
      (export "at" (global $memory "at"))))))
  (func (export "g") (param "v" {name}) (result {name}) (canon lift (core func $m "g") {options}))"""
