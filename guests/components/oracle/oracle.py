#!/usr/bin/env python3
"""Runs components in wasmtime, from the package of that name on PyPI, to tell what they should do.

    oracle.py check FOLDER    runs what expected.json tells of the components in FOLDER, and fails if one differs
    oracle.py first CASE FILE  tells in JSON how long FILE takes until its first answer, without a cache
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

START = time.perf_counter()
from wasmtime import Engine, ExitTrap, Store, Trap, WasiConfig, WasmtimeError, component  # noqa: E402

import wave  # noqa: E402

IMPORTED = time.perf_counter()
HOST = "hostel:example/host@0.1.0"
RUN = "wasi:cli/run@0.2"
EXPECTED = Path(__file__).parent.parent / "expected.json"


class Run:
    """A component's instance, and what it wrote."""

    def __init__(self, engine: Engine, component_: component.Component, case: dict, folder: Path):
        self.store = Store(engine)
        self.log: list[list[str]] = []
        self.handles: dict[str, Any] = {}
        self.component = component_
        config = case.get("config", {})
        wasi = WasiConfig()
        wasi.argv = case.get("args", [])
        wasi.env = list(case.get("env", {}).items())
        (folder / "stdin").write_text(case.get("stdin", ""))
        wasi.stdin_file = folder / "stdin"
        wasi.stdout_file = str(folder / "stdout")
        wasi.stderr_file = str(folder / "stderr")
        if "files" in case:
            (folder / "data").mkdir(exist_ok=True)
            for name, text in case["files"].items():
                (folder / "data" / name).write_text(text)
            wasi.preopen_dir(str(folder / "data"), "/data")
        self.store.set_wasi(wasi)
        linker = component.Linker(engine)
        linker.add_wasip2()
        with linker.root() as root, root.add_instance(HOST) as host:
            host.add_func("log", lambda _, level, message: self.log.append([level, message]))
            host.add_func("config", lambda _, key: config.get(key))
        self.instance = linker.instantiate(self.store, component_)

    def function(self, interface: str | None, name: str) -> component.Func:
        of = interface and self.instance.get_export_index(self.store, interface)
        index = self.instance.get_export_index(self.store, name, of) if of or not interface else None
        if not index:
            raise KeyError(f"no export {interface or ''}#{name}")
        return self.instance.get_func(self.store, index)

    def call(self, step: dict) -> str:
        name = step["call"].split("(")[0]
        function = self.function(step.get("interface"), name)
        type = function.type(self.store)
        arguments = wave.read_call(step["call"], [of for _, of in type.params], self.handles)
        value = function(self.store, *arguments)
        if "handle" in step:
            self.handles[step["handle"]] = value
        return wave.write(type.result, value) if type.result else ""

    def program(self) -> int:
        """Runs a program, and returns its exit code."""
        run = next(name for name in self.component.type.exports(self.store.engine) if name.startswith(RUN))
        try:
            return 0 if self.function(run, "run")(self.store).tag == "ok" else 1
        except ExitTrap as exit:
            return exit.code


def check(case: dict, file: Path, engine: Engine, component_: component.Component) -> list[str]:
    """What differs from what the case expects."""
    found = []

    def compare(what: str, value: Any, expected: Any) -> None:
        if value != expected:
            found.append(f"{file.name}, {case['name']}, {what}:\n  found    {value!r}\n  expected {expected!r}")

    with tempfile.TemporaryDirectory() as folder:
        try:
            run = Run(engine, component_, case, Path(folder))
            for step in case.get("steps", []):
                if "drop" in step:
                    run.handles.pop(step["drop"]).drop(run.store)
                else:
                    compare(step["call"], run.call(step), step["result"])
            if "exit" in case:
                compare("exit code", run.program(), case["exit"])
                compare("stdout", (Path(folder) / "stdout").read_text(), case["stdout"])
        except (WasmtimeError, Trap) as error:
            stderr = (Path(folder) / "stderr").read_text()
            compare("error", f"{error}\n{stderr}", "none")
        else:
            compare("log", run.log, case.get("log", []))
    return found


def check_all(folder: Path) -> int:
    expected = json.loads(EXPECTED.read_text())
    engine = Engine()
    wrong, count = [], 0
    for file, kind in expected["components"].items():
        component_ = component.Component.from_file(engine, str(folder / file))
        for case in expected["cases"]:
            if kind in case["kinds"]:
                wrong += check(case, folder / file, engine, component_)
                count += 1
    for what in wrong:
        print(what)
    print(f"{count} cases of {len(expected['components'])} components, {len(wrong)} differences")
    return 1 if wrong else 0


def first_answer(name: str, file: Path) -> None:
    expected = json.loads(EXPECTED.read_text())
    case = next(case for case in expected["cases"] if case["name"] == name)
    with tempfile.TemporaryDirectory() as folder:
        start, cpu = time.perf_counter(), time.process_time()
        engine = Engine()
        component_ = component.Component.from_file(engine, str(file))
        compiled = time.perf_counter()
        run = Run(engine, component_, case, Path(folder))
        made = time.perf_counter()
        answer = run.call(case["steps"][0]) if "steps" in case else run.program()
        end, cpu = time.perf_counter(), time.process_time() - cpu
    json.dump(
        {"compile": compiled - start, "instantiate": made - compiled, "call": end - made, "total": end - start,
         "import": IMPORTED - START, "cpu": cpu, "answer": answer},
        sys.stdout,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check").add_argument("folder", type=Path)
    first = commands.add_parser("first")
    first.add_argument("case")
    first.add_argument("file", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "check":
        return check_all(arguments.folder)
    first_answer(arguments.case, arguments.file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
