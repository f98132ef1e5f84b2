#!/usr/bin/env python3
"""Opens the page of `--serve` in headless Chromium while the demo is searched, and checks that it follows the run to its answer.

    check-live-page.py BREAKPOINT CHROMIUM [PICTURES]

With PICTURES the page is also kept as pictures to look at.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from browser import Browser, check, check_console, check_contrast, check_widths, contrast, failures

# What a reader of the page can see of the run.
STATE = """({ answer: document.getElementById("answer").textContent, now: document.getElementById("now").textContent,
  held: document.getElementById("held").textContent, probes: document.getElementById("visits").rows.length,
  latency: document.getElementById("latency").textContent, lost: document.body.classList.contains("gone"),
  line: document.querySelector("#latency-chart path")?.getAttribute("d").length ?? 0,
  marks: document.querySelectorAll("#level-chart circle, #level-chart path[fill^=var]").length,
  end: document.getElementById("end").hidden ? "" : document.getElementById("summary").textContent })"""


def wait_for(browser, what, holds, seconds):
    """The state in which something holds; the state seen last when it never does."""
    state = browser.js(STATE)
    for _ in range(seconds * 2):
        if holds(state):
            return state
        time.sleep(0.5)
        state = browser.js(STATE)
    check(f"live: {what}", False, state)
    return state


def follow(browser, url, pictures):
    browser.size(1400, 900)
    browser.theme("light")
    browser.open(url)
    state = wait_for(browser, "a probe that is held", lambda s: "holding" in s["now"], 60)
    check("live: no answer yet", "breakpoint" not in state["answer"], state)
    state = wait_for(browser, "a probe that was judged", lambda s: s["probes"] >= 1 and s["held"] != "–", 60)
    check("live: the latency against the SLO", " of 2 s" in state["latency"], state)
    check("live: charts are drawn", state["line"] > 50 and state["marks"] >= 1, state)
    check_widths("live", browser)
    grounds = {}
    for theme in ["light", "dark"]:
        browser.theme(theme)
        grounds[theme] = browser.js("getComputedStyle(document.body).backgroundColor")
        check_contrast("live", theme, browser)
        if pictures:
            browser.picture(os.path.join(pictures, f"live-{theme}.png"), whole=True)
    check("live: themes", contrast(grounds["light"], grounds["dark"]) > 10, grounds)


def ended(browser, process):
    out, _ = process.communicate(timeout=180)
    state = wait_for(browser, "the answer", lambda s: s["end"], 10)
    said = out.decode().splitlines()[0]
    check("live: the answer is the terminal's", state["end"].startswith(said), (said, state["end"]))
    check("live: a run that ended has lost nothing", not state["lost"], state)


def check_requests(browser, url):
    check_console("live", browser)
    for event in browser.events:
        if event.get("method") == "Network.requestWillBeSent":
            asked = event["params"]["request"]["url"]
            check("live: request", asked.startswith(url) or asked == "data:,", asked)


def main():
    program, chromium = os.path.abspath(sys.argv[1]), sys.argv[2]
    pictures = os.path.abspath(sys.argv[3]) if len(sys.argv) > 3 else None
    home = tempfile.mkdtemp(prefix="live-page-")
    asked = ["find", "--slo", "p99<2s", "--budget", "50s", "--start-vus", "40", "--max-vus", "120", "--quiet",
             "--serve", "127.0.0.1:0", "--out", os.path.join(home, "reports")]
    process = subprocess.Popen([program, *asked], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    browser = None
    try:
        url = re.search(r"live at (\S+)", process.stderr.readline().decode()).group(1)
        browser = Browser(chromium, os.path.join(home, "browser"))
        follow(browser, url, pictures)
        ended(browser, process)
        check_requests(browser, url)
    finally:
        if browser:
            browser.close()
        process.terminate()
        process.wait()
        shutil.rmtree(home, ignore_errors=True)
    if failures:
        raise SystemExit(f"{len(failures)} checks failed")
    print("the live page follows the run to its answer")


main()
