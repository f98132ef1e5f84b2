"""Run with: python main.py (settings: AI_PORT, HOST and those of settings.py)."""

import contextlib
import os
import sys

import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from ai_server import AiServer
from settings import SettingsError, read_settings


def create_app(settings) -> FastAPI:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI):
        app.state.ai = AiServer(settings)
        app.state.ai.start()
        yield
        await app.state.ai.stop()

    app = FastAPI(title="breakpoint mock AI server", lifespan=lifespan)

    @app.get("/health")
    async def health() -> Response:
        if await app.state.ai.healthy():
            return JSONResponse({"status": "ok"})
        return JSONResponse({"error": "Redis does not answer or the subscription is down"}, status_code=503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return PlainTextResponse(exposition(app.state.ai), media_type="text/plain; version=0.0.4")

    @app.post("/admin/drain")
    async def drain() -> dict:
        return {"dropped": app.state.ai.drain()}

    return app


def exposition(ai: AiServer) -> str:
    now = ai.now()
    rows = [
        ("ai_queue", "gauge", "Questions waiting for a worker", ai.pool.waiting(now)),
        ("ai_in_flight", "gauge", "Questions being answered", ai.pool.in_flight(now)),
        ("ai_workers", "gauge", "Workers", ai.pool.workers),
        ("ai_questions_total", "counter", "Questions received", ai.received),
        ("ai_answers_total", "counter", "Answers published", ai.answered),
        ("ai_dropped_total", "counter", "Questions dropped by drain", ai.dropped),
        ("ai_lost_answers_total", "counter", "Answers that Redis did not take", ai.lost_answers),
    ]
    return "".join(f"# HELP {name} {text}\n# TYPE {name} {kind}\n{name} {value}\n" for name, kind, text, value in rows)


def main() -> int:
    try:
        settings = read_settings()
    except SettingsError as error:
        print(f"ai: {error}", file=sys.stderr)
        return 2
    host = os.environ.get("HOST", "127.0.0.1")
    port = int(os.environ.get("AI_PORT", "18081"))
    uvicorn.run(create_app(settings), host=host, port=port, access_log=False, timeout_graceful_shutdown=2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
