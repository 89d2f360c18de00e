"""What every engine that listens or speaks must do: over each file found, with real code and tiny models.

Engines that need a server or a model that cannot be made on the spot must at least say so, with the remedy.
"""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

from antiphon.config.speech import Kind, engine_name, engine_names
from antiphon.domain.errors import InvalidInput, SpeechError
from antiphon.domain.speech import (
    LISTENING_RATE,
    EngineState,
    SpeechChunk,
    SpeechToText,
    TextToSpeech,
    Transcript,
    VoiceInfo,
)
from antiphon.speech import _registry
from antiphon.speech.engine import Surroundings
from tests.fakes import livekit_plugin, tiny_speech

KINDS: tuple[Kind, ...] = get_args(Kind)
ENGINES = [(kind, name) for kind in KINDS for name in _registry.names(kind)]
PHRASES = ("what time is it", "set a timer for five minutes", "stop", "yes please", "tell me a joke")
LISTENERS: dict[str, dict[str, Any]] = {
    "pocketsphinx": {"general": False, "live": 1},
    "faster_whisper": {"model": "tiny", "vad": True},
    "sherpa_onnx": {"model": "tiny-ctc"},
    "sherpa_onnx:streaming": {"model": "tiny-streaming"},
    "sherpa_onnx:paraformer": {"model": "tiny-paraformer"},
    "sherpa_onnx:zipformer2": {"model": "tiny-zipformer2"},
    "sherpa_onnx:nemo": {"model": "tiny-nemo"},
    "sherpa_onnx:wenet": {"model": "tiny-wenet"},
    "livekit": {"plugin": "fake"},
}
SPEAKERS: dict[str, dict[str, Any]] = {
    "espeak": {},
    "piper": {"voice": "en_US-tiny-low"},
    "kokoro": {"model": "tiny"},
    "livekit": {"plugin": "fake"},
}
NOISE = (np.random.default_rng(0).standard_normal(LISTENING_RATE) * 3000).astype("<i2").tobytes()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_speech.whisper(folder / "faster_whisper" / "tiny")
    tiny_speech.piper(folder / "piper")
    tiny_speech.piper(folder / "piper", "de_DE-tiny-low", 16_000)
    tiny_speech.kokoro(folder / "kokoro" / "tiny")
    tiny_speech.sherpa(folder / "sherpa_onnx" / "tiny-ctc")
    tiny_speech.sherpa_streaming(folder / "sherpa_onnx" / "tiny-streaming")
    tiny_speech.sherpa_streaming_paraformer(folder / "sherpa_onnx" / "tiny-paraformer")
    for family in ("zipformer2", "nemo", "wenet"):
        tiny_speech.sherpa_streaming_ctc(folder / "sherpa_onnx" / f"tiny-{family}", family)
    return folder


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    livekit_plugin.install(monkeypatch)


@pytest.fixture(params=sorted(LISTENERS))
async def listener(request: pytest.FixtureRequest, models: Path, plugin: None) -> AsyncIterator[SpeechToText]:
    engine = _registry.stt_engine(engine_name(request.param))
    made = engine.make(engine.config(**LISTENERS[request.param]), Surroundings(models=models, phrases=lambda: PHRASES))
    yield made
    await made.aclose()
    await made.aclose()


@pytest.fixture(params=sorted(SPEAKERS))
async def speaker(request: pytest.FixtureRequest, models: Path, plugin: None) -> AsyncIterator[TextToSpeech]:
    engine = _registry.tts_engine(request.param)
    made = engine.make(engine.config(**SPEAKERS[request.param]), Surroundings(models=models))
    yield made
    await made.aclose()
    await made.aclose()


def test_the_settings_know_every_engine() -> None:
    for kind in KINDS:
        assert set(_registry.names(kind)) == engine_names(kind)


@pytest.mark.parametrize(("kind", "name"), ENGINES)
def test_a_file_declares_a_table_that_refuses_unknown_keys(kind: Kind, name: str) -> None:
    engine = _registry.engine(kind, name)
    assert issubclass(engine.config, BaseModel)
    assert engine.title
    assert not engine.argument or engine.argument in engine.config.model_fields
    assert all(field.description for field in engine.config.model_fields.values())
    with pytest.raises(ValidationError):
        engine.config.model_validate({"no_such_key": 1})


@pytest.mark.parametrize(("kind", "name"), ENGINES)
async def test_an_engine_that_cannot_be_used_says_what_it_needs(kind: Kind, name: str, tmp_path: Path) -> None:
    """No model, no server, no setting: the state, the remedy, and an error of ours instead of the library's."""
    engine: Any = _registry.engine(kind, name)
    made = engine.make(engine.config(), Surroundings(models=tmp_path))
    status = await made.status()
    assert status.name.partition(":")[0] == made.name == name
    if status.state is not EngineState.READY:
        assert status.detail
        assert status.remedy
        with pytest.raises(SpeechError) as caught:
            async with asyncio.timeout(20):
                await made.load()
        assert caught.value.message
    await made.aclose()


@pytest.mark.parametrize(("kind", "name"), ENGINES)
async def test_an_engine_has_the_members_of_its_port(kind: Kind, name: str, tmp_path: Path) -> None:
    engine: Any = _registry.engine(kind, name)
    made = engine.make(engine.config(), Surroundings(models=tmp_path))
    port = SpeechToText if kind == "stt" else TextToSpeech
    wanted = {member for member in vars(port) if not member.startswith("_")}
    assert all(hasattr(made, member) for member in wanted)
    for member in wanted:
        if callable(getattr(port, member)):
            given = inspect.signature(getattr(made, member)).parameters
            assert set(inspect.signature(getattr(port, member)).parameters) - {"self"} <= set(given), member
    await made.aclose()


def test_making_every_engine_imports_no_heavy_library() -> None:
    """Whoever runs `antiphon up` without speaking must not pay for it."""
    code = (
        "import sys; from pathlib import Path; from antiphon.speech import _registry as r;"
        "from antiphon.speech.engine import Surroundings as S;"
        "[e.make(e.config(), S(models=Path())) for k in ('stt','tts') for e in [r.engine(k,n) for n in r.names(k)]];"
        "heavy={'numpy','onnxruntime','faster_whisper','ctranslate2','sherpa_onnx','piper','pocketsphinx','av','soxr',"
        "'livekit','grpc','wyoming','aiohttp'}; print(sorted(heavy & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "[]"


async def test_recognising_gives_a_final(listener: SpeechToText) -> None:
    heard = await listener.recognize(NOISE, language="en", hints=["timer"])
    assert heard.final
    assert 0 <= heard.confidence <= 1
    assert all(word.start <= word.end for word in heard.words)


@pytest.mark.parametrize("pcm", [b"", b"\0", bytes(LISTENING_RATE * 2 + 1), NOISE[:39]], ids=len)
async def test_nothing_silence_and_half_samples_are_no_errors(listener: SpeechToText, pcm: bytes) -> None:
    heard = await listener.recognize(pcm, language="en")
    if len(pcm) < 2:
        assert heard.text in ("", "0 samples", "samples")


async def test_a_stream_gives_one_final_for_each_utterance(listener: SpeechToText) -> None:
    await listener.load()
    heard: list[Transcript] = []
    async with aclosing(listener.stream(language="en")) as stream:
        for _ in range(2):
            for begin in range(0, len(NOISE), 640):
                stream.push(NOISE[begin : begin + 640])
            stream.end_utterance()
        async with asyncio.timeout(30):
            async for transcript in stream:
                heard.append(transcript)
                if sum(one.final for one in heard) == 2:
                    break
    assert [one.final for one in heard].count(True) == 2
    assert heard[-1].final


@pytest.mark.parametrize("listener", [name for name in LISTENERS if ":" in name] + ["livekit"], indirect=True)
async def test_what_is_heard_is_told_while_one_speaks(listener: SpeechToText) -> None:
    await listener.load()
    async with aclosing(listener.stream(language="en")) as stream, asyncio.timeout(30):
        heard = aiter(stream)
        stream.push(NOISE[: len(NOISE) // 4 * 3])
        interim = await anext(heard)
        assert interim.text
        assert not interim.final
        stream.push(NOISE[len(NOISE) // 4 * 3 :])
        stream.end_utterance()
        while not (final := await anext(heard)).final:
            pass
        assert len(final.text) > len(interim.text)


@pytest.mark.parametrize("listener", ["sherpa_onnx:streaming", "livekit"], indirect=True)
async def test_a_model_that_does_not_keep_up_is_given_up_and_not_buried(listener: SpeechToText) -> None:
    async with aclosing(listener.stream()) as stream:
        for _ in range(130):
            stream.push(NOISE)
        with pytest.raises(SpeechError, match="does not keep up"):
            await anext(aiter(stream))


async def test_a_stream_that_is_closed_ends_and_takes_no_more(listener: SpeechToText) -> None:
    await listener.load()
    stream = listener.stream(language="en")

    async def read() -> list[Transcript]:
        return [transcript async for transcript in stream]

    reading = asyncio.create_task(read())
    stream.push(NOISE[:6400])
    await asyncio.sleep(0.05)
    await stream.aclose()
    await stream.aclose()
    async with asyncio.timeout(10):
        assert not any(transcript.final for transcript in await reading)
    stream.push(NOISE)
    stream.end_utterance()


async def test_a_stream_that_nobody_reads_is_closed_cleanly(listener: SpeechToText) -> None:
    stream = listener.stream()
    stream.push(NOISE)
    stream.end_utterance()
    await stream.aclose()


async def test_listening_leaves_no_task_behind(listener: SpeechToText) -> None:
    await listener.load()
    before = asyncio.all_tasks()
    async with aclosing(listener.stream(language="en")) as stream:
        stream.push(NOISE)
        stream.end_utterance()
        async with asyncio.timeout(30):
            async for transcript in stream:
                if transcript.final:
                    break
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() - before == set()


async def test_speaking_gives_whole_samples_at_its_rate(speaker: TextToSpeech) -> None:
    await speaker.load()
    chunks = [chunk async for chunk in speaker.synthesize("Hello there. How are you today?", language="en")]
    assert speaker.sample_rate >= 8000
    assert len(chunks) > 1
    assert all(chunk.pcm and len(chunk.pcm) % 2 == 0 for chunk in chunks)
    seconds = sum(len(chunk.pcm) for chunk in chunks) / 2 / speaker.sample_rate
    assert 0.5 < seconds < 10


async def test_words_follow_each_other_within_text_and_sound(speaker: TextToSpeech) -> None:
    text = "One two three. " * 60
    chunks = [chunk async for chunk in speaker.synthesize(text, language="en")]
    words = [word for chunk in chunks for word in chunk.words]
    assert [word.at for word in words] == sorted(word.at for word in words)
    assert [word.start for word in words] == sorted(word.start for word in words)
    if words:
        assert len(words) == 180
        assert {text[word.start : word.end].strip(".") for word in words} == {"One", "two", "three"}
        assert words[-1].at < sum(len(chunk.pcm) for chunk in chunks) / 2 / speaker.sample_rate


@pytest.mark.parametrize("text", ["", "   \n ", "...", "\U0001f600 \U0001f680"])
async def test_what_cannot_be_spoken_is_silent(speaker: TextToSpeech, text: str) -> None:
    await speaker.load()
    assert [chunk async for chunk in speaker.synthesize(text, language="en")] == []


@pytest.mark.parametrize("text", ["a\0b \ud800", "<speak>&amp;</speak>", "x" * 5000, "[[h@'loU]] \u202e %s {0}"])
async def test_odd_text_is_spoken_and_harms_nothing(speaker: TextToSpeech, text: str) -> None:
    chunks: list[SpeechChunk] = []
    async for chunk in speaker.synthesize(text, language="en"):
        chunks.append(chunk)
        if len(chunks) == 3:
            break
    assert [chunk async for chunk in speaker.synthesize("Hello.", language="en")]


async def test_a_listener_who_stops_early_stops_the_engine(speaker: TextToSpeech) -> None:
    speaking: Any = speaker.synthesize("One two three four. " * 200, language="en")
    first = await anext(speaking)
    await speaking.aclose()
    assert first.pcm
    async with asyncio.timeout(5):
        assert [chunk async for chunk in speaker.synthesize("Stop.", language="en")]


async def test_two_speak_at_once(speaker: TextToSpeech) -> None:
    async def speak(text: str) -> int:
        return sum([len(chunk.pcm) async for chunk in speaker.synthesize(text, language="en")])

    one, two, short = await asyncio.gather(speak("One two three."), speak("One two three."), speak("One."))
    assert one == pytest.approx(two, rel=0.1)
    assert short < one


async def test_the_first_voice_speaks(speaker: TextToSpeech) -> None:
    voices = await speaker.voices()
    assert all(isinstance(voice, VoiceInfo) for voice in voices)
    assert [chunk async for chunk in speaker.synthesize("Hello.", voice=voices[0].name, language="en")]


async def test_a_voice_that_is_not_there_is_refused(speaker: TextToSpeech) -> None:
    """A plugin of LiveKit's gets any voice: it alone knows which there are."""
    if speaker.name != "livekit":
        local = speaker.name in ("espeak", "piper", "kokoro")
        with pytest.raises(InvalidInput if local else SpeechError, match="voice"):
            _ = [chunk async for chunk in speaker.synthesize("Hello.", voice="no-such-voice", language="en")]
