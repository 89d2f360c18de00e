"""What recognisers are told that people say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, cast

import pytest
import yaml

from antiphon.brain.offline.phrases import spoken_phrases

EVERYDAY = {
    "who": "i you he she it we they me him her us them my your his our their",
    "when": "january february march april may june july august september october november december monday tuesday "
    "wednesday thursday friday saturday sunday today tomorrow yesterday tonight morning noon midnight",
    "numbers": "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty thirty forty fifty hundred thousand first second third fourth fifth",
    "verbs": "am is are was were be been do does did have has had will would can could should must don't didn't can't "
    "won't wouldn't isn't i'll we'll they'll",
    "between": "and or but because so if when while before after than then with without in on at under behind to from",
}


@pytest.fixture(scope="module")
def phrases() -> Sequence[str]:
    return spoken_phrases()


def test_the_same_sentences_come_each_time(phrases: Sequence[str]) -> None:
    assert spoken_phrases() == phrases
    assert spoken_phrases(seed=1) != phrases
    assert all(re.fullmatch(r"[a-z']+( [a-z']+)*", phrase) for phrase in phrases)


@pytest.mark.parametrize("kind", EVERYDAY)
def test_words_of_everyday_life_can_be_heard(phrases: Sequence[str], kind: str) -> None:
    words = {word for phrase in phrases for word in phrase.split()}
    assert set(EVERYDAY[kind].split()) <= words


def test_no_template_of_what_is_spoken_is_lost(phrases: Sequence[str]) -> None:
    """A slot without examples would make its sentences vanish; examples without a slot are of no use."""
    spoken = cast(
        "Mapping[str, Any]",
        yaml.safe_load((files("antiphon.brain.offline") / "spoken" / "en.yaml").read_text("utf-8")),
    )
    intents = (files("antiphon.brain.offline") / "intents" / "en.yaml").read_text("utf-8")
    templates = "\n".join([*spoken["sentences"], *spoken["talk"]])
    wanted = set(re.findall(r"\{([^}]+)\}", templates))
    assert wanted <= set(spoken["slots"])
    used = wanted | set(re.findall(r"\{([^}]+)\}", intents))
    used |= {name.partition(":")[0] for name in used}
    assert not set(spoken["slots"]) - used
    assert len(phrases) > 50_000
