"""A client of WebDriver, with what the tests of the dashboard and of the page `web` need of it."""

import base64
import json
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


# Texts whose contrast is below 4.5, and the ground of the page.
CONTRAST = """
const shade = (channel) => (channel /= 255) <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
const light = ([r, g, b]) => 0.2126 * shade(r) + 0.7152 * shade(g) + 0.0722 * shade(b);
const pixel = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
const colour = (text) => { pixel.clearRect(0, 0, 1, 1); pixel.fillStyle = text; pixel.fillRect(0, 0, 1, 1); return [...pixel.getImageData(0, 0, 1, 1).data]; };
const ground = (element) => {
  for (let it = element; it; it = it.parentElement) {
    const found = colour(getComputedStyle(it).backgroundColor);
    if (found[3] > 250) return found;
  }
  return [255, 255, 255, 255];
};
const weak = [];
for (const element of document.querySelectorAll('body *')) {
  const own = [...element.childNodes].some((it) => it.nodeType === 3 && it.data.trim());
  if (!own || !element.checkVisibility() || element.closest('.hidden, .skip, script, style, option')) continue;
  const [a, b] = [light(colour(getComputedStyle(element).color)), light(ground(element))].sort((a, b) => b - a);
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < 4.5) weak.push(`${element.tagName}.${element.className} ${element.textContent.slice(0, 20)}: ${ratio.toFixed(2)}`);
}
return [weak, getComputedStyle(document.body).backgroundColor];
"""


class Browser:
    def __init__(self, driver):
        options = {
            "args": ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1440,1000"],
        }
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.base = driver
        made = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.base = f"{driver}/session/{made['sessionId']}"

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"content-type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def close(self):
        self.ask("DELETE", "")

    def open(self, url):
        self.ask("POST", "/url", {"url": url})

    def run(self, script, *args):
        """Runs a script in the page, and returns its value."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(args)})

    def find(self, selector):
        return self.ask("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        # Out from under what stays at the top.
        self.run("document.querySelector(arguments[0]).scrollIntoView({ block: 'center' })", selector)
        self.ask("POST", f"/element/{self.find(selector)}/click", {})

    def type(self, selector, text):
        self.ask("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def fill(self, selector, text):
        self.ask("POST", f"/element/{self.find(selector)}/clear", {})
        self.type(selector, text)

    def choose(self, selector, value):
        self.click(f'{selector} option[value="{value}"]')

    def press(self, *keys):
        """Presses keys together, wherever the focus is."""
        downs = [{"type": "keyDown", "value": key} for key in keys]
        ups = [{"type": "keyUp", "value": key} for key in reversed(keys)]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": downs + ups}]})

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def until(self, what, holds):
        """Waits until a condition holds, and returns its value."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            value = holds()
            if value:
                return value
            time.sleep(0.05)
        raise AssertionError(f"no {what}")

    def says(self, selector, text):
        self.until(f"{text!r} in {selector}: {self.text(selector)!r}", lambda: text in self.text(selector))

    def devtools(self, command, **parameters):
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def scheme(self, name):
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.devtools("Emulation.setEmulatedMedia", features=features)

    def size(self, width, height):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def screenshot(self, file):
        self.run("scrollTo(0, 0)")
        shot = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        with open(file, "wb") as out:
            out.write(base64.b64decode(shot["data"]))

    def looks_right(self, sizes, shots):
        """Checks that text can be read in both colour schemes, and that nothing is cut off at each size: its width, its
        height, and whether it is pictured in the folder `shots`."""
        grounds = set()
        for scheme in ["light", "dark"]:
            self.scheme(scheme)
            time.sleep(0.3)
            weak, ground = self.run(CONTRAST)
            assert not weak, (scheme, weak)
            grounds.add(ground)
            for width, height, is_pictured in sizes:
                self.size(width, height)
                time.sleep(0.2)
                wide = self.run("return document.documentElement.scrollWidth")
                assert wide <= width, (scheme, width, wide)
                if is_pictured:
                    self.screenshot(f"{shots}/{scheme}-{width}.png")
        assert len(grounds) == 2, grounds

    def complaints(self):
        """Returns what the console says: errors, and what the page's policy refused. Statuses above 400 are answers."""
        lines = [entry["message"] for entry in self.ask("POST", "/se/log", {"type": "browser"})]
        return [line for line in lines if "Failed to load resource" not in line]
