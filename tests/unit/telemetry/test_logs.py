"""What stands in the log: one line per event with its ids, never a secret, no personal text unless asked for."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
import structlog

from antiphon.config import LogSettings, Settings
from antiphon.domain.errors import NotFound
from antiphon.telemetry.logs import configure_logging, secrets_of

WORDS = "meet me at the old mill"


class Log:
    """The log of one test: configured on a buffer, read back as lines."""

    def __init__(self) -> None:
        self.buffer = io.StringIO()
        self.logger = structlog.stdlib.get_logger("test.subject")

    def configure(self, *, secrets: list[str] | None = None, **settings: Any) -> None:
        configure_logging(LogSettings(**{"format": "json", **settings}), secrets=secrets or [], stream=self.buffer)

    @property
    def text(self) -> str:
        return self.buffer.getvalue()

    def only(self) -> dict[str, Any]:
        (line,) = self.text.splitlines()
        return json.loads(line)


@pytest.fixture
def log() -> Log:
    one = Log()
    one.configure()
    return one


def test_an_event_is_one_json_line_with_the_ids_around_it(log: Log) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r1", task=7):
        log.logger.info("task.started", attempt=2)
    line = log.only()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "task.started",
        "attempt": 2,
        "request_id": "r1",
        "task": 7,
        "level": "info",
        "logger": "test.subject",
    }


def test_libraries_go_the_same_way(log: Log) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        logging.getLogger("django.request").warning("Not Found: %s", "/x", extra={"status_code": 404})
    line = log.only()
    assert (line["event"], line["status_code"], line["request_id"], line["level"]) == (
        "Not Found: /x",
        404,
        "r1",
        "warning",
    )


def test_a_logger_used_before_follows_too(log: Log) -> None:
    log.logger.info("one")
    log.configure(level="warning")
    log.logger.info("two")
    log.logger.warning("three")
    assert [json.loads(line)["event"] for line in log.text.splitlines()] == ["one", "three"]


def test_lines_of_libraries_that_quote_addresses_and_conversations_are_left_out(log: Log) -> None:
    log.configure(level="debug")
    logging.getLogger("uvicorn.access").info("GET /welcome/abc")
    logging.getLogger("httpx").info("POST http://x/y")
    logging.getLogger("openai").debug("conversation")
    assert log.text == ""


def test_the_console_format_is_for_people(log: Log) -> None:
    log.configure(format="console")
    log.logger.info("task.started", task=7)
    assert "task.started" in log.text
    assert "task=7" in log.text
    assert "\x1b" not in log.text


def test_personal_text_is_dropped(log: Log) -> None:
    log.logger.info("message.received", task=1, personal={"text": WORDS, "name": "Ada"})
    line = log.only()
    assert "personal" not in line
    assert line["task"] == 1


@pytest.mark.parametrize("key", ["text", "content", "prompt", "person_name", "arguments", "result"])
def test_a_forgotten_personal_key_is_masked(log: Log, key: str) -> None:
    log.logger.info("something", **{key: WORDS})
    assert WORDS not in log.text
    assert log.only()[key] == "[personal]"


def test_the_words_in_exceptions_are_withheld_along_the_whole_chain(log: Log) -> None:
    try:
        try:
            raise ExceptionGroup(WORDS, [ValueError(WORDS)])
        except ExceptionGroup as error:
            raise KeyError(WORDS) from error
    except KeyError:
        log.logger.exception("turn.failed")
    assert WORDS not in log.text
    shown = log.only()["exception"]
    for kind in ("ExceptionGroup:", "ValueError:", "KeyError:", "which led to:"):
        assert kind in shown
    assert __file__ in shown


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), NotFound("There is no such task.")])
def test_the_messages_of_the_system_and_our_own_are_kept(log: Log, error: Exception) -> None:
    logging.getLogger("library").error("failed", exc_info=error)
    assert str(error) in log.only()["exception"]


def test_personal_text_is_there_when_the_operator_asks_for_it(log: Log) -> None:
    log.configure(personal_text=True)
    log.logger.info("message.received", personal={"text": WORDS}, exc_info=ValueError("very private"))
    line = log.only()
    assert line["personal"] == {"text": WORDS}
    assert "very private" in line["exception"]


@pytest.mark.parametrize(
    "secret",
    [
        "ant_0123456789abcdef",
        "sk-0123456789abcdefghij",
        "configured-password",
        "Bearer abcdefghijklmnop",
        "postgresql://user:geheimnis@host/db",
        "http://127.0.0.1:8000/welcome/tokentokentoken",
        "/bot123456:AAAAAAAAAAAAAAAAAAAAAAAA/getMe",
        "MTAwMDAwMDAwMDAwMDAwMDAw." + "GabcDE.abcdefghijklmnopqrstuvwxyz0123456789AB",
        "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSMeKKF2QT4",
    ],
)
def test_secrets_are_removed_wherever_they_stand(log: Log, secret: str) -> None:
    log.configure(secrets=["configured-password"], personal_text=True)
    log.logger.error(
        "event with " + secret, plain=secret, deep={"list": [secret]}, exc_info=ValueError(f"quoting {secret}")
    )
    assert log.text.count("[secret removed]") == 4
    assert secret not in log.text
    assert "geheimnis" not in log.text


def test_all_configured_secrets_are_known_and_the_passwords_in_addresses() -> None:
    settings = Settings.model_validate(
        {
            "openai_api_key": "key-of-mine",
            "database_url": "postgresql://u:p%40ssword@h/d",
            "redis_url": "redis://:redispass@h/0",
        }
    )
    assert set(secrets_of(settings)) == {
        "key-of-mine",
        "postgresql://u:p%40ssword@h/d",
        "p@ssword",
        "redis://:redispass@h/0",
        "redispass",
    }
    assert secrets_of(Settings()) == []
