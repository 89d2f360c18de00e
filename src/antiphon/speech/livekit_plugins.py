"""Engines from packages made for LiveKit Agents (`livekit-plugins-NAME`): what the two adapters have in common.

Used by `stt/livekit` and `tts/livekit`. A plugin is made with the options of its table, its key from a named secret,
and an HTTP session of ours, as it stands outside of a job of that framework.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import threading
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, Field, JsonValue

from antiphon.config.values import SecretName
from antiphon.domain.errors import SpeechError
from antiphon.domain.speech import EngineState, EngineStatus
from antiphon.speech.engine import check_ready


class PluginConfig(BaseModel, extra="forbid"):
    """`[speech.engines.livekit]`, for listening and speaking alike."""

    plugin: str = Field(
        default="",
        pattern=r"^([a-z][a-z0-9_]{0,40})?$",
        description="The NAME of livekit-plugins-NAME, for example deepgram.",
    )
    options: Mapping[str, JsonValue] = Field(
        default={}, description="What its class is made with: { model = 'nova-3' }. See the plugin's own reference."
    )
    secret: SecretName = Field(
        default="",
        description="Name of the variable, or of the file in secrets_dir, that holds its key. Empty: the plugin reads "
        "the variable of its provider itself.",
    )
    secret_option: str = Field(default="api_key", pattern=r"^\w+$", description="The option that takes the key.")


class PluginMaker:
    """Makes instances of one class (`STT` or `TTS`) of a plugin."""

    def __init__(self, kind: str, config: PluginConfig, secret: Callable[[str], str]) -> None:
        self.kind = kind
        self.config = config
        self._secret = secret
        self._session: Any = None

    def status(self) -> EngineStatus:
        """Whether the plugin is installed."""
        name = self.config.plugin
        if not name:
            return EngineStatus(
                "livekit",
                EngineState.NEEDS_SETTING,
                "No plugin is named.",
                f"write livekit:NAME into speech.{self.kind.lower()}, for example livekit:deepgram",
            )
        if not _installed(name):
            return EngineStatus(
                "livekit",
                EngineState.NEEDS_PACKAGE,
                f"The package livekit-plugins-{name.replace('_', '-')} is not installed.",
                f"install it: .venv/bin/pip install livekit-plugins-{name.replace('_', '-')}",
            )
        return EngineStatus("livekit", EngineState.READY, f"Plugin {name}.")

    def make(self, more: Mapping[str, JsonValue] | None = None) -> Any:
        """A new instance. Raises `SpeechError` with what is wrong."""
        check_ready(self.status())
        name = self.config.plugin
        if threading.current_thread() is not threading.main_thread():
            raise SpeechError("Plugins for LiveKit can only be loaded by the main thread.")
        try:
            kind = getattr(importlib.import_module(f"livekit.plugins.{name}"), self.kind, None)
        except Exception as error:
            raise SpeechError(f"The plugin {name} cannot be imported.") from error
        if kind is None:
            raise SpeechError(f"The plugin {name} has no {self.kind}.")
        options: dict[str, Any] = {**self.config.options, **(more or {})}
        if self.config.secret:
            options[self.config.secret_option] = self._secret(self.config.secret)
        if "http_session" in inspect.signature(kind).parameters:
            options["http_session"] = self._http_session()
        try:
            return kind(**options)
        except Exception as error:
            raise SpeechError(f"The plugin {name} refuses its options ({type(error).__name__}).") from error

    def _http_session(self) -> Any:
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession()
        return self._session

    async def aclose(self) -> None:
        """Close the HTTP session."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(f"livekit.plugins.{name}") is not None
    except (ImportError, ValueError):
        return False
