"""Checks what `find ci-gateway` found on the real stack: its answer, what gave way, and its files."""

import json
import pathlib
import sys

mode, folder = sys.argv[1], pathlib.Path(sys.argv[2])
record = json.loads((folder / "result.json").read_text())
answer = record["answer"]
# Four minutes may be too short for a number; the interval is the answer then.
assert answer["ending"] in ("found", "bracketed"), answer
low, high = answer["ci_low"], answer["ci_high"]
estimate = answer["breakpoint"] if answer["ending"] == "found" else (low + high) // 2
assert low <= estimate <= high, answer
# One stream costs some 0.95 MB over a base of some 40 MB: 160 MB end between these with room for every machine.
assert 60 <= estimate <= 180, estimate
held, broke = answer["last_held"], answer["first_broke"]
assert held["level"] < broke["level"], (held, broke)
if answer["ending"] == "found":
    assert held["level"] <= estimate < broke["level"], (held, broke)
visited = {probe["level"] for probe in record["probes"]}
assert {held["level"], broke["level"]} <= visited
if mode == "cgroup":
    # Only a kernel limit leaves a kernel's word for it.
    assert answer["limiting_resource"]["resource"] == "gateway memory", answer["limiting_resource"]
    assert answer["limiting_resource"]["sureness"] == "certain", answer["limiting_resource"]
for name in ["latency-vs-vus", "search", "throughput-vs-vus", "resources"]:
    assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG"), name
for name in ["holds.csv", "samples.csv"]:
    assert len((folder / name).read_text().splitlines()) > len(record["probes"]) > 0, name
assert "exit code 137" in (folder / "log.csv").read_text(), "the gateway's end is in no log"
streams = [
    second["readings"]["gateway"]["streams"] for probe in record["probes"] for second in probe["seconds"]
]
assert max(s for s in streams if s is not None) > 0, "the gateway's metrics were not read"
print(f"real stack ({mode}): {estimate} VUs ({low} - {high}), {answer['limiting_resource']}")
