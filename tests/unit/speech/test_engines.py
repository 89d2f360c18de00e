"""Making the engines of the settings: tables, arguments, engines of other packages, and what is refused."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from antiphon.config import ConfigProblems, Settings, load_settings
from antiphon.config import speech as speech_settings
from antiphon.domain.errors import ConfigError
from antiphon.speech import _registry
from antiphon.speech.engine import SttEngine
from antiphon.speech.engines import check_engines, open_speech, table_of
from antiphon.speech.stt import faster_whisper
from tests.fakes.speech import FakeListener


class Config(BaseModel, extra="forbid"):
    """What the engine of another package may be told."""

    words: str = "hello"


ENGINE = SttEngine(
    title="of another package",
    config=Config,
    argument="words",
    make=lambda config, around: FakeListener("outside", says=[config.words]),
)


def settings(text: str, tmp_path: Path, environ: dict[str, str] | None = None) -> Settings:
    (tmp_path / "antiphon.toml").write_text(text)
    return load_settings(environ or {}, directory=tmp_path)


def refused(text: str, tmp_path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        check_engines(settings(text, tmp_path))
    return caught.value.message


async def test_the_defaults_are_offline(tmp_path: Path) -> None:
    speech = open_speech(Settings(data_dir=tmp_path))
    assert (speech.stt.name, speech.tts.name) == ("pocketsphinx", "espeak")
    await speech.aclose()


async def test_a_chain_with_arguments_and_tables(tmp_path: Path) -> None:
    chosen = settings(
        "[speech]\nstt = ['faster_whisper:small.en', 'pocketsphinx']\nlanguage = 'en-GB'\n"
        "[speech.engines.faster_whisper]\nbeam = 5\n[speech.engines.espeak]\nrate = 170\nvoices = { de = 'de' }\n",
        tmp_path,
    )
    table: faster_whisper.Config = table_of(chosen, "stt", "faster_whisper:small.en")
    assert (table.model, table.beam) == ("small.en", 5)
    speech = open_speech(chosen)
    assert [link.languages for link in speech.stt.links] == [{"en"}, {"en"}]
    await speech.aclose()


def test_one_line_in_the_environment_chooses_engines(tmp_path: Path) -> None:
    chosen = settings("", tmp_path, {"ANTIPHON_SPEECH__STT": "riva:127.0.0.1:50051,pocketsphinx"})
    assert table_of(chosen, "stt", chosen.speech.stt[0]).address == "127.0.0.1:50051"


def test_keys_for_listening_alone_stand_in_a_table_below(tmp_path: Path) -> None:
    text = "[speech.engines.livekit]\nplugin = 'one'\n[speech.engines.livekit.tts]\nplugin = 'two'\n"
    chosen = settings(text, tmp_path)
    assert table_of(chosen, "stt", "livekit").plugin == "one"
    assert table_of(chosen, "tts", "livekit").plugin == "two"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[speech]\nstt = ['whisper']", "speech.stt: there is no engine 'whisper'; use faster_whisper"),
        ("[speech]\nstt = []", "speech.stt"),
        ("[speech]\ntts = ['espeak', 'espeak']", "names an engine twice"),
        ("[speech]\nstt = ['Pocket Sphinx']", "is no engine: write its name"),
        ("[speech]\nlanguage = 'English please'", "is no language"),
        ("[speech]\ntts = ['espeak:loud']", "the engine espeak takes no argument"),
        (
            "[speech.engines.espeak]\nspeed = 3",
            "espeak.speed: is not a setting of this engine; use voices",
        ),
        (
            "[speech.engines.espeak]\nrate = 3",
            "espeak.rate: Input should be greater than or equal to 80",
        ),
        ("[speech.engines.nobody]\nrate = 3", "there is no engine 'nobody'"),
        ("[speech.engines]\nespeak = 3", "speech.engines: must be a table of tables, found a table"),
        ("[speech.engines.livekit]\nsecret = 'NO_SUCH_KEY'", "there is no variable NO_SUCH_KEY"),
        ("[speech.engines.livekit.stt]\nsecret = 'NO_SUCH_KEY'", "there is no variable NO_SUCH_KEY"),
    ],
)
def test_a_setting_that_no_engine_takes_is_refused(text: str, message: str, tmp_path: Path) -> None:
    assert message in refused(text, tmp_path)


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblems) as caught:
        check_engines(settings("[speech.engines.espeak]\nrate = 3\npitch = -1\nvolume = 'loud'\n", tmp_path))
    assert len(caught.value.problems) == 3


def test_a_secret_that_a_table_names_is_known(tmp_path: Path) -> None:
    text = "[speech.engines.livekit.stt]\nsecret = 'SPEECH_KEY'\n"
    chosen = settings(text, tmp_path, {"SPEECH_KEY": "s3cret"})
    assert chosen.secret("SPEECH_KEY") == "s3cret"
    assert "s3cret" in chosen.secrets


async def test_another_package_adds_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("outside", __name__, "antiphon.speech.stt")

    def entry_points(*, group: str) -> list[Any]:
        return [point] if group == "antiphon.speech.stt" else []

    monkeypatch.setattr(_registry, "entry_points", entry_points)
    monkeypatch.setattr(speech_settings, "entry_points", entry_points)
    speech_settings._entry_points.cache_clear()
    try:
        assert "outside" in _registry.names("stt")
        speech = open_speech(settings("[speech]\nstt = ['outside:morning']", tmp_path))
        assert (await speech.stt.recognize(b"\0\0")).text == "morning"
        await speech.aclose()
    finally:
        speech_settings._entry_points.cache_clear()
