"""Locust as a peer: WORK says what every user does. Prints its percentiles as one line when it ends."""

import os
import uuid

from geventhttpclient import HTTPClient
from locust import FastHttpUser, constant, events, task

WORK = os.environ.get("WORK", "get")
BODY = {"id": "6f1c0a52-5c1e-4a39-9d0e-3f6f0c1f7a11", "user": "u1", "text": "what breaks first?"}


class Peer(FastHttpUser):
    wait_time = constant(0)
    # A held answer is no error.
    network_timeout = 600.0
    connection_timeout = 600.0

    def on_start(self):
        self.name = f"u{uuid.uuid4().hex}"
        host, port = self.host.removeprefix("http://").split(":")
        # Streams need a connection that is not the one of the questions.
        self.streams = HTTPClient(host, int(port), network_timeout=600.0, connection_timeout=600.0)

    @task
    def work(self):
        if WORK == "post":
            self.client.post("/post", json=BODY)
        elif WORK == "session":
            self.session()
        elif WORK == "tokens":
            self.client.post("/tokens", json=BODY)
        elif WORK == "script":
            self.simple()
        elif WORK == "typical":
            self.typical()
        elif WORK == "sse":
            self.cycle()
        else:
            self.client.get(f"/{WORK}")

    def simple(self):
        with self.client.get("/get", catch_response=True) as answer:
            if answer.status_code != 200:
                answer.failure("status is not 200")

    def typical(self):
        with self.client.post("/session", json=BODY, catch_response=True) as answer:
            body = answer.json()
            checks = {
                "status is 200": answer.status_code == 200,
                "it is ok": body["ok"] is True,
                "it has items": len(body["items"]) > 0,
                "it is quick": answer.request_meta["response_time"] < 60000,
            }
            for name, passed in checks.items():
                if not passed:
                    answer.failure(name)
            item = next(item["id"] for item in body["items"] if item["price"] > 4)
        with self.client.get(f"/get?item={item}", name="item", catch_response=True) as answer:
            if answer.status_code != 200:
                answer.failure("the item is not there")

    def session(self):
        with self.client.post("/session", json=BODY, catch_response=True) as answer:
            body = answer.json()
            if body.get("ok") is not True:
                answer.failure("not ok")
            self.item = next(item["id"] for item in body["items"] if item["price"] > 4)

    def cycle(self):
        stream = self.streams.get(f"/sse?user={self.name}")
        question = {"id": uuid.uuid4().hex, "user": self.name, "text": "what breaks first?"}
        self.client.post("/questions", json=question)
        text = b""
        while not (b"event: answer" in text and text.endswith(b"\n\n")):
            piece = stream.read(1)
            if not piece:
                break
            text += bytes(piece)
        # An unfinished answer: its connection is closed, not used again.
        stream.release()


@events.quitting.add_listener
def percentiles(environment, **_):
    total = environment.stats.total
    p50, p99 = (total.get_response_time_percentile(q) for q in (0.5, 0.99))
    print(f"p50_ms={p50} p99_ms={p99}", flush=True)
