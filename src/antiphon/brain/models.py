"""Which language model answers, out of the settings. Checked at start without importing anything heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from antiphon.config.providers import OFFLINE, Speech, known_providers, split_model
from antiphon.config.settings import Settings
from antiphon.domain.errors import ConfigError

if TYPE_CHECKING:
    from pydantic_ai.models import Model

__all__ = ["OFFLINE", "ModelChoice", "choose", "choose_model"]


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """One language model and how to reach it; `name` is empty when only the offline model answers."""

    name: str = ""
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    label: str = OFFLINE
    """What people wrote, for people: `openai:gpt-4o-mini`."""
    provider: str = "openai"
    speaks: Speech = "openai"
    folder: Path = Path()
    """Where the files of models lie that run in this process."""

    @property
    def configured(self) -> bool:
        """Whether there is a model beside the offline one."""
        return bool(self.name)

    def build(self) -> Model:
        """The model as pydantic-ai knows it. Imports the client (a second of CPU): call it late, and once.

        Raises `ConfigError` when the library or the file it needs is not there.
        """
        from antiphon.brain.experts.clients import build_client  # late: see above

        return build_client(self)


def choose_model(settings: Settings) -> ModelChoice:
    """The model of the setting `model`. Raises `ConfigError` when it asks for something that cannot work."""
    wanted = settings.model.strip()
    if not wanted:
        if settings.model_url:
            raise _refused("model", "is empty, but model_url is set", "name the model that server serves: openai:NAME")
        return ModelChoice()
    provider, _ = split_model(wanted)
    url = settings.model_url
    if provider is not None and provider.name == "openai":
        url = url or settings.openai_base_url
    key = settings.usual_key(wanted) or (settings.openai_api_key.get_secret_value() if settings.model_url else "")
    return choose(wanted, url, key, settings.models_path)


def choose(wanted: str, base_url: str, api_key: str, folder: Path, *, where: str = "") -> ModelChoice:
    """The model `provider:name` at an address. Raises `ConfigError` when that cannot work.

    `where` is put in front of the keys that a refusal names (`experts.code.`); without it they are those of the
    setting `model`.
    """
    if wanted in (OFFLINE, "") or wanted.startswith(f"{OFFLINE}:"):
        return ModelChoice()
    provider, name = split_model(wanted)
    url_key = f"{where}base_url" if where else "model_url"
    set_url = f"set {url_key}" if where else "set ANTIPHON_MODEL_URL"
    if provider is None:
        if not base_url:
            raise _refused(
                f"{where}model",
                f"there is no provider {wanted.partition(':')[0]!r}",
                f"use one of {known_providers()}, or {set_url} for any OpenAI-compatible server",
            )
        return ModelChoice(name, base_url, api_key, wanted)
    if not name:
        raise _refused(f"{where}model", f"{wanted!r} names no model", f"write {provider.name}:NAME")
    if provider.speaks == "gguf":
        return ModelChoice(name, label=wanted, provider=provider.name, speaks="gguf", folder=folder)
    if not base_url and not provider.base_url:
        raise _refused(url_key, f"is empty, and {provider.name} has no usual address", set_url)
    if not base_url and provider.needs_key and not api_key:
        key = f"{where}secret" if where else "openai_api_key" if provider.name == "openai" else "model"
        raise _refused(key, f"{wanted} needs a key", f"set {provider.keys[0]}, or {set_url[4:]} for another server")
    url = base_url or ("" if provider.speaks != "openai" else provider.base_url)
    return ModelChoice(name, url, api_key, wanted, provider.name, provider.speaks)


def _refused(key: str, problem: str, remedy: str) -> ConfigError:
    return ConfigError(source="settings", key=key, problem=problem, remedy=remedy)
