"""Run with: python -m unittest (in this folder)."""

import asyncio
import json
import unittest

from chat import ChatModel, stream, whole


def model(**more) -> ChatModel:
    return ChatModel(**{"slots": 2, "first_s": 0.001, "token_s": 0.001, "tokens": 3, "seed": 1} | more)


async def events(chat, wanted=None) -> list:
    return [event async for event in stream(chat, "m", wanted)]


class ChatTest(unittest.IsolatedAsyncioTestCase):
    async def test_a_stream_is_what_openai_sends(self):
        told = await events(model())
        self.assertTrue(all(event.startswith("data: ") and event.endswith("\n\n") for event in told))
        data = [event[6:-2] for event in told]
        self.assertEqual(data[-1], "[DONE]")
        chunks = [json.loads(text)["choices"][0] for text in data[:-1]]
        self.assertEqual(chunks[0]["delta"], {"role": "assistant", "content": ""})
        self.assertEqual([c["delta"]["content"] for c in chunks[1:-1]], ["the ", "sky ", "is "])
        self.assertEqual(chunks[-1], {"index": 0, "delta": {}, "finish_reason": "stop"})

    async def test_max_tokens_bounds_an_answer(self):
        answer = await whole(model(), "m", 2)
        self.assertEqual(answer["choices"][0]["message"]["content"], "the sky ")
        self.assertEqual(len(await events(model(), 0)), 4)

    async def test_more_than_there_are_places_wait_and_who_leaves_gives_his_up(self):
        chat = model(slots=1, token_s=30.0)
        first = asyncio.create_task(events(chat))
        second = asyncio.create_task(events(chat))
        await asyncio.sleep(0.05)
        self.assertEqual((chat.in_flight, chat.waiting), (1, 1))
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await asyncio.sleep(0.05)
        self.assertEqual((chat.in_flight, chat.waiting), (1, 0))
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        self.assertEqual((chat.in_flight, chat.waiting, chat.answered), (0, 0, 0))


if __name__ == "__main__":
    unittest.main()
