"""Chromium at the other end of two pipes, and what every page is asked."""

import base64
import json
import os
import re
import subprocess

failures = []


def check(name, holds, seen=""):
    if not holds:
        failures.append(f"{name}: {seen}")
        print(f"FAILED  {name}: {seen}")


class Browser:
    """Chromium at the other end of two pipes."""

    def __init__(self, program, home):
        to_child, self.to_browser = os.pipe()
        self.from_browser, from_child = os.pipe()

        def pipes():
            # The protocol's numbers are 3 and 4, which may be taken by our own ends.
            reading, writing = os.dup(to_child), os.dup(from_child)
            os.dup2(reading, 3)
            os.dup2(writing, 4)

        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--force-color-profile=srgb",
             f"--user-data-dir={home}", "--remote-debugging-pipe", "about:blank"],
            preexec_fn=pipes, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        os.close(to_child)
        os.close(from_child)
        self.buffer = b""
        self.next = 0
        self.events = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = None
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Page", "Runtime", "Log", "Network"]:
            self.send(f"{domain}.enable")

    def read(self):
        while b"\0" not in self.buffer:
            part = os.read(self.from_browser, 1 << 16)
            if not part:
                raise SystemExit("the browser ended")
            self.buffer += part
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def send(self, method, **params):
        self.next += 1
        message = {"id": self.next, "method": method, "params": params}
        if getattr(self, "session", None):
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to_browser, data):]
        while True:
            answer = self.read()
            if answer.get("id") == self.next:
                if "error" in answer:
                    raise SystemExit(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def open(self, url):
        self.events = []
        self.send("Page.navigate", url=url)
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self.read())

    def js(self, expression):
        result = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise SystemExit(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def size(self, width, height):
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def theme(self, name):
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def picture(self, path, whole=False):
        shot = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **({"clip": {
            "x": 0, "y": 0, "scale": 1, "width": self.js("innerWidth"),
            "height": self.js("document.documentElement.scrollHeight")}} if whole else {}))
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def close(self):
        self.session = None
        try:
            self.send("Browser.close")
        except (SystemExit, OSError):
            pass
        self.process.wait(timeout=20)


def luminance(colour):
    parts = [int(float(v)) / 255 for v in re.findall(r"[\d.]+", colour)[:3]]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    a, b = luminance(a), luminance(b)
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)


# Every element with text of its own: its colour, and the first ground below it that is not transparent.
TEXTS = """
(() => { const out = []; const clear = "rgba(0, 0, 0, 0)";
for (const e of document.querySelectorAll("body *")) {
  if (e.closest("svg") || e.closest("script") || !Array.from(e.childNodes).some(n => n.nodeType === 3 && n.data.trim())) continue;
  let g = e; while (g && getComputedStyle(g).backgroundColor === clear) g = g.parentElement;
  out.push([e.tagName + "." + e.className, getComputedStyle(e).color, g ? getComputedStyle(g).backgroundColor : "rgb(255, 255, 255)"]);
} return out; })()
"""


def check_console(name, browser):
    """No message on the console."""
    for event in browser.events:
        method, params = event.get("method"), event.get("params", {})
        if method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            check(f"{name}: console", False, params["entry"]["text"])
        if method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            check(f"{name}: console", False, json.dumps(params)[:300])


def check_contrast(name, theme, browser):
    texts = browser.js(TEXTS)
    check(f"{name}: texts", len(texts) > 20, len(texts))
    for element, ink, ground in texts:
        ratio = contrast(ink, ground)
        check(f"{name}: contrast, {theme}, {element}", ratio >= 4.5, f"{ink} on {ground} is {ratio:.2f}")


def check_widths(name, browser):
    for width in [360, 400, 768, 1400]:
        browser.size(width, 800)
        wide = browser.js("document.documentElement.scrollWidth")
        check(f"{name}: at {width} px", wide <= width, f"the page is {wide} px wide")
    browser.size(1400, 900)
