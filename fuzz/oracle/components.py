#!/usr/bin/env python3
"""Makes up components and calls of them, runs these in wasmtime, and prints what hostel should do.

    components.py SEED FIRST COUNT   prints COUNT cases from the number FIRST on
    components.py --text SEED CASE   prints the text of one case's component

What it prints is for `cargo run -p hostel-tests --example component-oracle`. Equal seeds make equal cases. wasmtime
is the package of that name on PyPI.
"""

import random
import sys
from pathlib import Path

# Before the standard library, which has another module `wave`.
sys.path.insert(0, str(Path(__file__).parents[2] / "guests/components/oracle"))

import wave  # noqa: E402
from wasmtime import Config, Engine, Store, Trap, WasmtimeError, component, wat2wasm  # noqa: E402
from wasmtime.component import _types as types  # noqa: E402

import guests  # noqa: E402
import made  # noqa: E402

# The package leaves the case away if the class of the payload tells it, but takes a bool for an integer then.
types.VariantLikeType._tagged = lambda self: True

# Calls of one instance, unless one traps.
CALLS = 3


class Case:
    """A component and the values that it is called with."""

    def __init__(self, seed: str, number: int):
        self.name = f"{seed} {number}"
        self.random = random.Random(self.name)
        self.type = made.type_(self.random)
        self.text = guests.text(self.random, self.type)

    def run(self, engine: Engine) -> None:
        wasm = wat2wasm(self.text)
        print(f"case {self.name}")
        print(f"component {bytes(wasm).hex()}")
        compiled = component.Component(engine, wasm)
        linker = component.Linker(engine)
        with linker.root() as root:
            root.add_func("f", lambda _, value: value)
        store = Store(engine)
        store.set_fuel(1_000_000_000)
        function = linker.instantiate(store, compiled).get_func(store, "g")
        of = function.type(store)
        for _ in range(CALLS):
            value = made.value(self.random, self.type)
            print(f"call g({wave.write(of.params[0][1], value)})")
            try:
                print(f"returns {wave.write(of.result, function(store, value))}")
            except (Trap, WasmtimeError) as error:
                print(f"traps {str(error).strip().splitlines()[-1]}")
                return


def main() -> None:
    if sys.argv[1] == "--text":
        print(Case(sys.argv[2], int(sys.argv[3])).text)
        return
    seed, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    config = Config()
    config.cranelift_opt_level = "none"
    config.consume_fuel = True
    engine = Engine(config)
    for number in range(first, first + count):
        Case(seed, number).run(engine)
    print("end")


if __name__ == "__main__":
    main()
