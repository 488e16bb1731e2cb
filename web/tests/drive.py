"""What a person does with the page. Called by `test`: drive.py DRIVER PAGE FILES SCREENSHOTS, with HOSTEL set."""

import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

from browser import Browser

driver, page, files, shots = sys.argv[1:]
page = pathlib.Path(page).absolute()
prebuilt = pathlib.Path("guests/prebuilt").absolute()
TAB, CONTROL, ENTER, ESCAPE = "\ue004", "\ue009", "\ue007", "\ue00c"

# A plugin with a function that never ends.
LOOPS = bytes.fromhex("0061736d01000000 010401600000 03020100 070801047370696e0000 0a0901070003400c000b0b")


def hostel(*arguments):
    """Returns what `hostel run --json` tells of a call."""
    ended = subprocess.run([os.environ["HOSTEL"], "run", "--json", *map(str, arguments)], stdout=subprocess.PIPE, check=False)
    return json.loads(ended.stdout)


def opened(browser):
    browser.open(page.as_uri())
    browser.until("the engine", lambda: browser.run("return document.body.dataset.ready === 'yes'"))


def choose(browser, file):
    browser.type("#file", str(file))
    name = pathlib.Path(file).name
    browser.until("the plugin or an error", lambda: name in browser.text("#facts-title") or browser.text("#load-error"))


def drop(browser, file):
    """Drags a file from outside onto the page."""
    x, y = browser.run("const it = document.querySelector('#drop').getBoundingClientRect(); return [it.x + 50, it.y + 20]")
    data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
    for kind in ["dragEnter", "dragOver", "drop"]:
        browser.devtools("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)
    browser.says("#facts-title", pathlib.Path(file).name)


def call(browser, button="#run"):
    browser.click(button)
    browser.until("the call's end", lambda: browser.text("#state") not in ("", "Running"))
    return browser.text("#state")


def number(browser, selector):
    return int("".join(it for it in browser.text(selector) if it.isdigit()))


def runs_what_the_program_runs(browser):
    opened(browser)
    drop(browser, prebuilt / "customize.wasm")
    browser.says("#summary", "convention native")
    browser.says("#imports", "env.host_log")
    browser.says("#imports", "grant config")
    browser.says("#exports", "process")
    browser.fill("#settings", "prefix=CUSTOM")
    browser.fill("#input", "hello world")
    assert call(browser) == "Done", browser.text("#error")
    assert browser.text("#output") == "CUSTOM_HELLO WORLD"
    browser.says("#log", "processing 11 bytes")
    told = hostel(prebuilt / "customize.wasm", "--config", "prefix=CUSTOM", "hello world")
    fuel = told["fuel"]["start"] + told["fuel"]["call"]
    assert number(browser, "#used") == fuel, (browser.text("#used"), told)
    assert number(browser, "#host-calls") == told["host_calls"], (browser.text("#host-calls"), told)
    assert number(browser, "#held") == 65536

    # The flame graph has the fuel of the call without it.
    assert call(browser, "#profile") == "Done", browser.text("#error")
    assert browser.text("#output") == "CUSTOM_HELLO WORLD"
    assert number(browser, "#used") == fuel, browser.text("#used")
    assert number(browser, "#host-calls") == told["host_calls"], browser.text("#host-calls")
    titles = browser.run("return [...document.querySelectorAll('#flame title')].map((it) => it.textContent)")
    assert titles[0].startswith(f"host: {fuel} fuel"), titles
    assert any(title.startswith("process: ") for title in titles), titles
    assert any(title.startswith("env.host_log: ") for title in titles), titles

    # An error is the guest's.
    pathlib.Path(files, "bytes").write_bytes(b"\xff\xfe")
    browser.type("#input-file", f"{files}/bytes")
    assert call(browser) == "Failed"
    told = hostel(prebuilt / "customize.wasm", f"@{files}/bytes")["error"]
    assert browser.text("#error").startswith(told["code"] + ": "), (browser.text("#error"), told)
    assert "input is not UTF-8" in browser.text("#error"), browser.text("#error")


def runs_other_conventions(browser):
    opened(browser)
    for name, function, given, wanted in [
        ("add", "add", "40 2", "42"),
        ("c_greet", "greet", "Anna", "Hello, Anna!"),
        ("extism_customize", "process", "abc", "DEFAULT_PREFIX_ABC"),
        ("wapc_kit", "reverse", "abc", "cba"),
        ("typst_kit", "join", "a\nb\nc", "a*b*c"),
    ]:
        choose(browser, prebuilt / f"{name}.wasm")
        assert browser.text("#load-error") == "", browser.text("#load-error")
        browser.fill("#function", function)
        browser.fill("#input", given)
        assert call(browser) == "Done", (name, browser.text("#error"))
        assert browser.text("#output").strip() == wanted, (name, browser.text("#output"))
    # A component shows its contract, and takes values. Functions of a host of its own are stubs.
    component = prebuilt / "components/rust_small.wasm"
    choose(browser, component)
    browser.says("#summary", "Component")
    assert "resource tally" in browser.run("return document.querySelector('#contract').textContent")
    function, value = "hostel:example/text@0.1.0#customize", '{text: "abc", style: {upper}, frame: none}'
    browser.fill("#function", function)
    browser.fill("#input", value)
    assert call(browser) == "Failed"
    assert "hostel:example/host" in browser.text("#error"), browser.text("#error")
    browser.click("#stub")
    assert call(browser) == "Failed"
    told = hostel(component, "--stub", "hostel:example/host.*", "--call", f"{function}({value})")
    assert browser.text("#error").startswith(told["error"]["code"] + ": "), (browser.text("#error"), told)
    assert number(browser, "#used") == told["fuel"]["start"] + told["fuel"]["call"], (browser.text("#used"), told)


def ends_loops(browser):
    opened(browser)
    loops = pathlib.Path(files, "loops.wasm")
    loops.write_bytes(LOOPS)
    choose(browser, loops)
    assert browser.text("#load-error") == "", browser.text("#load-error")
    browser.fill("#fuel", "3000000")
    told = hostel(loops, "--call", "spin", "--fuel", "3000000")
    for button in ["#run", "#profile"]:
        assert call(browser, button) == "Failed"
        assert browser.text("#error").startswith("out-of-fuel: "), browser.text("#error")
        # The page's budget is one, for the start and the call.
        assert number(browser, "#used") == told["fuel"]["call"], (browser.text("#used"), told)
    # The page lives while it runs, and the call can be cancelled, by mouse and by keyboard.
    browser.fill("#fuel", "900000000000000")
    for press in [lambda: browser.click("#cancel"), lambda: browser.press(ESCAPE)]:
        browser.click("#run")
        first = browser.until("some fuel", lambda: browser.text("#state") == "Running" and number(browser, "#used"))
        browser.until("more fuel", lambda: number(browser, "#used") > first)
        press()
        browser.says("#error", "cancelled: ")
    # A deadline ends it too.
    browser.fill("#deadline", "200")
    assert call(browser) == "Failed"
    assert browser.text("#error").startswith("deadline: "), browser.text("#error")


def lives_on_after_hostile_files(browser):
    opened(browser)
    good = prebuilt / "greet.wasm"
    hostile = {
        "text.wasm": b"not a module",
        "empty.wasm": b"",
        "cut.wasm": good.read_bytes()[:300],
        # A vector with four billion parts.
        "huge.wasm": bytes.fromhex("0061736d01000000010affffffff0f"),
        # A component with components in it, each in another.
        "deep.wasm": deep(2000),
    }
    for name, contents in hostile.items():
        file = pathlib.Path(files, name)
        file.write_bytes(contents)
        choose(browser, file)
        assert ": " in browser.text("#load-error"), name
        assert not browser.run("return !document.querySelector('#call').hidden"), name
        choose(browser, good)
        browser.fill("#function", "greet")
        browser.fill("#input", name)
        assert call(browser) == "Done", browser.text("#error")
        assert browser.text("#output") == f"Hello, {name}!"
    # Names are text, not markup.
    name = "<img src=x onerror=document.title='harmed'>"
    file = pathlib.Path(files, "markup.wasm")
    file.write_bytes(exporting(name))
    choose(browser, file)
    browser.says("#exports", name)
    assert browser.run("return document.querySelectorAll('img').length") == 0
    # A trap is the plugin's, and the next call runs.
    choose(browser, prebuilt / "panics.wasm")
    browser.fill("#input", "this")
    assert call(browser) == "Failed"
    assert browser.text("#error").startswith("trap-unreachable: "), browser.text("#error")
    # Memory above the limit is refused.
    choose(browser, prebuilt / "default_std_customize.wasm")
    browser.fill("#memory", "1")
    assert call(browser) == "Failed"
    assert "memory_bytes" in browser.text("#error"), browser.text("#error")


def deep(levels):
    """Returns a component with this many components in each other."""
    component = bytes.fromhex("0061736d0d000100")
    for _ in range(levels):
        component = bytes.fromhex("0061736d0d000100") + b"\x04" + leb(len(component)) + component
    return component


def exporting(name):
    """Returns a module that exports a function under a name."""
    name = name.encode()
    exports = b"\x01" + leb(len(name)) + name + b"\x00\x00"
    return bytes.fromhex("0061736d01000000" "010401600000" "03020100") + b"\x07" + leb(len(exports)) + exports + bytes.fromhex("0a040102000b")


def leb(value):
    out = b""
    while True:
        value, low = value >> 7, value & 127
        out += bytes([low | (128 if value else 0)])
        if not value:
            return out


def sends_nothing(browser):
    """Everything that a script could send is refused, and the page itself asks for nothing."""
    asked = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("access-control-allow-origin", "*")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    opened(browser)
    choose(browser, prebuilt / "customize.wasm")
    call(browser)
    assert browser.run("return performance.getEntriesByType('resource').length") == 0
    assert browser.complaints() == []
    refused = browser.run(
        """const [address] = arguments, refused = [];
        addEventListener('securitypolicyviolation', (event) => refused.push(event.effectiveDirective));
        fetch(address + '/fetch').catch(() => {});
        navigator.sendBeacon(address + '/beacon', 'x');
        new Image().src = address + '/image';
        const script = document.createElement('script');
        script.src = address + '/script';
        document.body.append(script);
        try { new WebSocket(address.replace('http', 'ws')); } catch {}
        const frame = document.createElement('iframe');
        frame.src = address + '/frame';
        document.body.append(frame);
        window.refused = refused;""",
        address,
    )
    browser.until("refusals", lambda: len(set(browser.run("return window.refused"))) >= 4)
    time.sleep(0.3)
    assert asked == [], asked
    server.shutdown()
    browser.complaints()


def is_used_by_keyboard(browser):
    opened(browser)
    choose(browser, prebuilt / "customize.wasm")
    assert browser.run("return document.activeElement.id") == "facts-title"
    about = """const it = document.activeElement, style = getComputedStyle(it);
        return [it.id || it.getAttribute('aria-label') || it.tagName, style.outlineStyle !== 'none']"""
    reached = []
    for _ in range(12):
        browser.press(TAB)
        name, shown = browser.run(about)
        assert shown, f"{name} does not show its focus"
        reached.append(name)
    assert reached == ["Imports", "Exports", "function", "fuel", "memory", "deadline", "input", "input-file", "settings", "stub", "run", "profile"], reached
    browser.run("document.querySelector('#input').focus()")
    browser.type("#input", "keys")
    browser.press(CONTROL, ENTER)
    browser.says("#output", "DEFAULT_PREFIX_KEYS")
    tree = browser.devtools("Accessibility.getFullAXTree")["nodes"]
    controls = {"button", "textbox", "combobox", "checkbox", "region", "form"}
    for node in tree:
        if node.get("role", {}).get("value") in controls and not node.get("ignored"):
            assert node.get("name", {}).get("value", "").strip(), node


def looks_right(browser):
    """In both colour schemes text can be read, and on each width nothing is cut off."""
    opened(browser)
    choose(browser, prebuilt / "customize.wasm")
    browser.fill("#settings", "prefix=CUSTOM")
    browser.fill("#input", "hello world")
    call(browser, "#profile")
    browser.looks_right([(1200, 1000, True), (400, 800, True)], shots)


browser = Browser(driver)
try:
    for part in [runs_what_the_program_runs, runs_other_conventions, ends_loops, lives_on_after_hostile_files,
                 sends_nothing, is_used_by_keyboard, looks_right]:
        part(browser)
        complaints = browser.complaints()
        assert not complaints, (part.__name__, complaints)
        print(part.__name__.replace("_", " "))
finally:
    browser.close()
