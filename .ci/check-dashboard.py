#!/usr/bin/env python3
"""Every query of the Grafana dashboard returns data from a real Prometheus server during a run of the demo.

    .ci/check-dashboard.py [--breakpoint PROGRAM]

The server both scrapes the run (`--serve`) and is written to by it (`--remote-write`). Needs `prometheus` in the PATH. Both are
on free ports of 127.0.0.1, end by themselves, and leave nothing behind.
"""

import argparse
import contextlib
import json
import math
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BOARD = ROOT / "dashboards/breakpoint.json"
# What Grafana puts in place of its variables.
VARIABLES = {"$__rate_interval": "15s", "$profile": ".*"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Prometheus:
    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}"

    def get(self, path):
        with urllib.request.urlopen(self.base + path, timeout=5) as answer:
            return json.load(answer)

    def wait(self):
        for _ in range(100):
            with contextlib.suppress(OSError):
                with urllib.request.urlopen(self.base + "/-/ready", timeout=2):
                    return
            time.sleep(0.2)
        sys.exit("prometheus did not get ready")

    def series(self, query):
        """Labels and value of what a query returns now; NaN is no data."""
        result = self.get("/api/v1/query?" + urllib.parse.urlencode({"query": query}))["data"]["result"]
        return [(s["metric"], float(s["value"][1])) for s in result if not math.isnan(float(s["value"][1]))]


def queries():
    """(panel, query) of every target of the board."""
    for panel in json.loads(BOARD.read_text())["panels"]:
        for target in panel["targets"]:
            query = target["expr"]
            for name, value in VARIABLES.items():
                query = query.replace(name, value)
            assert "$" not in query, f"{panel['title']}: a variable that Grafana does not know: {query}"
            yield panel["title"], query


@contextlib.contextmanager
def running(command, **options):
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def demo_profile(folder, port, pid, prometheus):
    """The demo's own profile, with its target's process watched, and what the server knows of the run."""
    text = (ROOT / "profiles/demo.toml").read_text()
    lines = [f'url = "http://127.0.0.1:{port}"' if line.startswith("demo =") else line for line in text.splitlines()]
    (folder / "demo.pid").write_text(str(pid))
    monitor = '[[monitor]]\nname = "demo"\npid-file = "demo.pid"\nmemory-limit = "512MiB"\n'
    asked = f'[[monitor]]\nname = "server"\nprometheus-server = "{prometheus.base}"\nqueries = {{ up = "sum(up)", vus = "max(breakpoint_vus)" }}\n'
    (folder / "demo.toml").write_text("\n".join(lines) + "\n\n" + monitor + "\n" + asked)


def told_by_the_server(folder):
    """What the monitor of the server's queries read over the run, by field."""
    record = json.loads(next(folder.glob("reports/*/*/result.json")).read_text())
    seconds = [s for probe in record["probes"] for s in probe["seconds"]]
    read = {field: [s["readings"].get("server", {}).get(field) for s in seconds] for field in ("up", "vus")}
    return {field: [v for v in values if v is not None] for field, values in read.items()}


def check(program, folder):
    served, listening, demo_port = free_port(), free_port(), free_port()
    config = (ROOT / "dashboards/prometheus.yml").read_text()
    assert "127.0.0.1:9464" in config, "the address that is scraped has changed"
    (folder / "prometheus.yml").write_text(config.replace("127.0.0.1:9464", f"127.0.0.1:{served}").replace("5s", "1s"))
    server = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
              f"--web.listen-address=127.0.0.1:{listening}", "--web.enable-remote-write-receiver", "--log.level=error"]
    prometheus = Prometheus(listening)
    demo = [program, "demo", "--listen", f"127.0.0.1:{demo_port}"]
    search = [program, "find", str(folder / "demo.toml"), "--slo", "p99<2s", "--budget", "150s", "--serve", f"127.0.0.1:{served}",
              "--remote-write", f"{prometheus.base}/api/v1/write", "--out", str(folder / "reports"), "--quiet"]
    # Both ways must bring the same; what only one of them brings would hide behind the other.
    ways = {"scraped": 'instance!=""', "written": 'instance=""'}
    missing = {(way, *item) for item in queries() for way in ways}
    with running(server):
        prometheus.wait()
        with running(demo, stdout=subprocess.DEVNULL) as target:
            demo_profile(folder, demo_port, target.pid, prometheus)
            with running(search, stdout=subprocess.DEVNULL) as find:
                while missing and find.poll() is None:
                    time.sleep(1)
                    missing = {m for m in missing if not prometheus.series(of_way(m[2], ways[m[0]]))}
                find.wait(150)
        for way, panel, query in sorted(missing):
            print(f"{panel}: no data when {way}: {query}", file=sys.stderr)
        # A series that has ended says so, and does not go on as a straight line for five minutes.
        time.sleep(1)
        left = prometheus.series('breakpoint_level{instance=""}')
        if left:
            print(f"the level is still told after the end: {left}", file=sys.stderr)
    told = told_by_the_server(folder)
    # The level moves, and the server says so a scrape later.
    asked = len(set(told["vus"])) > 1 and 1 in told["up"]
    if not asked:
        print(f"the server's answers did not become readings: {told}", file=sys.stderr)
    return not missing and not left and asked


def of_way(query, matcher):
    """The query over the series of one way: those of a sum have lost the label, so it goes into every selector."""
    return query.replace('profile=~".*"', f'profile=~".*",{matcher}')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--breakpoint", type=pathlib.Path, default=ROOT / "target/release/breakpoint")
    program = str(parser.parse_args().breakpoint.resolve())
    with tempfile.TemporaryDirectory() as folder:
        good = check(program, pathlib.Path(folder))
    print(f"{len(list(queries()))} queries of the dashboard, scraped and written: {'all have data' if good else 'NOT all have data'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
