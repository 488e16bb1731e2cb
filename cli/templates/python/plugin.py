"""Greets people: if the host's `setting("greeting")` is `Salut`, "Ann" becomes "Salut, Ann!". The contract is in `wit/`."""

import wit_world
from componentize_py_types import Err


class WitWorld(wit_world.WitWorld):
    def process(self, name: bytes) -> bytes:
        try:
            text = name.decode()
        except UnicodeDecodeError:
            raise Err("the name is not UTF-8")
        if not text:
            raise Err("the name is empty")
        # The log of the plugin.
        print(f"greeting {text}")
        greeting = wit_world.setting("greeting") or "Hello"
        return f"{greeting}, {text}!".encode()
