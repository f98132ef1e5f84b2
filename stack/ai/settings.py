"""The AI server's settings, from environment variables."""

import os
from dataclasses import dataclass

DISTRIBUTIONS = ("fixed", "uniform", "exponential", "lognormal")
INTAKES = ("eager", "backpressure")


class SettingsError(Exception):
    pass


@dataclass(frozen=True)
class Settings:
    redis_url: str
    answers_per_second: float
    mean_latency_s: float
    distribution: str
    answer_bytes: int
    intake: str
    seed: int
    chat_slots: int
    chat_first_s: float
    chat_token_s: float
    chat_tokens: int


def read_settings(env=os.environ) -> Settings:
    problems = []

    def number(name, default, low, high):
        raw = env.get(name, "").strip() or str(default)
        try:
            value = float(raw)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            problems.append(f"{name}={raw} is not a number from {low} to {high}")
            return default
        return value

    def choice(name, choices, default):
        value = env.get(name, "").strip() or default
        if value not in choices:
            problems.append(f"{name}={value} is not one of {', '.join(choices)}")
        return value

    settings = Settings(
        redis_url=env.get("REDIS_URL", "").strip() or "redis://127.0.0.1:16379",
        answers_per_second=number("AI_TPS", 100, 0.001, 1_000_000),
        mean_latency_s=number("AI_LATENCY_MS", 500, 0.001, 3_600_000) / 1000.0,
        distribution=choice("AI_LATENCY_DIST", DISTRIBUTIONS, "uniform"),
        answer_bytes=int(number("ANSWER_KB", 2, 0, 10_240) * 1024),
        intake=choice("AI_INTAKE", INTAKES, "eager"),
        seed=int(number("AI_SEED", 1, 0, 2**63)),
        chat_slots=int(number("AI_CHAT_SLOTS", 32, 1, 100_000)),
        chat_first_s=number("AI_CHAT_FIRST_MS", 80, 0, 3_600_000) / 1000.0,
        chat_token_s=number("AI_CHAT_TOKEN_MS", 20, 0, 3_600_000) / 1000.0,
        chat_tokens=int(number("AI_CHAT_TOKENS", 50, 1, 4096)),
    )
    if problems:
        raise SettingsError("invalid settings:\n  " + "\n  ".join(problems))
    return settings
