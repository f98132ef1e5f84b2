"""The mock AI server: takes questions from Redis Pub/Sub, answers them there after a model's latency."""

import asyncio
import contextlib
import json
import logging
import random

import redis.asyncio as redis
from redis.exceptions import RedisError

from settings import Settings
from worker_pool import WorkerPool, latency_sampler, worker_count

QUESTIONS = "questions"
RECONNECT_PAUSE_S = 0.2
PING_DEADLINE_S = 1.0

log = logging.getLogger("ai")


class AiServer:
    def __init__(self, settings: Settings):
        self.settings = settings
        rng = random.Random(settings.seed)
        self.pool = WorkerPool(
            worker_count(settings.answers_per_second, settings.mean_latency_s),
            latency_sampler(settings.distribution, settings.mean_latency_s, rng),
        )
        self.answer_text = "a" * settings.answer_bytes
        self.received = 0
        self.answered = 0
        self.dropped = 0
        self.lost_answers = 0
        self.subscribed = False
        self._redis = redis.from_url(settings.redis_url, decode_responses=True)
        self._wake_publisher = asyncio.Event()
        self._intake = None
        self._publisher = None

    def start(self) -> None:
        self._intake = asyncio.create_task(self._take_questions())
        self._publisher = asyncio.create_task(self._publish_answers())

    async def stop(self) -> None:
        self._intake.cancel()
        self._publisher.cancel()
        await asyncio.gather(self._intake, self._publisher, return_exceptions=True)
        with contextlib.suppress(RedisError, OSError):
            await self._redis.aclose()

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def drain(self) -> int:
        dropped = self.pool.drain(self.now())
        self.dropped += dropped
        if self.settings.intake == "backpressure":
            # Most of the backlog is in Redis' output buffer for this subscription, and goes with it.
            self._intake.cancel()
            self.subscribed = False
            self._intake = asyncio.create_task(self._take_questions())
        return dropped

    async def healthy(self) -> bool:
        """Pub/Sub comes back later than PING after Redis restarts, so both are asked for."""
        try:
            await asyncio.wait_for(self._redis.ping(), PING_DEADLINE_S)
        except (RedisError, OSError, asyncio.TimeoutError):
            return False
        return self.subscribed

    # Questions

    async def _take_questions(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as subscription:
                    await subscription.subscribe(QUESTIONS)
                    await self._listen(subscription)
            except (RedisError, OSError) as error:
                log.warning("the subscription to questions broke: %s", error)
            self.subscribed = False
            await asyncio.sleep(RECONNECT_PAUSE_S)

    async def _listen(self, subscription) -> None:
        async for message in subscription.listen():
            if message["type"] == "subscribe":
                self.subscribed = True
            elif message["type"] == "message":
                start = self._take(message["data"])
                if self.settings.intake == "backpressure":
                    # Reads on only when a worker took this question: the backlog stays in Redis' output buffer.
                    await asyncio.sleep(max(0.0, start - self.now()))

    def _take(self, data: str) -> float:
        now = self.now()
        try:
            question = json.loads(data)
            # Only what the answer needs is kept: a long backlog must not hold the questions' texts.
            kept = {key: question[key] for key in ("id", "user", "reply_to")}
        except (ValueError, KeyError, TypeError) as error:
            log.warning("not a question: %r (%s)", data[:80], error)
            return now
        self.received += 1
        start = self.pool.assign(kept, now)
        self._wake_publisher.set()
        return start

    # Answers

    async def _publish_answers(self) -> None:
        while True:
            await self._wait_for_finish()
            finished = self.pool.take_finished(self.now())
            if finished:
                await self._publish(finished)

    async def _wait_for_finish(self) -> None:
        """Until the next answer is due, or a new question may be due sooner."""
        self._wake_publisher.clear()
        due = self.pool.next_finish()
        timeout = None if due is None else max(0.0, due - self.now())
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._wake_publisher.wait(), timeout)

    async def _publish(self, questions: list) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        for question in questions:
            pipeline.publish(question["reply_to"], self._answer(question))
        try:
            await pipeline.execute()
            self.answered += len(questions)
        except (RedisError, OSError) as error:
            self.lost_answers += len(questions)
            log.warning("%d answers could not be published: %s", len(questions), error)

    def _answer(self, question: dict) -> str:
        return json.dumps({"id": question["id"], "user": question["user"], "text": self.answer_text})
