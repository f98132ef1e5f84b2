"""Chat completions as a stream, in the shape that OpenAI's API has: a mock model that serves so many answers at once.

An answer waits for a free place, first come, first served; then comes the first token, and one after the other in an even
pace. The times are a schedule of each answer: a late wake-up of the event loop does not delay the tokens after it.
"""

import asyncio
import json
import random
import time
import uuid

WORDS = "the sky is blue because air scatters short waves of light more than long ones".split()
MOST_TOKENS = 4096


class ChatModel:
    def __init__(self, slots: int, first_s: float, token_s: float, tokens: int, seed: int):
        self.first_s = first_s
        self.token_s = token_s
        self.tokens = tokens
        self.waiting = 0
        self.in_flight = 0
        self.answered = 0
        self._rng = random.Random(seed)
        self._places = asyncio.Semaphore(slots)

    async def tokens_of(self, wanted):
        """The tokens of one answer, each when it is due."""
        count = self.tokens if wanted is None else max(1, min(int(wanted), MOST_TOKENS))
        self.waiting += 1
        try:
            await self._places.acquire()
        finally:
            self.waiting -= 1
        self.in_flight += 1
        try:
            clock = asyncio.get_running_loop().time
            due = clock() + self._rng.uniform(0.5, 1.5) * self.first_s
            for number in range(count):
                await asyncio.sleep(max(0.0, due - clock()))
                yield WORDS[number % len(WORDS)] + " "
                due += self.token_s
            self.answered += 1
        finally:
            self.in_flight -= 1
            self._places.release()


def _head(kind: str, model: str) -> dict:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": model}


def _event(head: dict, delta: dict, finish=None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return f"data: {json.dumps(head | {'choices': [choice]})}\n\n"


async def stream(chat: ChatModel, model: str, wanted):
    """The events: the role, the tokens, why it ended, and the text that ends every such stream."""
    head = _head("chat.completion.chunk", model)
    yield _event(head, {"role": "assistant", "content": ""})
    async for token in chat.tokens_of(wanted):
        yield _event(head, {"content": token})
    yield _event(head, {}, "stop")
    yield "data: [DONE]\n\n"


async def whole(chat: ChatModel, model: str, wanted) -> dict:
    """The same answer in one piece."""
    text = "".join([token async for token in chat.tokens_of(wanted)])
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return _head("chat.completion", model) | {"choices": [choice]}
