"""What the gunicorn servers of `limits` beside this file serve: each application has one limit of its own."""

import time

from sqlalchemy import create_engine, text
from sqlalchemy.pool import QueuePool

ENGINE = create_engine("sqlite:///:memory:", poolclass=QueuePool, pool_size=10, max_overflow=0, pool_timeout=1,
                       connect_args={"check_same_thread": False})


def answer(start_response):
    start_response("200 OK", [("content-type", "text/plain"), ("content-length", "3")])
    return [b"ok\n"]


def waits(_environ, start_response):
    """Waits as for another service, and takes a thread while it does."""
    time.sleep(0.1)
    return answer(start_response)


def pooled(_environ, start_response):
    """Takes one of ten connections for as long as a query lasts."""
    with ENGINE.connect() as connection:
        connection.execute(text("select 1"))
        time.sleep(0.1)
    return answer(start_response)


def burns(_environ, start_response):
    """Works for 20 ms of CPU time."""
    end = time.thread_time() + 0.02
    while time.thread_time() < end:
        pass
    return answer(start_response)
