"""Which detector decides that a person is done, and what happens when it cannot be had."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from structlog.testing import capture_logs

from antiphon.config.voice import VoiceSettings
from antiphon.domain.errors import Conflict, Unavailable
from antiphon.domain.speech import EngineState
from antiphon.voice import detectors, smart_turn_model
from antiphon.voice.detectors import DETECTORS, LIVEKIT, SMART_TURN, VAD, Detectors, detector_status
from antiphon.voice.smart_turn import SmartTurnDetector
from tests.fakes.tiny_turns import smart_turn as tiny


def test_the_settings_know_the_same_ones() -> None:
    assert get_args(VoiceSettings.model_fields["turn_detection"].annotation) == tuple(DETECTORS)


async def test_silence_needs_nothing(tmp_path: Path) -> None:
    found = Detectors()
    name, make = await found.ready(VAD, tmp_path)
    assert (name, make()) == (VAD, "vad")
    await found.aclose()


async def test_a_model_is_used_from_when_it_is_there(tmp_path: Path) -> None:
    found = Detectors()
    with capture_logs() as logs:
        for _ in range(2):
            name, make = await found.ready(SMART_TURN, tmp_path)
            assert (name, make()) == (VAD, "vad")
    (told,) = [one for one in logs if one["log_level"] == "warning"]
    assert (told["event"], told["wanted"]) == ("voice.turns_by_silence", SMART_TURN)
    assert "antiphon speech download smart_turn" in told["remedy"]
    status = detector_status(SMART_TURN, tmp_path)
    assert status.state is EngineState.NEEDS_MODEL
    tiny(tmp_path, logit=1.0)
    name, make = await found.ready(SMART_TURN, tmp_path)
    assert name == SMART_TURN
    assert isinstance(make(), SmartTurnDetector)
    assert detector_status(SMART_TURN, tmp_path).state is EngineState.READY
    await found.aclose()


async def test_a_file_that_is_no_model_is_told_and_silence_decides(tmp_path: Path) -> None:
    path = tiny(tmp_path)
    path.write_bytes(b"no model")
    found = Detectors()
    with capture_logs() as logs:
        name, _ = await found.ready(SMART_TURN, tmp_path)
    assert name == VAD
    assert any("cannot be loaded" in one.get("reason", "") for one in logs)
    tiny(tmp_path)
    assert (await found.ready(SMART_TURN, tmp_path))[0] == SMART_TURN, "it is tried again"
    await found.aclose()


async def test_without_its_packages_a_detector_says_which_and_silence_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = detectors.importlib.util.find_spec

    def find(name: str) -> Any:
        return None if name in ("livekit.local_inference", "onnxruntime") else real(name)

    monkeypatch.setattr(detectors.importlib.util, "find_spec", find)
    found = Detectors()
    with capture_logs() as logs:
        assert (await found.ready(LIVEKIT, tmp_path))[0] == VAD
        assert (await found.ready(SMART_TURN, tmp_path))[0] == VAD
    assert [one["remedy"] for one in logs if one["event"] == "voice.turns_by_silence"] == [
        "install it: .venv/bin/pip install 'antiphon[voice]'",
        "install it: .venv/bin/pip install 'antiphon[speech]'",
    ]
    await found.aclose()


async def test_livekits_model_hears_whether_somebody_is_done(tmp_path: Path) -> None:
    found = Detectors()
    name, make = await found.ready(LIVEKIT, tmp_path)
    assert name == LIVEKIT
    stream = make().stream()
    from livekit import rtc

    for _ in range(60):
        stream.push_audio(rtc.AudioFrame(bytes(640), 16_000, 1, 320))
    event = await stream.predict()
    assert 0 <= event.end_of_turn_probability <= 1
    assert stream.model == "turn-detector-v1-mini"
    assert await stream.unlikely_threshold(None) == pytest.approx(0.36)
    await stream.aclose()
    await found.aclose()


class Installer:
    """Stands for pip: puts a file where the package would have it."""

    def __init__(self, content: bytes | None) -> None:
        self.content = content
        self.commands: list[list[str]] = []
        self.wanted = ""

    def run(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        self.wanted = Path(command[command.index("-r") + 1]).read_text()
        if self.content is None:
            return subprocess.CompletedProcess(command, 1)
        path = Path(command[command.index("--target") + 1]) / smart_turn_model._WITHIN
        path.parent.mkdir(parents=True)
        path.write_bytes(self.content)
        return subprocess.CompletedProcess(command, 0)


@pytest.fixture
def installer(monkeypatch: pytest.MonkeyPatch) -> Installer:
    found = Installer(b"the model")
    monkeypatch.setattr(smart_turn_model.subprocess, "run", found.run)
    monkeypatch.setattr(smart_turn_model, "FILE_SHA256", hashlib.sha256(b"the model").hexdigest())
    return found


def test_the_model_is_taken_out_of_the_package_and_nothing_else_is_kept(tmp_path: Path, installer: Installer) -> None:
    path = smart_turn_model.fetch_model(tmp_path)
    assert path.read_bytes() == b"the model"
    assert [one.name for one in path.parent.iterdir()] == [smart_turn_model.FILE]
    (command,) = installer.commands
    assert command[:4] == [sys.executable, "-m", "pip", "install"]
    assert {"--no-deps", "--require-hashes"} <= set(command)
    assert installer.wanted == f"pipecat-ai==1.14.0 --hash=sha256:{smart_turn_model.PACKAGE_SHA256}\n"
    assert smart_turn_model.fetch_model(tmp_path) == path
    assert len(installer.commands) == 1, "what is there is kept"


def test_another_model_is_refused_and_a_registry_that_is_away_is_said(tmp_path: Path, installer: Installer) -> None:
    installer.content = b"another model"
    with pytest.raises(Conflict):
        smart_turn_model.fetch_model(tmp_path)
    installer.content = None
    with pytest.raises(Unavailable, match="By hand"):
        smart_turn_model.fetch_model(tmp_path)
    assert not list((tmp_path / "smart_turn").iterdir())


def test_uv_steps_in_where_there_is_no_pip(
    tmp_path: Path, installer: Installer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smart_turn_model.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(smart_turn_model.shutil, "which", lambda name: None)
    with pytest.raises(Unavailable, match="Neither pip nor uv"):
        smart_turn_model.fetch_model(tmp_path)
    monkeypatch.setattr(smart_turn_model.shutil, "which", lambda name: "/usr/bin/uv")
    smart_turn_model.fetch_model(tmp_path)
    assert installer.commands[0][:5] == ["/usr/bin/uv", "pip", "install", "--python", sys.executable]
