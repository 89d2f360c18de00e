"""Which model the settings mean, and what is refused."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from antiphon.brain.models import choose_model
from antiphon.config.settings import Settings
from antiphon.domain.errors import ConfigError


@pytest.mark.parametrize("model", ["", "offline:any"])
def test_without_a_model_only_the_offline_one_answers(model: str) -> None:
    assert not choose_model(Settings(model=model)).configured


@pytest.mark.parametrize(
    ("settings", "name", "url"),
    [
        (
            Settings(model="openai:gpt-4o-mini", openai_api_key=SecretStr("k")),
            "gpt-4o-mini",
            "https://api.openai.com/v1",
        ),
        (Settings(model="openai:x", openai_base_url="http://127.0.0.1:1/v1"), "x", "http://127.0.0.1:1/v1"),
        (Settings(model="ollama:llama3.2:3b"), "llama3.2:3b", "http://127.0.0.1:11434/v1"),
        (Settings(model="llama3.2:3b", model_url="http://127.0.0.1:1/v1"), "llama3.2:3b", "http://127.0.0.1:1/v1"),
        (Settings(model="vllm:org/big", model_url="http://127.0.0.1:1/v1"), "org/big", "http://127.0.0.1:1/v1"),
    ],
)
def test_a_model_of_any_compatible_server(settings: Settings, name: str, url: str) -> None:
    choice = choose_model(settings)
    assert (choice.name, choice.base_url) == (name, url)
    assert choice.build().model_name == name


@pytest.mark.parametrize(
    ("settings", "key", "remedy"),
    [
        (Settings(model="openai:gpt-4o-mini"), "openai_api_key", "OPENAI_API_KEY"),
        (Settings(model="anthropic:claude"), "model", "ANTHROPIC_API_KEY"),
        (Settings(model="mammoth:x"), "model", "ANTIPHON_MODEL_URL"),
        (Settings(model="vllm:x"), "model_url", "ANTIPHON_MODEL_URL"),
        (Settings(model_url="http://127.0.0.1:1/v1"), "model", "openai:NAME"),
    ],
)
def test_what_cannot_work_is_refused_with_a_remedy(settings: Settings, key: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as raised:
        choose_model(settings)
    assert raised.value.key == key
    assert remedy in raised.value.remedy
