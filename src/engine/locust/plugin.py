"""breakpoint's plug-in for Locust: exact latencies per second, for `breakpoint find --engine locust`.

    breakpoint locust-plugin > bp.py
    locust -f locustfile.py,bp.py --master          and the same for every worker

Load it on the master and on all workers. It counts only while breakpoint is connected, changes nothing in your test, and
needs nothing but Locust (2.20 or newer).

A worker counts every request in the buckets of HDR Histogram with three significant digits, so that histograms of several
workers and seconds add up without loss, and sends them once a second over Locust's own channel. The master gives them out on its
web port, under /breakpoint/. Seconds are those of the master's clock; each worker reckons how far its own is off.

The age of requests in flight is known for HttpUser, FastHttpUser and whatever uses `events.request.measure`. Another client
tells of a request when it begins and ends with `bp.begin("name")` and `bp.end()`; without that its hanging requests are not seen.
"""

import errno
import functools
import json
import math
import socket
import ssl
import time
from collections import defaultdict
from contextlib import contextmanager
from urllib.parse import urlsplit

import gevent
import locust
from gevent import getcurrent
from locust import events
from locust.clients import HttpSession
from locust.event import EventHook
from locust.runners import STATE_MISSING, STATE_RUNNING, STATE_SPAWNING, MasterRunner, WorkerRunner

try:
    from locust.contrib.fasthttp import FastHttpSession
except ImportError:  # an installation without it
    FastHttpSession = None

# Of what is sent between this file and breakpoint.
PROTOCOL = 1
# Longest latency that is counted as itself, microseconds: an hour.
MAX_MICROS = 3_600_000_000
# Bits that tell values of one doubling apart: 2^11 is the first power of two above twice 10^3.
SUB_BUCKET_BITS = 11
# Seconds without a question of breakpoint after which it counts as gone, and what it started is stopped.
GONE_AFTER_S = 30.0
# Seconds after its end until which a second waits for the reports of all workers.
LATE_S = 1.5
# Seconds that the master remembers.
KEPT = 120
# Ways of failing that are told apart for a step in a second, and characters of what each says.
MOST_WAYS = 16
MOST_SAID = 300
# How often a worker looks how late it wakes.
TICK_S = 0.01
# Why requests fail, the most telling first: what the generator is to blame for before all.
KINDS = ("no_descriptors", "no_ports", "dns", "connect_refused", "tls", "timeout", "eof", "reset")


def bucket(micros):
    """The highest value of a value's bucket, microseconds: 2 048 values of width 1, then 1 024 of each doubled width."""
    value = min(max(int(micros), 1), MAX_MICROS)
    return value | ((1 << max(value.bit_length() - SUB_BUCKET_BITS, 0)) - 1)


def causes(exception):
    """An exception and all that it was made of."""
    left, seen = [exception], []
    while left and len(seen) < 50:
        cause = left.pop()
        if not isinstance(cause, BaseException) or any(cause is other for other in seen):
            continue
        seen.append(cause)
        left += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
    return seen


def kind_of_cause(cause):
    number = getattr(cause, "errno", None)
    name = type(cause).__name__
    if number in (errno.EMFILE, errno.ENFILE):
        return "no_descriptors"
    if number == errno.EADDRNOTAVAIL:
        return "no_ports"
    if isinstance(cause, ConnectionRefusedError):
        return "connect_refused"
    if name in ("RemoteDisconnected", "IncompleteRead", "HTTPConnectionClosed"):
        return "eof"
    if isinstance(cause, (ConnectionResetError, BrokenPipeError, ConnectionAbortedError)):
        return "reset"
    if isinstance(cause, socket.gaierror):
        return "dns"
    if isinstance(cause, TimeoutError) or "Timeout" in name:
        return "timeout"
    if isinstance(cause, ssl.SSLError):
        return "tls"
    return None


def kind(exception, status):
    """Why a request failed, in breakpoint's words."""
    found = {kind_of_cause(cause) for cause in causes(exception)}
    for telling in KINDS:
        if telling in found:
            return telling
    if status is not None and status >= 400:
        return "status"
    # The test itself said that an answer was wrong.
    return "wrong_event" if status else "protocol"


def status_of(response):
    status = getattr(response, "status_code", None)
    return status if isinstance(status, int) and status > 0 else None


def is_shed(response, status):
    """A refusal by design."""
    headers = getattr(response, "headers", None) or {}
    return status in (429, 503) and any(str(name).lower() == "retry-after" for name in headers)


class Step:
    """What requests of one name did in a second."""

    def __init__(self):
        self.ok = defaultdict(int)
        self.failed = defaultdict(int)
        # (kind, status, what was said, what was asked) of failures -> how many.
        self.ways = defaultdict(int)
        self.shed = 0
        # Ended without having begun: their client does not say when it begins.
        self.unseen = 0
        self.in_flight = defaultdict(int)

    def fail(self, why, status, said, request):
        self.failed[why] += 1
        way = (why, status, said[:MOST_SAID], request)
        if way not in self.ways and len(self.ways) >= MOST_WAYS:
            way = (why, None, "others", None)
        self.ways[way] += 1

    def as_data(self):
        names = ("kind", "status", "message", "request")
        return {
            "ok": sorted(self.ok.items()),
            "failed": dict(self.failed),
            "ways": [{**dict(zip(names, way)), "count": count} for way, count in self.ways.items()],
            "shed": self.shed,
            "unseen": self.unseen,
            "in_flight": sorted(self.in_flight.items()),
        }


class Counts:
    """What the users of this process do."""

    def __init__(self):
        self.on = False
        self.steps = defaultdict(Step)
        # Greenlet -> (name, when it began) of the request that it waits for.
        self.begun = {}

    def completed(self, name, request_type="", response_time=0, response=None, exception=None, **_more):
        seen = self.begun.pop(getcurrent(), None)
        if not self.on:
            return
        step = self.steps[name]
        step.unseen += seen is None
        if exception is None:
            # Without a time there is nothing to count.
            if response_time is not None:
                step.ok[bucket(response_time * 1000)] += 1
            return
        status = status_of(response)
        if is_shed(response, status):
            step.shed += 1
        else:
            step.fail(kind(exception, status), status, str(exception), f"{request_type} {name}".strip())

    def cut(self):
        """Takes what was counted, with the ages of what is in flight."""
        now = time.perf_counter()
        for greenlet, (name, begun) in list(self.begun.items()):
            if getattr(greenlet, "dead", False):
                del self.begun[greenlet]
            else:
                self.steps[name].in_flight[bucket((now - begun) * 1e6)] += 1
        steps, self.steps = self.steps, defaultdict(Step)
        return {name: step.as_data() for name, step in steps.items()}


COUNTS = Counts()


def begin(name):
    """A request of this greenlet begins; for clients that Locust does not know."""
    COUNTS.begun[getcurrent()] = (name, time.perf_counter())


def end():
    """It ended, unless `events.request` told so already."""
    COUNTS.begun.pop(getcurrent(), None)


def label(url):
    """As Locust names a request without a name."""
    if isinstance(url, bytes):
        url = url.decode(errors="replace")
    parts = urlsplit(str(url))
    path = parts.path or "/"
    return path + "?" + parts.query if parts.query else path


def watched(request):
    """A session's `request`, which tells when it begins."""

    @functools.wraps(request)
    def begun(self, method, url, name=None, *args, **kwargs):
        begin(name or getattr(self, "request_name", None) or label(url))
        try:
            return request(self, method, url, name, *args, **kwargs)
        except BaseException:
            end()
            raise

    return begun


def watched_measure(measure):
    @contextmanager
    @functools.wraps(measure)
    def begun(self, request_type, name, *args, **kwargs):
        begin(name)
        try:
            with measure(self, request_type, name, *args, **kwargs) as meta:
                yield meta
        finally:
            end()

    return begun


class Worker:
    """Counts, and sends once a second."""

    def __init__(self, environment):
        self.runner = environment.runner
        # How far the master's clock is ahead; a message on its way makes it look less so.
        self.offsets = []
        self.told = -math.inf
        self.lags = []
        environment.events.request.add_listener(COUNTS.completed)
        self.runner.register_message("breakpoint_tick", self.tick)
        self.runner.greenlet.spawn(self.watch_lag)
        self.runner.greenlet.spawn(self.report)

    def tick(self, environment, msg, **_more):
        self.offsets = [*self.offsets[-19:], msg.data["now"] - time.time()]
        self.told = time.monotonic()

    def now(self):
        """The master's time."""
        return time.time() + max(self.offsets, default=0.0)

    def watch_lag(self):
        while True:
            if not COUNTS.on:
                gevent.sleep(0.2)
                continue
            before = time.perf_counter()
            gevent.sleep(TICK_S)
            self.lags.append(max(time.perf_counter() - before - TICK_S, 0.0))

    def is_asked(self):
        return time.monotonic() - self.told <= GONE_AFTER_S

    def report(self):
        while True:
            if self.is_asked():
                self.count_and_send()
            gevent.sleep(0.1)

    def count_and_send(self):
        """Second after second, as long as anybody asks."""
        boundary = self.begin_at_a_boundary()
        cpu, clock = time.process_time(), time.perf_counter()
        while self.is_asked():
            gevent.sleep(max(boundary - self.now(), 0.0))
            steps, lags, self.lags = COUNTS.cut(), sorted(self.lags), []
            used, passed = time.process_time() - cpu, time.perf_counter() - clock
            cpu, clock = cpu + used, clock + passed
            self.runner.send_message(
                "breakpoint_window",
                {
                    "protocol": PROTOCOL,
                    "second": boundary - 1,
                    "users": self.runner.user_count,
                    # In cores, and as a share of what one process of Python can use, which is one.
                    "cpu": used / passed,
                    "cpu_share": used / passed,
                    "lag_p99_s": lags[math.ceil(0.99 * len(lags)) - 1] if lags else None,
                    "steps": steps,
                },
            )
            # A process that was held up leaves out whole seconds.
            boundary = max(boundary + 1, math.floor(self.now()) + 1)
        COUNTS.on = False

    def begin_at_a_boundary(self):
        now = self.now()
        first = math.floor(now) + 1
        gevent.sleep(first - now)
        COUNTS.on = True
        COUNTS.cut()
        self.lags = []
        return max(first, math.floor(self.now())) + 1


def as_json(app, view):
    """The web page's own way spreads lists over lines."""

    @functools.wraps(view)
    def answer():
        return app.response_class(json.dumps(view(), separators=(",", ":")), mimetype="application/json")

    return answer


class Master:
    """Collects what workers send, and gives it out second by second."""

    def __init__(self, environment):
        self.environment = environment
        self.runner = environment.runner
        # Second -> worker -> its report.
        self.windows = {}
        # Worker -> when it reported last.
        self.reported = {}
        self.asked = -math.inf
        # Whether breakpoint said that it starts and stops this swarm.
        self.drives = False
        self.runner.register_message("breakpoint_window", self.window)
        self.runner.greenlet.spawn(self.tick)
        self.routes(environment)

    def routes(self, environment):
        ui = environment.web_ui
        if ui is None or ui.app is None:
            return
        base = (getattr(environment.parsed_options, "web_base_path", None) or "").rstrip("/")
        for name, view, method in (
            ("status", self.status, "GET"),
            ("windows", self.give, "GET"),
            ("leave", self.leave, "POST"),
        ):
            ui.app.add_url_rule(
                f"{base}/breakpoint/{name}",
                f"breakpoint_{name}",
                ui.auth_required_if_enabled(as_json(ui.app, view)),
                methods=[method],
            )

    def window(self, environment, msg, **_more):
        data = msg.data
        self.reported[msg.node_id] = time.monotonic()
        self.windows.setdefault(data["second"], {})[msg.node_id] = data
        for old in [second for second in self.windows if second < data["second"] - KEPT]:
            del self.windows[old]

    def attached(self):
        return time.monotonic() - self.asked <= GONE_AFTER_S

    def tick(self):
        while True:
            now = time.time()
            gevent.sleep(math.floor(now) + 1 - now)
            if self.attached():
                self.runner.send_message("breakpoint_tick", {"now": time.time()})
            elif self.drives:
                self.drives = False
                if self.runner.state in (STATE_RUNNING, STATE_SPAWNING):
                    print("breakpoint is gone: stopping what it started", flush=True)
                    gevent.spawn(self.runner.stop)

    def expected(self):
        """Workers that are there and have the plug-in."""
        return [c.id for c in self.runner.clients.all if c.state != STATE_MISSING and c.id in self.reported]

    def status(self):
        self.asked = time.monotonic()
        now = time.monotonic()
        return {
            "protocol": PROTOCOL,
            "locust": locust.__version__,
            "now": time.time(),
            "state": self.runner.state,
            "host": self.environment.host,
            "shape": type(self.environment.shape_class).__name__ if self.environment.shape_class else None,
            "user_count": self.runner.user_count,
            "workers": [
                {
                    "id": c.id,
                    "state": c.state,
                    "users": c.user_count,
                    "reported_ago_s": now - self.reported[c.id] if c.id in self.reported else None,
                }
                for c in self.runner.clients.all
            ],
        }

    def is_ready(self, second):
        """Whether all have told of a second, or had the time to."""
        ended = time.time() - (second + 1)
        if ended < 0:
            return False
        told = self.windows.get(second, {})
        return ended > LATE_S or all(worker in told for worker in self.expected())

    def give(self):
        """The seconds after one, at least one of them unless that takes too long."""
        from flask import request

        self.asked = time.monotonic()
        self.drives = self.drives or request.args.get("drives") == "1"
        latest = math.floor(time.time()) - 1
        # -1 asks for what is new from now on.
        after = int(request.args.get("after", -1))
        after = max(after, latest - KEPT) if after >= 0 else latest
        until = time.monotonic() + 3.0
        while not self.is_ready(after + 1) and time.monotonic() < until:
            gevent.sleep(0.02)
        self.asked = time.monotonic()
        out = []
        while self.is_ready(after + 1) and len(out) < 30:
            after += 1
            out.append({"second": after, "expected": self.expected(), "workers": self.windows.get(after, {})})
        return {"protocol": PROTOCOL, "now": time.time(), "state": self.runner.state, "windows": out}

    def leave(self):
        """breakpoint goes, in good order."""
        self.asked, self.drives = -math.inf, False
        return {}


@events.init.add_listener
def install(environment, **_more):
    """Once in every process, when Locust knows what it is."""
    if hasattr(environment, "breakpoint"):
        # A test that imports this file has it loaded twice.
        return
    if isinstance(environment.runner, WorkerRunner):
        HttpSession.request = watched(HttpSession.request)
        if FastHttpSession is not None:
            FastHttpSession.request = watched(FastHttpSession.request)
        EventHook.measure = watched_measure(EventHook.measure)
        environment.breakpoint = Worker(environment)
    elif isinstance(environment.runner, MasterRunner):
        environment.breakpoint = Master(environment)
