"""Run with: python -m unittest (standard library only)."""

import random
import unittest

from worker_pool import WorkerPool, latency_sampler, worker_count


class WorkerPoolTest(unittest.TestCase):
    def test_a_free_worker_starts_at_once(self):
        pool = WorkerPool(2, lambda: 1.0)
        self.assertEqual(pool.assign("a", 10.0), 10.0)
        self.assertEqual(pool.next_finish(), 11.0)

    def test_questions_wait_in_order_of_arrival(self):
        pool = WorkerPool(1, lambda: 1.0)
        self.assertEqual([pool.assign(q, 0.0) for q in "abc"], [0.0, 1.0, 2.0])
        self.assertEqual((pool.waiting(0.5), pool.in_flight(0.5)), (2, 1))
        self.assertEqual(pool.take_finished(2.0), ["a", "b"])

    def test_late_reading_does_not_lower_the_capacity(self):
        pool = WorkerPool(1, lambda: 1.0)
        for number in range(10):
            pool.assign(number, 0.0)
        pool.take_finished(3.7)
        self.assertEqual(pool.take_finished(10.0)[-1], 9)

    def test_drain_frees_the_workers(self):
        pool = WorkerPool(1, lambda: 5.0)
        pool.assign("a", 0.0)
        pool.assign("b", 0.0)
        self.assertEqual(pool.drain(1.0), 2)
        self.assertIsNone(pool.next_finish())
        self.assertEqual(pool.assign("c", 1.0), 1.0)

    def test_the_capacity_is_workers_over_mean_latency(self):
        for distribution in ("fixed", "uniform", "exponential", "lognormal"):
            pool = WorkerPool(worker_count(100, 0.5), latency_sampler(distribution, 0.5, random.Random(1)))
            for number in range(20_000):
                pool.assign(number, 0.0)
            self.assertAlmostEqual(len(pool.take_finished(100.0)) / 100.0, 100.0, delta=1.5, msg=distribution)


if __name__ == "__main__":
    unittest.main()
