#!/usr/bin/env python3
"""Nothing measured is lost: searches of the demo are killed at random moments and resumed; the disk gets full, and read-only.

    .ci/check-resume.py [--breakpoint PROGRAM] [--kills 5] [--seed 1]

A search is killed (SIGKILL) at a random moment and resumed, again and again, until it has been killed so often; then it ends by itself
with a new budget. After every kill the journal must hold what it held before, byte for byte, and whole lines more. The disks are small
file systems in memory, which needs root; without, that part is told as left out. `breakpoint` loads its own demo, on 127.0.0.1.
"""

import argparse
import contextlib
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
SEARCH = """[search]
start-vus = 20
max-vus = 600
budget = "{budget}"
hold-min = "1s"
hold-max = "2s"
settle-max = "2s"
pace = 400
"""


def profile(folder, budget):
    scenario, _ = (ROOT / "profiles/demo.toml").read_text().split("[search]")
    (folder / "demo.toml").write_text(scenario + SEARCH.format(budget=budget))


def whole_lines(path):
    """The journal's lines that end and fit their checksum; the last one may be torn, no other."""
    lines = path.read_bytes().splitlines(keepends=True)
    good = [line for line in lines if line.endswith(b"\n") and zlib.crc32(line[9:-1]) == int(line[:8], 16)]
    assert good == lines[:len(good)] and len(lines) - len(good) <= 1, f"{path}: a line in the middle is damaged"
    return good


def probe_of(line):
    return json.loads(line[9:])["probe"]


def start(command, folder):
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def kills(program, folder, count, rng):
    """Kills one search so often; returns (kills, kills in the middle of a line, probes, its record)."""
    profile(folder, "20m")
    process = start([program, "find", "demo.toml", "--quiet", "--out", "reports"], folder)
    had, torn, run = [], 0, None
    for kill in range(count):
        time.sleep(rng.uniform(0.5, 16))
        process.kill()
        process.wait()
        runs = list((folder / "reports/demo").glob("*/journal.jsonl")) if run is None else [run / "journal.jsonl"]
        lines = whole_lines(runs[0]) if runs else []
        if not lines:
            # Killed before there was anything: as good as never begun.
            for path in runs:
                path.unlink()
                path.parent.rmdir()
            process = start([program, "find", "demo.toml", "--quiet", "--out", "reports"], folder)
            continue
        run = runs[0].parent
        assert lines[:len(had)] == had, f"kill {kill}: a probe that was judged is gone or has changed"
        torn += runs[0].stat().st_size != sum(map(len, lines))
        had = lines
        process = start([program, "resume", str(run), "--quiet"], folder)
    process.kill()
    process.wait()
    had = whole_lines(run / "journal.jsonl")
    spent = json.loads(had[-1][9:])["told"]["judged_s"] if len(had) > 1 else 0
    last = [program, "resume", str(run), "--quiet", "--budget", f"{int(spent) + 40}s"]
    done = subprocess.run(last, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=300)
    assert done.returncode in (0, 3), f"the last resume ended with {done.returncode}: {done.stderr}"
    record = json.loads((run / "result.json").read_text())
    kept = [probe_of(line) for line in had[1:]]
    assert [p["index"] for p in record["probes"]] == list(range(len(record["probes"]))), "a probe is missing or there twice"
    for before, after in zip(kept, record["probes"]):
        assert (before["level"], before["start_s"], before["verdict"]) == (after["level"], after["start_s"], after["verdict"])
    starts = [p["start_s"] for p in record["probes"]]
    assert starts == sorted(starts), "the clock of the search went back"
    return torn, len(kept), record


@contextlib.contextmanager
def small_disk(size):
    """A file system in memory of so many bytes."""
    with tempfile.TemporaryDirectory() as at:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", at], check=True)
        try:
            yield pathlib.Path(at)
        finally:
            subprocess.run(["umount", at], check=True)


def remount(at, options):
    subprocess.run(["mount", "-o", f"remount,{options}", str(at)], check=True)


def search_on(program, folder, disk, meanwhile):
    """A search whose reports go to a disk to which something happens after its second probe, or that is killed then; (exit code, its words, its folder)."""
    profile(folder, "20m" if meanwhile is None else "30s")
    process = start([program, "find", "demo.toml", "--out", str(disk / "reports"), "--format", "json"], folder)
    for _ in range(600):
        journal = list(disk.glob("reports/demo/*/journal.jsonl"))
        if journal and len(whole_lines(journal[0])) >= 3:
            break
        time.sleep(0.1)
    else:
        sys.exit("no two probes within a minute")
    if meanwhile is None:
        process.kill()
    else:
        meanwhile(journal[0].parent)
    _, words = process.communicate(timeout=180)
    return process.returncode, words, journal[0].parent


def fallback(words):
    """The folder that the reports went to instead."""
    told = [line.split()[-1] for line in words.splitlines() if line.startswith("files")]
    assert told, f"nothing says where the files are: {words}"
    return pathlib.Path(told[-1])


def full_disk(program, folder):
    """A disk that gets full in the middle of a search costs nothing that was measured."""
    with small_disk("16m") as disk:
        code, words, run = search_on(program, folder, disk, lambda run: fill(disk))
        assert code in (1, 3), f"the search ended with {code}: {words}"
        assert "cannot write" in words, f"nothing was said: {words}"
        elsewhere = fallback(words)
        assert not elsewhere.is_relative_to(disk), f"{elsewhere} is on the disk that is full"
        record = json.loads((elsewhere / "result.json").read_text())
        kept = whole_lines(run / "journal.jsonl")[1:]
        assert len(record["probes"]) > len(kept) >= 2, f"{len(record['probes'])} probes, {len(kept)} in the journal"
        (disk / "filler").unlink()
        more = resumed(program, folder, run, "--budget", "40s")
        assert more.returncode in (0, 3), f"resume ended with {more.returncode}: {more.stderr}"
        again = json.loads((run / "result.json").read_text())
        assert len(again["probes"]) > len(kept)
        for path in elsewhere.iterdir():
            path.unlink()
        elsewhere.rmdir()
    print(f"a full disk: {len(record['probes'])} probes in the reports elsewhere, {len(kept)} in the journal, and resumed from those")


def read_only_disk(program, folder):
    """Nothing is loaded whose result could not be written; when the disk can be written again, the search goes on."""
    with small_disk("16m") as disk:
        _, _, run = search_on(program, folder, disk, None)
        journal = (run / "journal.jsonl").read_bytes()
        remount(disk, "ro")
        for command in (["resume", str(run)], ["find", "demo.toml", "--out", str(disk / "reports")]):
            refused = subprocess.run([program, *command], cwd=folder, capture_output=True, text=True, timeout=60)
            assert refused.returncode == 2 and "Read-only file system" in refused.stderr, f"{command}: {refused}"
        remount(disk, "rw")
        assert (run / "journal.jsonl").read_bytes() == journal
        more = resumed(program, folder, run, "--budget", "60s")
        assert more.returncode in (0, 3), f"resume ended with {more.returncode}: {more.stderr}"
    print("a read-only disk: refused at once, and resumed when it could be written")


def resumed(program, folder, run, *more):
    command = [program, "resume", str(run), "--quiet", *more]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180)


def fill(disk):
    with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--breakpoint", type=pathlib.Path, default=ROOT / "target/release/breakpoint")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    program = str(args.breakpoint.resolve())
    with tempfile.TemporaryDirectory() as folder:
        torn, probes, record = kills(program, pathlib.Path(folder), args.kills, random.Random(args.seed))
        print(f"{args.kills} kills: {probes} probes judged by then, {torn} lines torn, none lost, none twice; "
              f"in the end {record['answer']['ending']}, {record['answer']['breakpoint']} VUs "
              f"({record['answer']['ci_low']} - {record['answer']['ci_high']})")
    if os.geteuid() != 0:
        print("full and read-only disks: left out, mounting needs root")
        return
    for check in (full_disk, read_only_disk):
        with tempfile.TemporaryDirectory() as folder:
            check(program, pathlib.Path(folder))


if __name__ == "__main__":
    main()
