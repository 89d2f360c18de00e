"""What the decoders of the default recogniser make of what a line does to speech."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from benchmarks.utterances import CONDITIONS, errors, utterances
from pocketsphinx import get_model_path

from antiphon.speech.children.sphinx_model import Audio, Decoders, Sound, is_telephone
from antiphon.speech.children.sphinx_telephone import Telephone

SENTENCES = (
    "what time is it in new york",
    "set a timer for five minutes",
    "remind me tomorrow at nine to pay the rent",
    "turn off the kitchen lights",
    "unmute bob",
    "tell me a joke",
    "translate good morning into french",
    "create a poll about lunch",
)
Spoken = Sequence[tuple[str, Audio]]


@pytest.fixture(scope="module")
def spoken() -> dict[str, Spoken]:
    lines: dict[str, list[tuple[str, Audio]]] = {}
    for one in utterances(sentences=SENTENCES, voices=("espeak en-us",)):
        lines.setdefault(one.condition, []).append((one.text, np.frombuffer(one.pcm, np.int16)))
    return dict(lines)


@pytest.fixture(scope="module")
def decoders(tmp_path_factory: pytest.TempPathFactory) -> Decoders:
    settings = {
        "noise": 20.0,
        "weight": 9.0,
        "general": False,
        "live": 0,
        "pronunciations": {"unmute": "AH N M Y UW T"},
    }
    more = ("what day is it", "cancel the timer", "remind me to call mother", "turn the volume up", "mute everyone")
    return Decoders(settings, [*SENTENCES, *more], tmp_path_factory.mktemp("sphinx"))


def wrong(decoders: Decoders, sounds: Sequence[tuple[str, Sound | None]]) -> int:
    return sum(errors(text, decoders.ours(sound).text if sound is not None else "") for text, sound in sounds)


def test_a_telephone_is_told_from_a_room(spoken: dict[str, Spoken]) -> None:
    assert all(is_telephone(audio) for _, audio in spoken["telephone"])
    assert not any(is_telephone(audio) for line in ("clean", "20 dB") for _, audio in spoken[line])


def test_what_a_telephone_took_is_put_back(decoders: Decoders, spoken: dict[str, Spoken]) -> None:
    line = spoken["telephone"]
    with_it = wrong(decoders, [(text, decoders.sound(audio)) for text, audio in line])
    without = wrong(decoders, [(text, Sound(audio.tobytes())) for text, audio in line])
    words = sum(len(text.split()) for text, _ in line)
    assert with_it < 0.5 * without
    assert with_it < 0.3 * words


def test_cepstra_of_a_telephone_are_those_of_the_whole_sound(spoken: dict[str, Spoken]) -> None:
    """The same words with and without the line look alike, and other words do not; loudness is nothing."""
    made = Telephone(Path(get_model_path("en-us/en-us")))

    def cepstra(audio: Audio) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        return np.frombuffer(made.cepstra(audio), "<f4").reshape(-1, 13)

    for (_, line), (_, room) in zip(spoken["telephone"], spoken["clean"], strict=True):
        found, whole = cepstra(line), cepstra(room)
        assert len(found) == len(whole) == len(line) // 160
        assert np.corrcoef(found[:, 1], whole[:, 1])[0, 1] > 0.8
        np.testing.assert_allclose(cepstra(line // 4 * 2), cepstra(line // 4), atol=4.0)


def test_another_throat_is_tried_where_the_usual_one_is_not_sure(decoders: Decoders, spoken: dict[str, Spoken]) -> None:
    """A voice that lies a seventh lower than it did: fewer words are wrong than with the usual throat alone."""
    usual = best = 0
    signs: list[str] = []
    for text, audio in spoken["clean"]:
        lower = np.interp(np.arange(0, len(audio) - 1, 0.86), np.arange(len(audio)), audio).astype(np.int16)
        sound = decoders.sound(lower)
        assert sound is not None
        ours = decoders.ours(sound)
        usual += errors(text, ours.text)
        if decoders.sure(sound, ours):
            best += errors(text, ours.text)
            continue
        signs.clear()
        best += errors(text, decoders.better(sound, ours, lambda: signs.append("goes on")).text)
        assert len(signs) == 2, "a sign of life before each of them"
    assert best < usual


class _Gone(Exception):
    pass


def test_listening_to_long_speech_can_be_given_up_in_its_middle(tmp_path: Path) -> None:
    """By the general model, which takes longest. What comes after it is heard as if nothing had been before."""
    speech = "the weather is nice today and people are walking along the river with their children and dogs"
    (said,) = utterances(sentences=[speech], voices=("espeak en-us",), conditions=CONDITIONS[:1])
    model = Decoders(
        {"noise": 0.0, "weight": 9.0, "general": True, "live": 0, "pronunciations": {}}, SENTENCES, tmp_path
    )
    sound = model.sound(np.frombuffer(said.pcm, np.int16))
    assert sound is not None
    ours = model.ours(sound)
    signs: list[str] = []
    heard = model.better(sound, ours, lambda: signs.append("goes on"))
    slices = len(signs) - 3
    assert slices >= said.seconds, "one after each second, beside those before each decoder"

    left: list[str] = []

    def leave() -> None:
        left.append("goes on")
        if len(left) == 5:
            raise _Gone

    with pytest.raises(_Gone):
        model.better(sound, ours, leave)
    assert model.better(sound, model.ours(sound)) == heard
