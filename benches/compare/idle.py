#!/usr/bin/env python3
"""Measures the memory of a server that holds plugins and has nothing to do: `hostel serve`, and a server in Python with
Extism's SDK, in processes of their own.

benches/compare/idle.py HOSTEL [PLUGINS]: HOSTEL is the program's path, and PLUGINS is 100 by default. It needs PyPI's `extism`
and Linux. Each plugin is one module, made for Extism, plus a number: so no two share code. Each is called once, and then
the servers idle for two seconds.
"""

import http.server
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

GUEST = pathlib.Path(__file__).parents[2] / "guests/prebuilt/extism_customize.wasm"
CONFIG = '[defaults]\ngrants = ["log", "config"]\nconfig = { prefix = "CUSTOM" }\n'
# The first argument of the process that serves with Extism's SDK; the folder of the plugins follows, if there are any.
SERVE = "--serve-extism"


def serve_extism(folder):
    """Serves the folder's plugins as `hostel serve` does, with one instance each."""
    import extism

    plugins = {}
    for file in folder.glob("*.wasm"):
        manifest = {"wasm": [{"data": file.read_bytes()}], "config": {"prefix": "CUSTOM"}}
        plugins[file.stem] = extism.Plugin(manifest)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            answer = plugins[self.path.rsplit("/", 1)[1]].call("process", body)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    print(f"listening on 127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


def own_mebibytes(process):
    """Returns what the process has in memory, without the pages of files, such as its code."""
    rollup = pathlib.Path(f"/proc/{process}/smaps_rollup").read_text()
    return int(re.search(r"^Anonymous: +(\d+)", rollup, re.M)[1]) / 1024


def measure(name, command, plugins):
    """Starts a server, calls each plugin once, waits, and prints the server's memory."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            lines = (re.search(r"127\.0\.0\.1:\d+", line) for line in server.stdout)
            address = next(line[0] for line in lines if line)
            loaded = own_mebibytes(server.pid)
            for plugin in plugins:
                url = f"http://{address}/v1/plugins/{plugin}"
                with urllib.request.urlopen(url, b"hello world") as answer:
                    found = answer.read()
                if found != b"CUSTOM_HELLO WORLD":
                    sys.exit(f"{name}: expected CUSTOM_HELLO WORLD, found {found}")
            time.sleep(2)
            idle = own_mebibytes(server.pid)
        finally:
            server.kill()
    print(f"{name}: {len(plugins)} plugins loaded {loaded:.1f} MiB; each called once, then idle {idle:.1f} MiB")


def main():
    if sys.argv[1:2] == [SERVE]:
        return serve_extism(pathlib.Path(sys.argv[2]))
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: idle.py HOSTEL [PLUGINS]")
    names = [f"plugin{number}" for number in range(int(sys.argv[2]) if len(sys.argv) == 3 else 100)]
    with tempfile.TemporaryDirectory() as files:
        folder = pathlib.Path(files) / "plugins"
        folder.mkdir()
        guest = GUEST.read_bytes()
        for number, name in enumerate(names):
            # A custom section: its number, its length, its name, and its content.
            section = b"\x00\x06\x01n" + number.to_bytes(4, "little")
            (folder / f"{name}.wasm").write_bytes(guest + section)
        config = pathlib.Path(files) / "hostel.toml"
        config.write_text(CONFIG)
        empty = pathlib.Path(files) / "empty"
        empty.mkdir()
        servers = {
            "Python with Extism's SDK": [sys.executable, __file__, SERVE],
            "hostel serve": [sys.argv[1], "serve", "--config", config, "--listen", "127.0.0.1:0"],
        }
        for name, command in servers.items():
            measure(name, [*command, empty], [])
            measure(name, [*command, folder], names)


main()
