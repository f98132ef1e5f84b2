"""Run with: python main.py (settings: AI_PORT, HOST and those of settings.py)."""

import contextlib
import os
import sys

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

import chat
from ai_server import AiServer
from settings import SettingsError, read_settings


def create_app(settings) -> FastAPI:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI):
        app.state.ai = AiServer(settings)
        app.state.chat = chat.ChatModel(
            settings.chat_slots,
            settings.chat_first_s,
            settings.chat_token_s,
            settings.chat_tokens,
            settings.seed,
        )
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
        return PlainTextResponse(exposition(app.state.ai, app.state.chat), media_type="text/plain; version=0.0.4")

    @app.post("/v1/chat/completions")
    async def completions(request: Request) -> Response:
        try:
            asked = await request.json()
            model, wanted = str(asked["model"]), asked.get("max_tokens")
            if not asked["messages"] or not isinstance(wanted, (int, type(None))):
                raise ValueError("no messages, or max_tokens is no number")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            message = f"not a chat completion: {type(error).__name__}: {error}"
            return JSONResponse({"error": {"message": message, "type": "invalid_request_error"}}, status_code=400)
        if asked.get("stream"):
            events = chat.stream(app.state.chat, model, wanted)
            return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-cache"})
        return JSONResponse(await chat.whole(app.state.chat, model, wanted))

    @app.post("/admin/drain")
    async def drain() -> dict:
        return {"dropped": app.state.ai.drain()}

    return app


def exposition(ai: AiServer, chats: chat.ChatModel) -> str:
    now = ai.now()
    rows = [
        ("ai_queue", "gauge", "Questions waiting for a worker", ai.pool.waiting(now)),
        ("ai_in_flight", "gauge", "Questions being answered", ai.pool.in_flight(now)),
        ("ai_workers", "gauge", "Workers", ai.pool.workers),
        ("ai_questions_total", "counter", "Questions received", ai.received),
        ("ai_answers_total", "counter", "Answers published", ai.answered),
        ("ai_dropped_total", "counter", "Questions dropped by drain", ai.dropped),
        ("ai_lost_answers_total", "counter", "Answers that Redis did not take", ai.lost_answers),
        ("ai_chat_waiting", "gauge", "Chat completions waiting for a place", chats.waiting),
        ("ai_chat_in_flight", "gauge", "Chat completions being answered", chats.in_flight),
        ("ai_chat_answers_total", "counter", "Chat completions answered", chats.answered),
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
