"""Who speaks when: LiveKit's `AgentSession` in this process, with our sound, our recogniser, our brain and our voice.

It decides when a person has begun, is done, or interrupts. Everything else is ours, and reached through `engine_ends`:
it listens, hands the words to `turns`, speaks, and plays through `playout`. The library is loaded with this module,
which takes more than a second: import it late, in a thread (`voice.service` does).

Private names of the library are used in a few places, each marked; the dependency is pinned to its minor version.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import structlog
from livekit import rtc
from livekit.agents import AgentSession, inference, stt, utils
from livekit.agents.language import LanguageCode
from livekit.agents.telemetry import set_tracer_provider
from livekit.agents.voice.agent_activity import _SpeechHandleContextVar  # private: whose reply a task belongs to
from livekit.agents.voice.speech_handle import SpeechHandle
from opentelemetry.trace import NoOpTracerProvider

from antiphon.config.voice import VoiceSettings
from antiphon.domain.conversation import Author
from antiphon.voice.backchannels import is_backchannel
from antiphon.voice.engine_ends import SPOKEN, Brain, Ears, Inline, Mouth, Nodes, SoundIn, SoundOut
from antiphon.voice.latency import Moments
from antiphon.voice.listening import Listening
from antiphon.voice.playout import Playout
from antiphon.voice.speaking import Speaking
from antiphon.voice.spoken import Spoken
from antiphon.voice.transcript import Transcript
from antiphon.voice.transports.transport import FRAME_BYTES, FRAME_SAMPLES, RATE, SILENCE
from antiphon.voice.turns import SpokenTurn, Turns

log = structlog.stdlib.get_logger(__name__)

NOTICED_SECONDS = 0.064
"""Speech is this old when the detection (two windows of 32 ms) reports it."""
STARVED_SECONDS = 0.5
"""A person who is speaking and sends nothing for so long is taken to be silent. A network may stand still for less."""
_LOOK_SECONDS = 0.1
MOST_ITEMS = 40
"""Turns that the library may remember; a quarter of them is left then."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What one session's turn taking connects."""

    turns: Turns
    transcript: Transcript
    listening: Listening
    speaking: Speaking
    playout: Playout


def prepare() -> None:
    """Once per process: the library writes no traces of its own, and only its errors are logged."""
    set_tracer_provider(NoOpTracerProvider())
    logging.getLogger("livekit.agents").setLevel(logging.ERROR)
    logging.getLogger("livekit").setLevel(logging.ERROR)


class TurnTaking:
    """One conversation. `activity` is called whenever anybody speaks; `failed` when it cannot go on."""

    def __init__(
        self,
        settings: VoiceSettings,
        *,
        language: str,
        detector: Any,
        activity: Callable[[], None],
        failed: Callable[[], object],
    ) -> None:
        """`detector` decides that a person is done: "vad", or an object of LiveKit's protocol."""
        self._settings = settings
        self._language = language
        self._detector = detector
        self._activity = activity
        self._failed = failed
        self._parts: Parts | None = None
        self._loop = asyncio.get_running_loop()
        self._in = SoundIn()
        self._rest = b""
        self._heard_at = 0.0
        self._starved: asyncio.TimerHandle | None = None
        self._turns: dict[str, SpokenTurn] = {}  # by speech handle
        self._by_message: dict[str, SpokenTurn] = {}
        self._committed: set[str] = set()
        self._moments: Moments | None = None
        self._segment = 0
        self._words = ""
        self._barged_at = 0.0
        self._session: AgentSession[None] | None = None
        self._closing = False

    @property
    def parts(self) -> Parts:
        """What it connects; there from `start` on."""
        if self._parts is None:
            raise RuntimeError("the conversation has not begun")
        return self._parts

    async def start(self, parts: Parts) -> None:
        """Begin to listen."""
        self._parts = parts
        settings = self._settings
        self._out = SoundOut(parts.playout)
        session: AgentSession[None] = AgentSession(
            stt=Ears(),
            llm=Brain(self),
            tts=Mouth(),
            vad=inference.VAD(
                min_silence_duration=settings.silence_seconds,
                prefix_padding_duration=0.1,
                max_buffered_speech=0.4,  # its copy of the speech is not used
                executor=Inline(parts.listening.looked),
            ),
            turn_handling={
                "turn_detection": self._detector,
                "endpointing": {
                    "min_delay": settings.endpoint_seconds,
                    "max_delay": max(settings.endpoint_seconds, settings.most_endpoint_seconds),
                },
                "interruption": {
                    "mode": "vad",
                    "min_duration": settings.interruption_seconds,
                    "false_interruption_timeout": settings.resume_seconds,
                },
                "preemptive_generation": {
                    "enabled": settings.preemptive,
                    "preemptive_tts": True,
                    "max_speech_duration": 60.0,
                    "max_retries": 5,
                },
            },
            aec_warmup_duration=None,
            user_away_timeout=None,
            session_close_transcript_timeout=0.0,
            tts_text_transforms=None,
        )
        session.input.audio = self._in
        session.output.audio = self._out
        session.on("user_state_changed", self._user_state)
        session.on("agent_state_changed", self._agent_state)
        session.on("conversation_item_added", self._item)
        session.on("close", self._over)
        self._session = session
        await session.start(Nodes(self), record=False)

    @property
    def closing(self) -> bool:
        """Whether it is being ended: nothing new is answered."""
        return self._closing

    async def aclose(self) -> None:
        """End the conversation: what is being said is cut here. Twice is once."""
        self._closing = True
        self._stop_starving()
        session, self._session = self._session, None
        if session is not None:
            await session.aclose()
        self._in.close()

    # --- sound in -----------------------------------------------------------------------------------------------------

    def hear(self, pcm: bytes) -> None:
        """What the person's side sent: any number of samples."""
        self._heard_at = self._loop.time()
        if not self._rest and len(pcm) == FRAME_BYTES:
            self._in.push(pcm)
            return
        self._rest += pcm
        while len(self._rest) >= FRAME_BYTES:
            self._in.push(self._rest[:FRAME_BYTES])
            self._rest = self._rest[FRAME_BYTES:]

    def _watch_starving(self) -> None:
        self._stop_starving()
        self._starved = self._loop.call_later(_LOOK_SECONDS, self._look_for_sound)

    def _stop_starving(self) -> None:
        if self._starved is not None:
            self._starved.cancel()
            self._starved = None

    def _look_for_sound(self) -> None:
        self._starved = self._loop.call_later(_LOOK_SECONDS, self._look_for_sound)
        if self._loop.time() - self._heard_at >= STARVED_SECONDS:
            self.hushed()

    def hushed(self) -> None:
        """Nothing comes from the person: they let go of the key, muted themself, or the connection went. If they were
        speaking, they are done."""
        if self._starved is not None:
            for _ in range(round(self._settings.silence_seconds * RATE / FRAME_SAMPLES) + 2):
                self._in.push(SILENCE)

    # --- what we say --------------------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Say something of our own once nobody else speaks."""
        if self._session is None or self._closing or not text.strip():
            return
        turn = self.parts.turns.notice(text, Moments(time.monotonic()))
        turn.segment = self.parts.transcript.begin(Author.AGENT)
        self.parts.transcript.grow(turn.segment, text)
        handle = self._session.say(text, add_to_chat_ctx=False)
        self._keep(handle, turn)

    def interrupt(self) -> None:
        """Stop what is being said: its listener has gone."""
        if self._session is not None and self._session.current_speech is not None:
            self._session.interrupt(force=True).add_done_callback(_ignored)

    def _keep(self, handle: SpeechHandle, turn: SpokenTurn) -> None:
        self._turns[handle.id] = turn
        handle.add_done_callback(self._spoken)

    def _spoken(self, handle: SpeechHandle) -> None:
        turn = self._turns.pop(handle.id, None)
        if turn is not None:
            self.parts.turns.end(turn, interrupted=handle.interrupted)
        self._forget()

    def _forget(self) -> None:
        """The brain reads the conversation from its rows; what the library keeps of it would only grow."""
        session = self._session
        if session is None:
            return
        session._recorded_events.clear()  # private: for reports that nobody makes
        for kept in (session._chat_ctx, session.current_agent._chat_ctx):
            if len(kept.items) > MOST_ITEMS:
                del kept.items[: -MOST_ITEMS // 4]

    # --- what the engine asks for -------------------------------------------------------------------------------------

    def answer(self, message: str, text: str) -> SpokenTurn:
        """The engine wants an answer to a message of the person. Raises `AntiphonError`."""
        moments = self._moments or Moments(time.monotonic())
        turn = self.parts.turns.begin(text, moments)
        self._by_message[message] = turn
        handle = _SpeechHandleContextVar.get(None)
        if handle is not None:
            self._keep(handle, turn)
        if message in self._committed:
            self._commit(message, turn)
        return turn

    async def words(self, turn: SpokenTurn) -> AsyncGenerator[str, None]:
        """The answer's words, noted on their way."""
        async with aclosing(self.parts.turns.words(turn)) as words:
            async for text in words:
                turn.moments.note("first_token", time.monotonic())
                if turn.segment:
                    self.parts.transcript.grow(turn.segment, turn.written or text)
                yield text

    async def speak(self, text: AsyncIterable[str]) -> AsyncGenerator[rtc.AudioFrame, None]:
        """The sound of an answer, marked with the answer it belongs to."""
        handle = _SpeechHandleContextVar.get(None)
        turn = self._turns.get(handle.id) if handle is not None else None
        spoken = turn.spoken if turn is not None else Spoken()
        async with aclosing(self.parts.speaking.speak(text, spoken)) as sound:
            async for pcm in sound:
                frame = rtc.AudioFrame(pcm, RATE, 1, len(pcm) // 2)
                frame.userdata[SPOKEN] = spoken
                yield frame

    async def listen(self, audio: AsyncIterable[rtc.AudioFrame]) -> AsyncGenerator[stt.SpeechEvent, None]:
        """What the person says, as the engine takes it."""
        listening = self.parts.listening

        async def hear() -> None:
            async for frame in audio:
                listening.hear(bytes(frame.data))

        hearing = asyncio.create_task(hear(), name="voice-hear")
        try:
            async for found in listening.transcripts():
                kind = stt.SpeechEventType.FINAL_TRANSCRIPT if found.final else stt.SpeechEventType.INTERIM_TRANSCRIPT
                if self._heard(found.text, final=found.final):
                    data = stt.SpeechData(
                        text=found.text,
                        language=LanguageCode(found.language or self._language or "en"),
                        confidence=found.confidence,
                    )
                    yield stt.SpeechEvent(type=kind, alternatives=[data])
        finally:
            await utils.aio.cancel_and_wait(hearing)

    def _heard(self, text: str, *, final: bool) -> bool:
        """Note what was understood; False when it is to have no effect on the conversation."""
        transcript = self.parts.transcript
        self._activity()
        if not text.strip():
            if final and self._segment and not self._words:
                transcript.close(self._segment, "")
                self._segment = 0
            return final
        if not self._segment:
            self._segment = transcript.begin(Author.PERSON)
        said = f"{self._words} {text}".strip()
        transcript.grow(self._segment, said)
        if self._closing:
            return False
        if not final:
            return True
        if self._moments is not None:
            self._moments.note("transcript", time.monotonic())
        if self._answering and not self._words and not self.parts.turns.asking and is_backchannel(text, self._language):
            transcript.close(self._segment, text)
            self._segment = 0
            self._resume_now()
            return False
        self._words = said
        return True

    @property
    def _answering(self) -> bool:
        """Whether the agent speaks, or is about to."""
        session = self._session
        return self.parts.playout.active is not None or (
            session is not None and session.agent_state in ("thinking", "speaking")
        )

    def _resume_now(self) -> None:
        """Nobody meant to interrupt: go on speaking at once and not after `resume_seconds`."""
        activity = getattr(self._session, "_activity", None)  # private: there is no public way to end a pause
        if activity is not None and activity._paused_speech is not None:
            activity._start_false_interruption_timer(0.0)

    # --- what the engine tells ----------------------------------------------------------------------------------------

    def _user_state(self, event: Any) -> None:
        self._activity()
        now = time.monotonic()
        listening, transcript = self.parts.listening, self.parts.transcript
        if event.new_state == "speaking":
            self._barged_at = now - NOTICED_SECONDS if self.parts.playout.active is not None else 0.0
            listening.started()
            self._watch_starving()
            transcript.tell("speech", who="user", state="started")
        elif event.old_state == "speaking":
            self._stop_starving()
            last_sound = now - self._settings.silence_seconds
            if self._moments is None:
                self._moments = Moments(last_sound)
            else:
                self._moments.resumed(last_sound)
            self._moments.note("speech_end", now)
            listening.stopped()
            transcript.tell("speech", who="user", state="stopped")

    def _agent_state(self, event: Any) -> None:
        self._activity()
        transcript = self.parts.transcript
        if event.new_state == "speaking":
            transcript.tell("speech", who="agent", state="started")
        elif event.old_state == "speaking":
            self._fell_silent()
            transcript.tell("speech", who="agent", state="stopped")
        if event.new_state in ("listening", "thinking", "speaking"):
            transcript.tell("state", state=self.state)

    @property
    def state(self) -> str:
        """What the agent does now: listening, thinking, speaking or waiting."""
        now = self._session.agent_state if self._session is not None else "listening"
        if now not in ("thinking", "speaking"):
            return "waiting" if self.parts.turns.asking else "listening"
        return now

    def _fell_silent(self) -> None:
        """If somebody interrupted: how long that took."""
        active, at = self.parts.playout.active, self.parts.playout.silent_at
        if active is None or at is None or not self._barged_at or at < self._barged_at:
            return
        turn = next((turn for turn in self._turns.values() if turn.spoken is active), None)
        if turn is not None:
            turn.moments.stop = at - self._barged_at
        self._barged_at = 0.0  # an answer that went on and is stopped by words after all was stopped in that time

    def _item(self, event: Any) -> None:
        """The engine has made up its mind: these words of the person get an answer, and it is this one."""
        message = event.item
        if getattr(message, "role", "") != "user":
            return
        text = message.text_content or ""
        if self._moments is not None:
            self._moments.note("endpoint", time.monotonic())
        self.parts.transcript.close(self._segment or self.parts.transcript.begin(Author.PERSON), text)
        self._segment, self._words, self._moments = 0, "", None
        turn = self._by_message.get(message.id)
        if turn is None:
            self._committed.add(message.id)  # its answer is asked for in a moment
        else:
            self._commit(message.id, turn)

    def _commit(self, message: str, turn: SpokenTurn) -> None:
        self._committed.discard(message)
        self._by_message.clear()  # what was prepared for other words is not wanted any more
        turn.segment = self.parts.transcript.begin(Author.AGENT)
        if turn.written:
            self.parts.transcript.grow(turn.segment, turn.written)
        self.parts.turns.commit(turn)

    def _over(self, event: Any) -> None:
        if not self._closing:
            log.error("voice.engine_closed", reason=str(event.reason))
            self._failed()

    # --- playout ------------------------------------------------------------------------------------------------------

    def sounded(self, spoken: Spoken) -> None:
        """The first sound of an answer went out."""
        turn = next((turn for turn in self._turns.values() if turn.spoken is spoken), None)
        if turn is not None:
            turn.moments.note("first_audio", time.monotonic())
        self._out.on_playback_started(created_at=time.time())

    def played(self, spoken: Spoken) -> None:
        """An answer was heard to its end, or as far as it was heard."""
        self._out.on_playback_finished(
            playback_position=spoken.heard_samples / RATE,
            interrupted=spoken.interrupted,
            synchronized_transcript=spoken.heard(),
        )


def _ignored(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
