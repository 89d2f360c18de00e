"""A model in this process, with a tiny file made here. The extra `gguf` is needed, which nothing installs unasked."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.config.settings import Settings
from antiphon.domain.errors import ConfigError
from antiphon.domain.turns import Final, TextDelta
from tests.fakes.agent import Workbench
from tests.fakes.tiny_gguf import write_tiny_gguf

pytestmark = [
    pytest.mark.extra("gguf", "llama_cpp", "gguf", "numpy"),
    # Its C structures are built by ctypes in a way newer Pythons warn about.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    write_tiny_gguf(path / "tiny.gguf")
    return path


def bench(folder: Path, **expert: object) -> Workbench:
    experts = [{"name": "tiny", "model": "gguf:tiny", "max_output_tokens": 24, "first_token_seconds": 60, **expert}]
    return Workbench((), None, Settings.model_validate({"experts": experts, "models_dir": folder}))


async def test_a_generated_file_answers_in_this_process(folder: Path) -> None:
    there = bench(folder)
    for question in ("hello there", "and again"):
        events = await there.events(there.request(question))
        end = events[-1]
        assert isinstance(end, Final)
        assert end.trace["expert"] == "tiny"
        assert end.usage.model == "tiny"
        assert end.text.strip()
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == end.text
        assert 1 <= end.usage.output_tokens <= 25


async def test_a_turn_that_is_stopped_leaves_the_model_free_for_the_next(folder: Path) -> None:
    there = bench(folder, max_output_tokens=4000, total_seconds=600)
    turn = there.brain.turn(there.request("a long story"))
    async for event in turn:
        if isinstance(event, TextDelta):
            break
    await turn.aclose()  # type: ignore[attr-defined]
    assert (await there.ask("what time is it in Tokyo")).strip()


async def test_a_conversation_that_is_too_long_goes_to_the_offline_model(folder: Path) -> None:
    there = bench(folder)
    events = await there.events(there.request("write " + "word " * 9000))
    end = events[-1]
    assert isinstance(end, Final)
    assert "the conversation is too long for it" in end.text


def test_a_file_that_is_missing_is_refused_with_the_place(folder: Path) -> None:
    from antiphon.brain.experts.gguf import GgufModel

    with pytest.raises(ConfigError) as raised:
        GgufModel(folder, "none")
    assert "there is no file none.gguf" in raised.value.problem
