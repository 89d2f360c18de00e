"""`antiphon speech`: lists engines with their remedies, tries them, and fetches models."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import pytest

from antiphon.run.cli import main
from antiphon.speech import _registry


def configured(tmp_path: Path, text: str = "") -> list[str]:
    file = tmp_path / "antiphon.toml"
    file.write_text(f"data_dir = {str(tmp_path / 'data')!r}\n{text}")
    return ["--config", str(file), "speech"]


def test_every_engine_is_listed_with_what_it_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*configured(tmp_path), "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    for kind in ("stt", "tts"):
        assert {row["engine"] for row in rows if row["kind"] == kind} == set(_registry.names(kind))
    assert {row["engine"] for row in rows if row["chosen"]} == {"pocketsphinx", "espeak", "vad"}
    turns = {row["engine"]: row["state"] for row in rows if row["kind"] == "turns"}
    assert turns == {"vad": "ready", "livekit": "ready", "smart_turn": "needs model"}
    assert all(row["state"] == "ready" or row["remedy"] for row in rows)
    assert main([*configured(tmp_path), "list"]) == 0
    listed = capsys.readouterr().out
    assert "  * pocketsphinx       ready " in listed
    assert "Turns (voice.turn_detection = vad)" in listed


def test_a_sentence_is_spoken_and_recognised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "spoken.wav"
    table = "[speech.engines.pocketsphinx]\ngeneral = false\n"
    assert main([*configured(tmp_path, table), "test", "--json", "--out", str(out), "--text", "What time is it?"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["heard"].split()[-1] == "it"
    assert found["real_time_factor_of_speaking"] > 0
    with wave.open(str(out)) as sound:
        assert sound.getframerate() == found["rate"]
        assert sound.getnframes() / sound.getframerate() == pytest.approx(found["seconds_of_speech"], abs=0.01)


def test_a_language_that_nobody_hears_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*configured(tmp_path), "test", "--language", "de"]) == 1
    assert "understands de" in capsys.readouterr().err


def test_where_nothing_can_be_written_is_said_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*configured(tmp_path), "test", "--out", str(tmp_path / "nowhere" / "spoken.wav")]) == 1
    assert "there is no folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("nobody", "There is no engine 'nobody'"),
        ("espeak", "has nothing to fetch"),
        ("piper:loud", "is no voice of rhasspy/piper-voices"),
        ("faster_whisper:../out", "is not accepted"),
        ("faster_whisper:tiny", "cannot be reached"),
    ],
)
def test_what_cannot_be_fetched_is_said(
    engine: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*configured(tmp_path, "[speech]\nhub_url = 'http://127.0.0.1:1'\n"), "download", engine]) == 1
    assert message in capsys.readouterr().err
