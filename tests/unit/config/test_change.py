"""Changing settings while the program runs: where they are written, what is refused, what takes effect at once."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from antiphon.config import Configuration, Settings, load_settings
from antiphon.domain.errors import Forbidden, InvalidInput


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"ANTIPHON_DATA_DIR": str(tmp_path / "data")}


@pytest.fixture
def configuration(tmp_path: Path, environ: dict[str, str]) -> Configuration:
    (tmp_path / "data").mkdir()
    (tmp_path / "antiphon.toml").write_text('model = "ollama:from-the-file"\n[limits]\nturn_requests = 3\n')
    return Configuration(load_settings(environ, directory=tmp_path))


def again(tmp_path: Path, environ: dict[str, str]) -> Settings:
    """What the next start reads."""
    return load_settings(environ, directory=tmp_path)


def test_a_change_lies_in_the_overlay_and_secrets_in_files_of_their_own(
    configuration: Configuration, tmp_path: Path, environ: dict[str, str]
) -> None:
    running = configuration.change({"model": "openai:gpt-x", "openai_api_key": "sk-very-secret"}, owner=False)
    assert running.model == "openai:gpt-x"
    overlay = tmp_path / "data" / "settings.toml"
    assert tomllib.loads(overlay.read_text()) == {"model": "openai:gpt-x"}
    secret = tmp_path / "data" / "secrets" / "openai_api_key"
    assert secret.read_text().strip() == "sk-very-secret"
    assert [oct(path.stat().st_mode & 0o777) for path in (overlay, secret, secret.parent)] == [
        "0o600",
        "0o600",
        "0o700",
    ]
    stored = again(tmp_path, environ)
    assert stored.model == "openai:gpt-x"
    assert stored.openai_api_key.get_secret_value() == "sk-very-secret"
    assert stored.limits.turn_requests == 3
    assert stored.origin("model") == f"{overlay} model"
    assert "sk-very-secret" not in repr(configuration.shown())


def test_a_setting_taken_back_is_again_what_the_file_says(
    configuration: Configuration, tmp_path: Path, environ: dict[str, str]
) -> None:
    configuration.change({"model": "ollama:x", "limits.turn_requests": 5}, owner=False)
    assert (
        configuration.change({"model": None, "limits.turn_requests": None}, owner=False).model == "ollama:from-the-file"
    )
    assert again(tmp_path, environ).limits.turn_requests == 3


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"model": "openai:gpt-x"}, "model"),
        ({"model": "no such thing"}, "model"),
        ({"model": 7}, "model"),
        ({"limits.turn_requests": 0}, "limits.turn_requests"),
        ({"limits.turn_requests": "3"}, "limits.turn_requests"),
        ({"limits.turn_requests": True}, "limits.turn_requests"),
        ({"http.host": "0.0.0.0"}, "http.host"),
        ({"http.prot": 1}, "http.prot"),
        ({"data_dir": "/elsewhere"}, "data_dir"),
        ({"database_url": "sqlite:///x"}, "database_url"),
        ({"openai_api_key": "two\nlines"}, "openai_api_key"),
        ({"openai_api_key": 7}, "openai_api_key"),
        ({"log": "debug"}, "log"),
        ({"experts": [{"name": "x"}]}, "experts.x.model"),
        ({"": 1}, ""),
    ],
)
def test_what_the_next_start_would_refuse_is_refused_now_and_nothing_is_written(
    configuration: Configuration, tmp_path: Path, values: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        configuration.change({**values, "system_prompt": "good"}, owner=True)
    assert field in refused.value.fields
    assert list((tmp_path / "data").iterdir()) == []


def test_what_the_environment_says_wins_and_is_not_changed_here(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "data").mkdir()
    configuration = Configuration(load_settings({**environ, "ANTIPHON_MODEL": "ollama:x"}, directory=tmp_path))
    with pytest.raises(InvalidInput) as refused:
        configuration.change({"model": "ollama:y"}, owner=True)
    assert "environment ANTIPHON_MODEL" in refused.value.fields["model"]
    (line,) = [line for line in configuration.shown() if line.key.name == "model"]
    assert line.locked


def test_who_may_change_what(configuration: Configuration) -> None:
    for name, value in {"http.port": 9000, "redis_url": "redis://x", "discord.api_url": "http://x"}.items():
        with pytest.raises(Forbidden):
            configuration.change({name: value}, owner=False)
    assert configuration.change({"http.port": 9000}, owner=True).http.port == 8000


def test_only_an_owner_lets_a_stored_key_go_to_another_address(configuration: Configuration) -> None:
    configuration.change({"openai_api_key": "sk-of-the-owner", "openai_base_url": "http://good.example/v1"}, owner=True)
    for name in ("openai_base_url", "model_url"):
        with pytest.raises(Forbidden, match="openai_api_key"):
            configuration.change({name: "http://operators.example/v1"}, owner=False)
    with pytest.raises(Forbidden, match="experts"):
        configuration.change({"experts": [{"name": "a", "model": "openai:x", "secret": "DISCORD_TOKEN"}]}, owner=False)
    configuration.change({"openai_base_url": "http://good.example/v1"}, owner=False)  # it is there already
    own = {"openai_base_url": "http://operators.example/v1", "openai_api_key": "sk-of-the-operator"}
    assert configuration.change(own, owner=False).openai_base_url == "http://operators.example/v1"


def test_what_needs_a_restart_waits_for_it(
    configuration: Configuration, tmp_path: Path, environ: dict[str, str]
) -> None:
    running = configuration.change({"http.port": 9000, "log.level": "debug", "threads.slots": 3}, owner=True)
    assert (running.http.port, running.threads.slots, running.log.level) == (8000, 16, "debug")
    waiting = {line.key.name for line in configuration.shown() if line.pending}
    assert waiting == {"http.port", "threads.slots"}
    assert again(tmp_path, environ).http.port == 9000


def test_a_key_of_a_provider_is_a_file_and_can_be_taken_away(
    configuration: Configuration, tmp_path: Path, environ: dict[str, str]
) -> None:
    (tmp_path / "data" / "secrets").mkdir()
    (tmp_path / "data" / "secrets" / "ANTHROPIC_API_KEY").write_text("old")
    running = configuration.change({"ANTHROPIC_API_KEY": "new", "model": "anthropic:claude-x"}, owner=False)
    assert running.usual_key("anthropic:claude-x") == "new"
    assert [path.name for path in (tmp_path / "data" / "secrets").iterdir()] == ["ANTHROPIC_API_KEY"]
    with pytest.raises(InvalidInput):  # the model needs it
        configuration.change({"ANTHROPIC_API_KEY": None}, owner=False)
    configuration.change({"ANTHROPIC_API_KEY": None, "model": None}, owner=False)
    assert list((tmp_path / "data" / "secrets").iterdir()) == []
    assert again(tmp_path, environ).model == "ollama:from-the-file"


def test_an_overlay_broken_by_hand_is_named_and_never_overwritten(
    configuration: Configuration, tmp_path: Path, environ: dict[str, str]
) -> None:
    overlay = tmp_path / "data" / "settings.toml"
    overlay.write_text("model = ")
    with pytest.raises(Exception, match=r"settings\.toml"):
        configuration.change({"system_prompt": "x"}, owner=True)
    assert overlay.read_text() == "model = "
    overlay.write_text('data_dir = "x"')
    with pytest.raises(Exception, match="cannot be set here"):
        again(tmp_path, environ)


def test_hostile_text_survives_the_file(configuration: Configuration, tmp_path: Path, environ: dict[str, str]) -> None:
    text = 'a "quoted"\n[http]\nport = 1\n\x7f \u2028 \U0001f600 \\'
    configuration.change({"system_prompt": text}, owner=False)
    assert again(tmp_path, environ).system_prompt == text
    assert again(tmp_path, environ).http.port == 8000
