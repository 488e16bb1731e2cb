"""A program for WASI: reports what it was given, as `wasi-rust/report` does."""

import os
import sys

from componentize_py_types import Err


class Run:
    def run(self) -> None:
        for arg in sys.argv:
            print("arg", arg)
        for key, value in sorted(os.environ.items()):
            print(f"env {key}={value}")
        sys.stdout.write(sys.stdin.read())
        match sys.argv[-1:]:
            case ["files"]:
                files("/data")
            case [code] if code.isdigit() and code != "0":
                sys.stdout.flush()
                raise Err(None)
        sys.stdout.flush()


def files(folder: str) -> None:
    with open(f"{folder}/input", encoding="utf-8") as file:
        text = file.read()
    print(f"input {len(text.encode())} bytes: {text}")
    print("list", " ".join(sorted(os.listdir(folder))))
    with open(f"{folder}/output", "w", encoding="utf-8") as file:
        file.write("first\nsecond\n")
    with open(f"{folder}/output", encoding="utf-8") as file:
        file.seek(6)
        print(f"output {os.stat(file.fileno()).st_size} bytes, then {file.read()}", end="")
    os.remove(f"{folder}/output")
    print("list", " ".join(sorted(os.listdir(folder))))
