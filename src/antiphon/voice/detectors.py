"""What decides that a person is done: silence alone, LiveKit's audio model, or smart-turn. Chosen by the settings.

A model is loaded once for the whole process, in a thread, with the first session that wants it. Where it cannot be had
silence alone decides, and people are told why.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from antiphon.domain.speech import EngineState, EngineStatus
from antiphon.speech.engine import needs_model, package_missing
from antiphon.voice.smart_turn import SmartTurn, SmartTurnDetector, model_file

log = structlog.stdlib.get_logger(__name__)

VAD, LIVEKIT, SMART_TURN = "vad", "livekit", "smart_turn"
DETECTORS = {
    VAD: "silence alone",
    LIVEKIT: "LiveKit's model, offline, hears the tone in 14 languages; 250 MB of memory",
    SMART_TURN: "smart-turn v3, offline, hears the tone in 23 languages; fetches a model of 12 MB",
}
"""By name, with a line for people."""
LOAD_SECONDS = 20.0

Make = Callable[[], Any]


def detector_status(name: str, models: Path) -> EngineStatus:
    """Whether it can be used here; nothing is loaded."""
    if name == SMART_TURN:
        missing = package_missing(name, "onnxruntime", "speech") or package_missing(name, "numpy", "speech")
        if missing is not None:
            return missing
        path = model_file(models)
        if path is None:
            return needs_model(name, "The model smart-turn-v3", name)
        return EngineStatus(name, EngineState.READY, f"The model is {path.name}.")
    if name == LIVEKIT and not _is_there("livekit.agents", "livekit.local_inference"):
        return EngineStatus(
            name,
            EngineState.NEEDS_PACKAGE,
            "The package livekit-local-inference, which holds the model, is not installed.",
            "install it: .venv/bin/pip install 'antiphon[voice]'",
        )
    return EngineStatus(name, EngineState.READY)


def _is_there(*modules: str) -> bool:
    try:
        return all(importlib.util.find_spec(module) is not None for module in modules)
    except ModuleNotFoundError:  # not even the package around it
        return False


class Detectors:
    """The detectors of this process."""

    def __init__(self) -> None:
        self._makes: dict[str, Make] = {VAD: lambda: VAD}
        self._loading: dict[str, asyncio.Task[Make]] = {}
        self._told: set[EngineStatus] = set()
        self._smart_turn: SmartTurn | None = None
        self._closed = False

    async def ready(self, name: str, models: Path) -> tuple[str, Make]:
        """The detector that is used where `name` is wanted, and what makes one for a session."""
        if name not in self._makes:
            status = await asyncio.to_thread(detector_status, name, models)
            if status.state is EngineState.READY:
                status = await self._load(name, models)
            if status.state is not EngineState.READY:
                self._tell(status)
                return VAD, self._makes[VAD]
        return name, self._makes[name]

    async def _load(self, name: str, models: Path) -> EngineStatus:
        load = self._load_smart_turn if name == SMART_TURN else _load_livekit
        if name not in self._loading:
            self._loading[name] = asyncio.create_task(load(models), name=f"voice-loading-{name}")
        task = self._loading[name]
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                self._makes[name] = await asyncio.shield(task)
        except TimeoutError:  # it goes on; the next session may have it
            return EngineStatus(name, EngineState.BROKEN, "Its model takes long to load.")
        except Exception as error:
            self._loading.pop(name, None)
            return EngineStatus(
                name,
                EngineState.BROKEN,
                f"Its model cannot be loaded ({type(error).__name__}).",
                f"fetch it anew: antiphon speech download {name}" if name == SMART_TURN else "",
            )
        return EngineStatus(name, EngineState.READY)

    async def _load_smart_turn(self, models: Path) -> Make:
        path = await asyncio.to_thread(model_file, models)
        if path is None:
            raise FileNotFoundError(models)
        model = SmartTurn(path)
        try:
            await model.load()
        except BaseException:
            model.close()
            raise
        if self._closed:
            model.close()
        self._smart_turn = model
        return lambda: SmartTurnDetector(model)

    def _tell(self, status: EngineStatus) -> None:
        if status not in self._told:
            self._told.add(status)
            log.warning(
                "voice.turns_by_silence", wanted=status.name, reason=status.detail, remedy=status.remedy or "none"
            )

    async def aclose(self) -> None:
        """Let the models go."""
        self._closed = True
        for task in self._loading.values():
            task.cancel()
        if self._loading:
            await asyncio.wait(self._loading.values())
        if self._smart_turn is not None:
            self._smart_turn.close()


async def _load_livekit(models: Path) -> Make:
    def load() -> Make:
        from livekit import local_inference
        from livekit.agents import inference

        local_inference.init_eot()
        return lambda: inference.TurnDetector(version="v1-mini")

    return await asyncio.to_thread(load)
