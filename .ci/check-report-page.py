#!/usr/bin/env python3
"""Opens report.html in headless Chromium as its readers do, and checks what they rely on.

    check-report-page.py BREAKPOINT CHROMIUM [PICTURES]

It renders the committed example, the same with a gate, with hostile text in every place that others write, and as a record of the
first schema, a short ramp, and comparisons of the example with a changed copy; then it asks the browser over its debugging pipe: no messages on the console, no request, tables that sort,
two themes that can be read, no scrolling sideways on a phone, and a PDF with the answer in it. JUnit files go through an XML
parser. With PICTURES the pages are also kept as pictures to look at.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml

from browser import Browser, check, check_console, check_contrast, check_widths, contrast, failures

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HOSTILE = (
    "</script><script>document.title='owned';fetch('http://127.0.0.1:9/')</script>"
    "<img src=http://127.0.0.1:9/x onerror=\"document.title='owned'\">"
    "\"'><svg onload=\"document.title='owned'\">]]></style>{{7*7}}\u202e\x1b[31m\x00 ::error::x ##[error]y |a|b| `c` \\d"
)
# The same for words in charts, which stand on the chart's own ground.
WORDS = """
(() => Array.from(document.querySelectorAll("svg text"), t => [t.textContent, getComputedStyle(t).fill,
  getComputedStyle(t.closest(".scroll")).backgroundColor]))()
"""


def check_quiet(name, browser):
    """No message on the console, nothing asked of any network."""
    check_console(name, browser)
    for event in browser.events:
        method, params = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            check(f"{name}: request", url.startswith(("file://", "data:")) and "report.html" in url or url == "data:,", url)


def check_themes(name, browser):
    grounds = {}
    for theme in ["light", "dark"]:
        browser.theme(theme)
        grounds[theme] = browser.js("getComputedStyle(document.body).backgroundColor")
        check_contrast(name, theme, browser)
        for words, ink, ground in browser.js(WORDS):
            ratio = contrast(ink, ground)
            # Large words, and colours that stand for something: 3 as WCAG has it for those.
            check(f"{name}: chart contrast, {theme}, {words}", ratio >= 3, f"{ink} on {ground} is {ratio:.2f}")
    check(f"{name}: themes", contrast(grounds["light"], grounds["dark"]) > 10, grounds)
    # The button turns it over against what the system says.
    browser.theme("light")
    browser.js("document.querySelector('.theme').click()")
    turned = browser.js("getComputedStyle(document.body).backgroundColor")
    check(f"{name}: toggle", turned == grounds["dark"], turned)
    browser.js("document.querySelector('.theme').click()")
    back = browser.js("getComputedStyle(document.body).backgroundColor")
    check(f"{name}: toggle back", back == grounds["light"], back)


def column(browser, table, index):
    return browser.js(
        f"Array.from(document.querySelectorAll('table.sortable')[{table}].tBodies[0].rows,"
        f" r => [r.cells[{index}].dataset.key ?? null, r.cells[{index}].textContent.trim()])")


def click(browser, table, index):
    """As a keyboard does it: focus, then the key."""
    browser.js(f"document.querySelectorAll('table.sortable')[{table}].tHead.rows[0].cells[{index}].querySelector('button').focus()")
    for kind in ["rawKeyDown", "char", "keyUp"]:
        browser.send("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r", windowsVirtualKeyCode=13)


def check_sorting(name, browser):
    tables = browser.js("document.querySelectorAll('table.sortable').length")
    check(f"{name}: tables", tables >= 2, tables)
    # The rows of a comparison are those of its metrics; of sizes there are none.
    table = tables_named(browser, {"compare": "Every change", "sizes": "The breakpoint of"}.get(name.split("-")[0], "Every probe"))
    heads = browser.js(
        f"Array.from(document.querySelectorAll('table.sortable')[{table}].tHead.rows[0].cells, c => c.textContent)")
    for index, head in enumerate(heads):
        before = column(browser, table, index)
        for direction in ["ascending", "descending"]:
            click(browser, table, index)
            aria = browser.js(f"document.querySelectorAll('table.sortable')[{table}].tHead.rows[0].cells[{index}].getAttribute('aria-sort')")
            check(f"{name}: aria-sort of {head}", aria == direction, aria)
            cells = column(browser, table, index)
            check(f"{name}: rows after sorting by {head}", sorted(map(str, cells)) == sorted(map(str, before)), "rows were lost")
            empty = [text == "" for _, text in cells]
            check(f"{name}: {head}: empty cells are last", empty == sorted(empty), cells)
            keys = [float(key) for key, text in cells if key is not None and text]
            check(f"{name}: {head} {direction}", keys == sorted(keys, reverse=direction == "descending"), keys)
    levels = [float(key) for key, _ in column(browser, table, 2) if key is not None]
    click(browser, table, 2)
    check(f"{name}: levels are numbers", len(set(levels)) > 3 or heads[2] != "VUs", levels)
    sorts = browser.js(f"document.querySelectorAll('table.sortable')[{table}].querySelectorAll('[aria-sort]').length")
    check(f"{name}: one column is sorted", sorts == 1, sorts)


def tables_named(browser, name):
    names = browser.js("Array.from(document.querySelectorAll('table.sortable'), t => t.caption.textContent)")
    return next((i for i, n in enumerate(names) if n.startswith(name)), 0)


def check_print(name, browser, home, words, pictures):
    browser.theme("dark")
    pdf = base64.b64decode(browser.send("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"])
    path = os.path.join(pictures or home, f"{name}.pdf")
    with open(path, "wb") as file:
        file.write(pdf)
    info = subprocess.run(["pdfinfo", path], capture_output=True, text=True, check=True).stdout
    pages = int(re.search(r"Pages:\s+(\d+)", info).group(1))
    check(f"{name}: pages of the PDF", 1 <= pages <= 30, pages)
    text = " ".join(subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, text=True, check=True).stdout.split())
    for word in words:
        check(f"{name}: PDF", " ".join(word.split()) in text, f"`{word}` is not in it")
    check(f"{name}: PDF", "Dark theme" not in text and "Light theme" not in text, "the toggle is printed")
    browser.theme("light")


def keep(name, browser, pictures):
    for theme in ["light", "dark"]:
        browser.theme(theme)
        browser.size(1280, 900)
        browser.picture(os.path.join(pictures, f"{name}-{theme}-top.png"))
        browser.picture(os.path.join(pictures, f"{name}-{theme}.png"), whole=True)
    browser.theme("light")
    browser.size(400, 800)
    browser.picture(os.path.join(pictures, f"{name}-400.png"), whole=True)
    browser.size(1400, 900)


def check_page(name, folder, browser, home, words, pictures):
    browser.size(1400, 900)
    browser.theme("light")
    browser.open("file://" + os.path.join(folder, "report.html"))
    title = browser.js("document.title")
    check(f"{name}: title", title != "owned" and title, title)
    scripts = browser.js("document.scripts.length + document.images.length")
    check(f"{name}: one script and no picture from elsewhere", scripts == 1, scripts)
    top = browser.js("document.querySelector('.number').getBoundingClientRect().bottom")
    check(f"{name}: the number is on the first screen", top < 300, top)
    charts = browser.js("Array.from(document.querySelectorAll('svg'), s => s.getBoundingClientRect().height)")
    check(f"{name}: charts", len(charts) >= 1 and min(charts) > 200, charts)
    if pictures:
        keep(name, browser, pictures)
    check_widths(name, browser)
    check_themes(name, browser)
    if name != "ramp":
        check_sorting(name, browser)
    check_print(name, browser, home, words, pictures)
    # What came late counts too.
    time.sleep(0.3)
    browser.js("1")
    check_quiet(name, browser)


def spoil(value, path=()):
    """Hostile text in place of all text that others write."""
    keep_as_is = {"ending", "unit", "counted", "purpose", "end", "verdict", "kind", "sureness", "arrivals", "objective", "step", "metric", "outcome"}
    if isinstance(value, dict):
        return {k: v if k in keep_as_is else spoil(v, path + (k,)) for k, v in value.items()}
    if isinstance(value, list):
        # Histograms, kinds of failures and steps stay; the last is known by its place.
        if path and path[-1] in ("failed", "steps", "slo", "objectives"):
            return value
        return [spoil(v, path) for v in value]
    if isinstance(value, str) and path[-1] != "latency":
        return HOSTILE + value[:20]
    return value


def hostile(record):
    record = json.loads(json.dumps(record))
    for probe in record["probes"]:
        for second in probe["seconds"]:
            second["readings"] = {HOSTILE if name == "gateway" else name: v for name, v in second["readings"].items()}
        probe["log"] = [{"at_s": probe["start_s"], "monitor": HOSTILE, "text": HOSTILE + str(i)} for i in range(3)]
    seconds = [probe.pop("seconds") for probe in record["probes"]]
    limits = record["plan"]["limits"]
    record["warnings"] = [HOSTILE, "=HYPERLINK(\"http://127.0.0.1:9\")"]
    record["slo"] = record["slo"] + [HOSTILE]
    record = spoil(record)
    for probe, own in zip(record["probes"], seconds):
        probe["seconds"] = own
    record["plan"]["limits"] = {HOSTILE if name == "gateway" else name: v for name, v in limits.items()}
    record["plan"]["command"] = ["find", HOSTILE, "$(touch owned)"]
    return record


def first_schema(text):
    """The names of the first schema, as in tests/pure/golden_report.rs."""
    for today, then in [('"schema_version": 3', '"schema_version": 1'), ('"breakpoint":', '"breakpoint_vus":'),
                        ('"knee":', '"knee_vus":'), ('"level":', '"vus":'), ('"min_level":', '"min_vus":'),
                        ('"max_level":', '"max_vus":'), ('"unit": "vus",', ""), ('"arrivals": null,', "")]:
        text = text.replace(today, then)
    return text


def rendered(program, home, name, text):
    folder = os.path.join(home, name)
    os.mkdir(folder)
    with open(os.path.join(folder, "result.json"), "w", encoding="utf-8") as file:
        file.write(text)
    subprocess.run([program, "report", folder], check=True, stdout=subprocess.DEVNULL)
    return folder


def ramped(program, home):
    """A short ramp of the built-in demo."""
    out = os.path.join(home, "ramps")
    asked = ["ramp", "demo", "--stages", "20:2s,40:4s,0:1s", "--quiet", "--out", out]
    subprocess.run([program, *asked], check=True, stdout=subprocess.DEVNULL)
    profile = os.path.join(out, "demo")
    return os.path.join(profile, os.listdir(profile)[0])


def changed(home, name, factor):
    """The example with another breakpoint and think time, in a folder of its own."""
    with open(os.path.join(ROOT, "reports/example/result.json"), encoding="utf-8") as file:
        record = json.load(file)
    answer = record["answer"]
    for end in ["breakpoint", "ci_low", "ci_high"]:
        answer[end] = round(answer[end] * factor)
    answer["distribution"] = [[level * factor, share] for level, share in answer["distribution"]]
    record["plan"]["think_s"] += 5
    record["environment"]["kernel"] += "-next"
    folder = os.path.join(home, name)
    os.makedirs(folder)
    with open(os.path.join(folder, "result.json"), "w", encoding="utf-8") as file:
        json.dump(record, file)
    return folder


def compared(program, home, name, runs, asked, code=0):
    """The folder of a comparison of the example with these runs."""
    out = os.path.join(home, name)
    example = os.path.join(ROOT, "reports/example")
    done = subprocess.run([program, "compare", example, *runs, *asked, "--quiet", "--out", out], stdout=subprocess.DEVNULL)
    check(f"{name}: exit code", done.returncode == code, done.returncode)
    parent = os.path.join(out, "comparisons")
    return os.path.join(parent, os.listdir(parent)[0])


def comparisons(program, home):
    less, more = changed(home, "after/less", 0.9), changed(home, "after/more", 1.9)
    most = changed(home, "after/most", 3.1)
    gates = ["--fail-if", "breakpoint<-5%", "--fail-if", "p50>+20%"]
    folders = {
        "compare": compared(program, home, "compare", [less], gates, 99),
        "compare-several": compared(program, home, "compare-several", [less, more], []),
        "sizes": compared(program, home, "sizes", [more, most], ["--sizes", "1,2,4"]),
    }
    with open(os.path.join(folders["compare-several"], "compare.json"), encoding="utf-8") as file:
        record = spoil(json.load(file))
    folder = os.path.join(home, "compare-hostile")
    os.mkdir(folder)
    with open(os.path.join(folder, "compare.json"), "w", encoding="utf-8") as file:
        json.dump(record, file)
    subprocess.run([program, "report", folder], check=True, stdout=subprocess.DEVNULL)
    folders["compare-hostile"] = folder
    return folders


def check_junit(name, folder):
    root = xml.parse(os.path.join(folder, "junit.xml")).getroot()
    cases = root.findall("./testsuite/testcase")
    check(f"{name}: junit", root.tag == "testsuites" and len(cases) == int(root.get("tests")), root.attrib)
    check(f"{name}: junit", root.findall(".//property[@name='slo']"), "no property slo")


def main():
    program, chromium = os.path.abspath(sys.argv[1]), sys.argv[2]
    pictures = os.path.abspath(sys.argv[3]) if len(sys.argv) > 3 else None
    home = tempfile.mkdtemp(prefix="report-page-")
    if pictures:
        os.makedirs(pictures, exist_ok=True)
    with open(os.path.join(ROOT, "reports/example/result.json"), encoding="utf-8") as file:
        text = file.read()
    record = json.loads(text)
    gated = json.loads(text)
    gated["plan"]["required"] = 1100
    folders = {
        "example": rendered(program, home, "example", text),
        "gate": rendered(program, home, "gate", json.dumps(gated)),
        "hostile": rendered(program, home, "hostile", json.dumps(hostile(record))),
        "schema-1": rendered(program, home, "schema-1", first_schema(text)),
    }
    folders["ramp"] = ramped(program, home)
    folders.update(comparisons(program, home))
    of_comparisons = {
        "compare": ["Change of the breakpoint", "-10.0 %", "evidence of a fall", "failed breakpoint<-5%", "think time", "1 003 – 1 029"],
        "compare-several": ["Candidates whose breakpoint changed", "2 of 2"],
        "compare-hostile": ["Candidates whose breakpoint changed", "2 of 2"],
        "sizes": ["Forecast for size 8", "95 % band", "The scaling law"],
    }
    browser = Browser(chromium, os.path.join(home, "browser"))
    number = "1 019"
    try:
        for name, folder in folders.items():
            words = [number, "1 003 – 1 029", "p99(answer)<2s", "gateway memory"]
            words = {"hostile": [number], "ramp": ["First breach", "none", "20 -> 40"], **of_comparisons}.get(name, words)
            check_page(name, folder, browser, home, words, pictures)
            check_junit(name, folder)
            print(f"looked at {name}")
    finally:
        browser.close()
        shutil.rmtree(home, ignore_errors=True)
    if failures:
        raise SystemExit(f"{len(failures)} checks failed")
    print("the report's pages are in order")


main()
