"""An expert that dies while its answer is being spoken: another one goes on, and nobody hears a seam."""

from __future__ import annotations

from pathlib import Path

from antiphon.config.experts import ExpertSettings, RoutingSettings
from antiphon.config.settings import LimitSettings, Settings
from antiphon.domain.identity import Person
from antiphon.domain.work import TaskState
from antiphon.voice.transports.transport import RATE
from tests.fakes.agent import Workbench
from tests.fakes.speech import FakeSpeaker
from tests.fakes.upstreams import Upstreams, answer_to
from tests.fakes.voice import PERSON
from tests.fixtures_voice import Speak
from tests.integration.test_voice_turns import SOUND, talking

QUESTION = "@first rivers"


def bench(up: Upstreams) -> Workbench:
    """A brain whose first expert sends half of an answer, is silent for a moment and dies."""
    experts = [
        ExpertSettings.model_validate(
            {"name": name, "model": "openai:fake-model", "base_url": up.url(behaviour), **more}
        )
        for name, behaviour, more in (
            ("first", "dies_late", {"first_token_seconds": 30, "fallback": ("second",)}),
            ("second", "fine", {"first_token_seconds": 30}),
        )
    ]
    routing = RoutingSettings.model_validate({"health_seconds": 0})
    found = Workbench(
        (), None, Settings(experts=tuple(experts), routing=routing, limits=LimitSettings(context_messages=4))
    )
    found.people.rows[PERSON] = Person(PERSON, "Ada")
    return found


async def test_a_second_expert_goes_on_in_the_middle_of_a_spoken_answer(tmp_path: Path, speech_of: Speak) -> None:
    voice = FakeSpeaker(word_seconds=0.05)
    answer = answer_to(QUESTION)
    async with Upstreams() as up:
        brain = bench(up).brain
        async with talking(tmp_path, brain, says=[QUESTION], tts=voice) as talk:  # type: ignore[arg-type]
            await talk.ear.say(speech_of(SOUND))
            await talk.until(lambda: up.counts["fine"])
            so_far = len(talk.ear.heard)
            assert so_far > 0, "the first half is being spoken when the second expert is asked"
            assert not talk.voices.live.finished
            await talk.until(lambda: talk.voices.live.finished)
            (outcome,) = talk.voices.live.finished
            assert (outcome.text, outcome.interrupted, outcome.state) == (answer, False, TaskState.DONE)
            assert outcome.failure is None
            await talk.until(lambda: len(talk.voices.store.kept[talk.key]) == 2)
            said = talk.voices.store.kept[talk.key][2]
            assert (said.text, said.interrupted, said.unheard) == (answer, False, "")
            assert talk.heard.final("agent") == [answer]
            grown = [str(one["text"]) for one in talk.heard.named("transcript") if one["role"] == "agent"]
            assert all(answer.startswith(text.strip()) for text in grown), "what was shown stays"
            assert talk.heard.named("error") == []
            await brain.close()
            await talk.until(lambda: not up._open)
    assert " ".join(voice.spoken).split() == answer.split(), "every word was said once"
    assert len(talk.ear.heard) // 2 >= round(len(answer.split()) * 0.05 * RATE)
    assert [one.so_far for one in up.asked if one.behaviour == "fine"] == [up.asked[-1].so_far]
    assert answer.startswith(up.asked[-1].so_far)
    assert (up.counts["dies_late"], up.counts["fine"]) == (1, 1)
