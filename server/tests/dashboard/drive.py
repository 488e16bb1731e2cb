"""What a person does with the dashboard. Called by `run`: drive.py DRIVER SERVER FILES SCREENSHOTS, with TOKEN set."""

import os
import sys
import threading
import time
import urllib.error
import urllib.request

from browser import Browser

driver, server, files, shots = sys.argv[1:]
TAB, SHIFT, CONTROL, ENTER, DOWN, ESCAPE = "\ue004", "\ue008", "\ue009", "\ue007", "\ue015", "\ue00c"


def traffic(stop):
    """Calls plugins, so that there are figures to show."""
    at = 0
    while not stop.is_set():
        at += 1
        for path, body, kind in [
            ("customize", b"hello world" * (at % 40), "text/plain"),
            ("default_customize", b"Anna", "text/plain"),
            ("kit/half", b"[8]" if at % 3 else b"[7]", "application/json"),
            ("panics", b"panic", "text/plain") if at % 20 == 0 else ("kit", b"x", "text/plain"),
        ]:
            request = urllib.request.Request(f"{server}/v1/plugins/{path}", body, {"content-type": kind})
            try:
                urllib.request.urlopen(request, timeout=10).read()
            except urllib.error.HTTPError as error:
                error.read()
        time.sleep(0.02)


def select(browser, name):
    browser.run("[...document.querySelectorAll('#rows button')].find((it) => it.textContent === arguments[0]).click()", name)
    browser.says("#detail-title", name)
    browser.until("functions", lambda: browser.run("return document.querySelectorAll('#function option').length > 0"))


def shows_plugins_and_calls_them(browser):
    with urllib.request.urlopen(server + "/") as page:
        policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy, policy
    browser.open(server + "/")
    browser.until("five plugins", lambda: browser.run("return document.querySelectorAll('#rows tr').length") == 5)
    browser.says("#state", "live")
    names = browser.run("return [...document.querySelectorAll('#rows button')].map((it) => it.textContent)")
    assert names == ["add", "customize", "default_customize", "kit", "panics"], names

    select(browser, "customize")
    browser.says("#facts", "log, config")
    browser.fill("#input", "hello <b>world</b>")
    browser.click("#call button.main")
    browser.says("#answer-body", "CUSTOM_HELLO <B>WORLD</B>")
    assert browser.text("#answer-status") == "200"
    assert browser.run("return document.querySelector('#answer-body').childElementCount") == 0

    # Functions over numbers, and of a component, whose form begins with an example.
    select(browser, "add")
    browser.choose("#function", "add")
    browser.fill("#input", "[40, 2]")
    browser.press(CONTROL, ENTER)
    browser.says("#answer-body", "42")
    select(browser, "kit")
    browser.choose("#function", "half")
    example = browser.run("return JSON.parse(document.querySelector('#input').value)")
    assert example == {"of": 1}, example
    browser.click("#call button.main")
    browser.says("#answer-status", "422")
    browser.says("#answer-body", '"error": "odd"')
    browser.choose("#function", "echo")
    browser.click("#call button.main")
    browser.says("#answer-status", "200")
    # Without a token, nothing offers a change.
    assert browser.run("return document.querySelector('#upload').hidden && document.querySelector('#versions-part').hidden")


def watches_the_log(browser):
    browser.says("#lines", "processing")
    browser.choose("#level", "3")
    shown = "return [...document.querySelectorAll('#lines li:not([hidden])')].map((it) => it.className)"
    assert not {"info", "debug"} & set(browser.run(shown))
    browser.choose("#level", "0")
    browser.click("#pause")
    before = browser.run("return document.querySelectorAll('#lines li').length")
    browser.says("#logs-state", "new")
    assert browser.run("return document.querySelectorAll('#lines li').length") == before
    browser.click("#pause")
    browser.until("lines after the pause", lambda: browser.text("#logs-state") == "")


def signs_in_uploads_and_rolls_back(browser):
    browser.click("#sign")
    browser.type("#token", "hostel_wrong")
    browser.press(ENTER)
    browser.says("#sign-wrong", "token")
    browser.fill("#token", os.environ["TOKEN"])
    browser.press(ENTER)
    browser.says("#who", "root, admin")
    kept = browser.run("return [Object.keys(localStorage), document.cookie, Object.keys(sessionStorage)]")
    assert kept == [[], "", ["hostel-token"]], kept

    def upload(name, file):
        browser.click("#upload")
        browser.fill("#upload-name", name)
        browser.type("#upload-file", os.path.abspath(file))
        browser.click("#upload-form button.main")

    upload("fresh", "guests/prebuilt/greet.wasm")
    browser.says("#toast", "fresh is version")
    browser.until("the row", lambda: "fresh" in browser.text("#rows"))
    # A file that is no module changes nothing, and the dialog tells why.
    upload("fresh", f"{files}/hostel.toml")
    browser.says("#upload-wrong", "can't be loaded")
    browser.press(ESCAPE)
    upload("fresh", "guests/prebuilt/customize.wasm")
    browser.until("the dialog's end", lambda: not browser.run("return document.querySelector('#upload-dialog').open"))
    select(browser, "fresh")
    browser.until("two versions", lambda: browser.run("return document.querySelectorAll('#versions li').length") == 2)
    browser.fill("#input", "x")
    browser.click("#call button.main")
    browser.says("#answer-body", "DEFAULT_PREFIX_X")
    browser.click("#versions button")
    browser.says("#back-what", "Load version 1 of fresh")
    browser.click("#back-form button.main")
    browser.says("#toast", "rolled back to version 1")
    browser.until("the loaded one", lambda: "loaded" in browser.text("#versions li:last-child"))


def is_used_by_keyboard(browser):
    """Reaches everything by Tab, in the order of the page, and each place shows that it has the focus."""
    browser.open(server + "/")
    browser.until("plugins", lambda: browser.run("return document.querySelectorAll('#rows tr').length") == 6)
    about = """const it = document.activeElement;
        if (it === document.body) return ['', true];
        const style = getComputedStyle(it);
        return [it.id || it.textContent || it.className, style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1]"""
    reached = []
    browser.press(TAB)
    first, shown = browser.run(about)
    assert first == "Skip to the plugins" and shown, first
    browser.until("the link in sight", lambda: browser.run("return document.activeElement.getBoundingClientRect().top >= 0"))
    for _ in range(20):
        browser.press(TAB)
        name, shown = browser.run(about)
        if name == "" or name in reached:
            break
        assert shown, f"{name} does not show its focus"
        reached.append(name)
    wanted = ["sign", "search", "upload", "table", "add", "customize", "default_customize", "fresh", "kit", "panics",
              "only", "level", "pause", "clear", "lines"]
    assert reached[:len(wanted)] == wanted, reached
    # A plugin is chosen and called without a mouse.
    browser.run("document.querySelector('#rows button').focus()")
    browser.press(DOWN)
    browser.press(ENTER)
    browser.says("#detail-title", "customize")
    browser.until("the focus on the title", lambda: browser.run("return document.activeElement.id") == "detail-title")
    browser.press(TAB)
    browser.press(TAB)
    browser.press(TAB)
    assert browser.run("return document.activeElement.id") == "input"
    browser.press(CONTROL, ENTER)
    browser.says("#answer-body", "CUSTOM_HELLO WORLD")
    # A dialog takes the focus, and gives it back.
    browser.run("document.querySelector('#upload').focus()")
    browser.press(ENTER)
    assert browser.run("return document.activeElement.id") == "upload-name"
    browser.press(ESCAPE)
    assert browser.run("return document.activeElement.id") == "upload"


def has_names(browser):
    """Each control has a name for those who do not see it."""
    tree = browser.devtools("Accessibility.getFullAXTree")["nodes"]
    controls = {"button", "textbox", "combobox", "checkbox", "searchbox", "link", "table", "log", "region"}
    found = set()
    for node in tree:
        role = node.get("role", {}).get("value")
        if role in controls and not node.get("ignored"):
            found.add(role)
            assert node.get("name", {}).get("value", "").strip(), f"a {role} has no name: {node}"
    assert controls - {"link"} <= found, found


def looks_right(browser):
    """In both colour schemes text can be read, and on each width nothing is cut off."""
    browser.looks_right([(1440, 1000, True), (900, 1000, False), (400, 800, True)], shots)
    browser.size(1440, 1000)
    browser.click("#upload")
    browser.screenshot(f"{shots}/dark-upload.png")
    browser.press(ESCAPE)


FLEET = """
const real = window.fetch;
const worker = (port, more) => ({ worker: "w" + port, address: "10.0.0.7:" + port, started: 1790000000000, serves: 4, vote: null, behind: null,
  figures: { plugins: { customize: [1200, 3], kit: [40, 0] }, running: 2, jobs: [310, 1], repeats: 5 }, ...more });
window.fetch = (path, options) => path !== "/v1/fleet" ? real(path, options) : Promise.resolve(new Response(JSON.stringify({
  fleet: "north", jobs: { waiting: 17, dead: 1 },
  releases: { active: { number: 4 }, candidate: { number: 5 }, refused: null, last: 5, history: {} },
  workers: [worker(8080, {}), worker(8081, { behind: "can't read the module of <b>kit</b>" })],
})));
"""


def shows_a_fleet(browser):
    """With answers as those of a fleet, which has tests of its own."""
    added = browser.devtools("Page.addScriptToEvaluateOnNewDocument", source=FLEET)
    browser.open(server + "/")
    browser.says("#fleet-about", "release #4 · release #5 is voted on · 2 workers · 17 jobs wait or run · 1 dead letters")
    rows = browser.run("return [...document.querySelectorAll('#workers tr')].map((it) => it.innerText.split('\\t'))")
    assert rows[0][0] == "10.0.0.7:8080" and rows[0][2:] == ["#4", "ready", "1.24k", "3", "2", "310", "1", "5"], rows
    assert rows[1][3] == "can't read the module of <b>kit</b>", rows
    browser.screenshot(f"{shots}/dark-fleet.png")
    browser.devtools("Page.removeScriptToEvaluateOnNewDocument", identifier=added["identifier"])
    browser.open(server + "/")
    browser.says("#state", "live")
    assert browser.run("return document.querySelector('#fleet').hidden")


def signs_out(browser):
    browser.click("#sign")
    browser.until("no role", lambda: browser.text("#who") == "")
    assert browser.run("return sessionStorage.length") == 0
    browser.until("no upload", lambda: browser.run("return document.querySelector('#upload').hidden"))


browser = Browser(driver)
stop = threading.Event()
caller = threading.Thread(target=traffic, args=(stop,))
caller.start()
try:
    for step in [shows_plugins_and_calls_them, watches_the_log, signs_in_uploads_and_rolls_back, is_used_by_keyboard,
                 has_names, looks_right, shows_a_fleet, signs_out]:
        began = time.monotonic()
        try:
            step(browser)
        except AssertionError:
            browser.screenshot(f"{shots}/failed.png")
            raise
        print(f"{step.__name__}: ok ({time.monotonic() - began:.1f} s)", flush=True)
    complaints = browser.complaints()
    assert not complaints, complaints
finally:
    stop.set()
    caller.join()
    browser.close()
