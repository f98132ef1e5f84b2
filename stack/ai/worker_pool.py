"""A mock model's pool of workers, computed instead of slept.

`c` workers serve questions first come, first served. When a question arrives, the time at which it will be answered is
already certain: it starts when the next worker is free and ends one service time later. Computing that time, instead
of letting c tasks sleep, keeps late wake-ups of the event loop from adding up to a lower capacity.

Pure logic: every function takes the time, none reads a clock.
"""

import heapq
import math
import random

# The shape of the log-normal latency; its 99th percentile is about 2.8 times the mean.
LOGNORMAL_SIGMA = 0.5


def latency_sampler(distribution: str, mean_s: float, rng: random.Random):
    """A function that draws service times with the given mean."""
    if distribution == "fixed":
        return lambda: mean_s
    if distribution == "uniform":
        return lambda: rng.uniform(0.0, 2.0 * mean_s)
    if distribution == "exponential":
        return lambda: rng.expovariate(1.0 / mean_s)
    if distribution == "lognormal":
        mu = math.log(mean_s) - LOGNORMAL_SIGMA**2 / 2.0
        return lambda: rng.lognormvariate(mu, LOGNORMAL_SIGMA)
    raise ValueError(f"unknown latency distribution {distribution!r}")


def worker_count(answers_per_second: float, mean_latency_s: float) -> int:
    """Little's law: as many workers as answers are being made at full capacity."""
    return max(1, round(answers_per_second * mean_latency_s))


class WorkerPool:
    """Assigns questions to workers, and hands out the finished ones in the order in which they finish."""

    def __init__(self, workers: int, draw_latency):
        self.workers = workers
        self._draw_latency = draw_latency
        self._free_at = [0.0] * workers
        # (finish, number, start, question); the number keeps questions themselves from being compared.
        self._pending = []
        self._assigned = 0

    def assign(self, question, arrival: float) -> float:
        """Takes a question; returns the time at which a worker starts on it."""
        start = max(arrival, self._free_at[0])
        finish = start + self._draw_latency()
        heapq.heapreplace(self._free_at, finish)
        heapq.heappush(self._pending, (finish, self._assigned, start, question))
        self._assigned += 1
        return start

    def next_finish(self):
        """When the next question is answered, or None when there is none."""
        return self._pending[0][0] if self._pending else None

    def take_finished(self, now: float) -> list:
        finished = []
        while self._pending and self._pending[0][0] <= now:
            finished.append(heapq.heappop(self._pending)[3])
        return finished

    def drain(self, now: float) -> int:
        """Drops every question, waiting or started, and frees every worker."""
        dropped = len(self._pending)
        self._pending.clear()
        self._free_at = [now] * self.workers
        return dropped

    def waiting(self, now: float) -> int:
        return sum(1 for _, _, start, _ in self._pending if start > now)

    def in_flight(self, now: float) -> int:
        return len(self._pending) - self.waiting(now)
