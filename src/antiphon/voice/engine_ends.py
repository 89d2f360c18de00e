"""What LiveKit's engine holds of ours: sound in and out, brain, ears and mouth, in the shapes that the library wants.

`turn_taking` connects them, and they call back into it (`Taking`): nothing is decided here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from concurrent.futures import Executor, Future
from contextlib import aclosing
from typing import Any, Protocol, TypeVar

from livekit import rtc
from livekit.agents import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    Agent,
    APIConnectOptions,
    StopResponse,
    llm,
    stt,
    tts,
)
from livekit.agents.voice import ModelSettings, io

from antiphon.domain.errors import AntiphonError
from antiphon.domain.speech import LISTENING_RATE
from antiphon.voice.playout import Playout
from antiphon.voice.transports.transport import FRAME_SAMPLES, RATE
from antiphon.voice.turns import SpokenTurn

T = TypeVar("T")

MOST_UNHEARD_SECONDS = 12
"""Sound that waits for the engine; what is older is dropped."""
WINDOW = 512
"""Samples that the voice activity detection looks at together."""
SPOKEN = "antiphon.spoken"
"""Under this name a frame of sound carries the answer it belongs to."""
_CONNECT = APIConnectOptions(max_retry=0, timeout=3600.0)
"""Trying again is our brain's and our engines' own business."""


class Taking(Protocol):
    """The conversation that is asked."""

    @property
    def closing(self) -> bool:
        """Whether it is being ended: nothing new is answered."""
        ...

    def listen(self, audio: AsyncIterable[rtc.AudioFrame]) -> AsyncGenerator[stt.SpeechEvent, None]:
        """What the person says."""
        ...

    def answer(self, message: str, text: str) -> SpokenTurn:
        """An answer to a message of the person. Raises `AntiphonError`."""
        ...

    def words(self, turn: SpokenTurn) -> AsyncGenerator[str, None]:
        """The words of that answer."""
        ...

    def speak(self, text: AsyncIterable[str]) -> AsyncGenerator[rtc.AudioFrame, None]:
        """The sound of an answer."""
        ...


class Inline(Executor):
    """Runs the voice activity detection on the loop: 15 µs each, less than handing it to a thread costs.

    `looked` is told after each window.
    """

    def __init__(self, looked: Callable[[int], None]) -> None:
        self._looked = looked

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run it now."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        self._looked(WINDOW)
        return future


class Nodes(Agent):
    """The nodes of the engine that are ours."""

    def __init__(self, taking: Taking) -> None:
        super().__init__(instructions="")
        self._taking = taking

    async def on_user_turn_completed(self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage) -> None:
        """The person is done, and the engine would answer: not while the session ends."""
        if self._taking.closing:  # the engine has interrupted what there was, and would wait until this was spoken
            raise StopResponse

    def stt_node(
        self, audio: AsyncIterable[rtc.AudioFrame], model_settings: ModelSettings
    ) -> AsyncGenerator[stt.SpeechEvent, None]:
        """What is heard in the frames of `SoundIn`."""
        return self._taking.listen(audio)

    def tts_node(self, text: AsyncIterable[str], model_settings: ModelSettings) -> AsyncGenerator[rtc.AudioFrame, None]:
        """Frames with the sound of one answer, for `SoundOut`."""
        return self._taking.speak(text)


class SoundIn(io.AudioInput):
    """Frames from the transport. Bounded: sound that nobody fetches for long is old."""

    def __init__(self) -> None:
        super().__init__(label="antiphon")
        self._frames: deque[bytes] = deque(maxlen=MOST_UNHEARD_SECONDS * RATE // FRAME_SAMPLES)
        self._waiting: asyncio.Future[None] | None = None
        self._closed = False

    def push(self, pcm: bytes) -> None:
        """Take a frame: `FRAME_BYTES` of PCM. The oldest one that waits makes room."""
        self._frames.append(pcm)
        self._wake()

    def close(self) -> None:
        """The engine reads what waits, and then the end."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def __anext__(self) -> rtc.AudioFrame:
        while not self._frames:
            if self._closed:
                raise StopAsyncIteration
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        return rtc.AudioFrame(self._frames.popleft(), LISTENING_RATE, 1, FRAME_SAMPLES)


class SoundOut(io.AudioOutput):
    """Hands the engine's sound to `playout`."""

    def __init__(self, playout: Playout) -> None:
        super().__init__(label="antiphon", capabilities=io.AudioOutputCapabilities(pause=True), sample_rate=RATE)
        self._playout = playout

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Take sound of the answer that its `SPOKEN` names. Waits while enough of it is there."""
        await super().capture_frame(frame)
        await self._playout.push(bytes(frame.data), frame.userdata[SPOKEN])

    def flush(self) -> None:
        """The answer has no more sound."""
        super().flush()
        self._playout.flush()

    def clear_buffer(self) -> None:
        """The answer was interrupted."""
        self._playout.clear()

    def pause(self) -> None:
        """Fall silent: the person may be interrupting."""
        self._playout.pause()

    def resume(self) -> None:
        """They were not: go on with what was not heard."""
        self._playout.resume()


class Brain(llm.LLM):
    """Our brain, as the engine knows language models."""

    def __init__(self, taking: Taking) -> None:
        super().__init__()
        self._taking = taking

    @property
    def model(self) -> str:
        """For the engine's figures, as `provider`."""
        return "antiphon"

    @property
    def provider(self) -> str:
        """Always the same."""
        return "antiphon"

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: Any = NOT_GIVEN,
        tool_choice: Any = NOT_GIVEN,
        extra_kwargs: Any = NOT_GIVEN,
    ) -> llm.LLMStream:
        """The words of the answer to the person's last message. What else the engine says to a model has no meaning."""
        return _Words(self, self._taking, chat_ctx)


class _Words(llm.LLMStream):
    """One answer on its way from the brain to the voice."""

    def __init__(self, brain: Brain, taking: Taking, chat_ctx: llm.ChatContext) -> None:
        self._taking = taking  # before the base, which starts to run
        super().__init__(brain, chat_ctx=chat_ctx, tools=[], conn_options=_CONNECT)

    async def _run(self) -> None:
        said = next(
            item for item in reversed(self._chat_ctx.items) if isinstance(item, llm.ChatMessage) and item.role == "user"
        )
        try:
            turn = self._taking.answer(said.id, said.text_content or "")
        except AntiphonError as error:
            self._send(said.id, error.message)
            return
        async with aclosing(self._taking.words(turn)) as words:
            async for text in words:
                self._send(said.id, text)

    def _send(self, reply: str, text: str) -> None:
        self._event_ch.send_nowait(llm.ChatChunk(id=reply, delta=llm.ChoiceDelta(role="assistant", content=text)))


class Ears(stt.STT):
    """Stands for our recogniser: the engine asks `Nodes.stt_node`, but only where there is one of these, too.

    Its one abstract method is for recordings, which the engine never has.
    """

    def __init__(self) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=True))

    async def _recognize_impl(self, buffer: Any, *, language: Any = NOT_GIVEN, conn_options: APIConnectOptions) -> Any:
        raise RuntimeError("never asked: the node listens")


class Mouth(tts.TTS):
    """Stands for our voice in the same way, for `Nodes.tts_node`; its abstract method speaks one text at a time."""

    def __init__(self) -> None:
        super().__init__(capabilities=tts.TTSCapabilities(streaming=True), sample_rate=RATE, num_channels=1)

    def synthesize(self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS) -> Any:
        """Raises `RuntimeError`: see above."""
        raise RuntimeError("never asked: the node speaks")
