"""A model server that behaves as its address says: http://127.0.0.1:PORT/BEHAVIOUR/v1, over real sockets.

It speaks the public wire formats of OpenAI (chat completions), Anthropic (messages) and Google (generateContent), all
streamed, with tools. What it says is fixed by the question (`answer_to`), so that a test can tell whether an answer
that several servers wrote is whole. Asked to go on with an answer that was cut off, it goes on from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from antiphon.brain.experts.failover import CONTINUE

KEY = "right-key"
_WORDS = (
    "the quick brown fox jumps over the lazy dog, while (as usual) nobody looks; then it sleeps under an old tree. "
    "Later that day, rain falls on the hills and the river rises slowly past the mill."
)
_ENDLESS = 60_000
LONG = 1000
"""Pieces of the answer of `long`."""


def answer_to(question: str) -> str:
    """What every server here answers."""
    return f"About {question}: {_WORDS}"


@dataclass
class Asked:
    """One request, whatever the format was."""

    behaviour: str
    speaks: str
    key: str
    model: str
    system: str = ""
    turns: list[tuple[str, str]] = field(default_factory=list)
    """(user, assistant or tool; text), oldest first."""
    tools: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    """The ids of calls in the history."""
    max_tokens: int | None = None

    @property
    def question(self) -> str:
        """What the person said last."""
        return [text for role, text in self.turns if role == "user" and text != CONTINUE][-1]

    @property
    def so_far(self) -> str:
        """The text to go on from, when that is what is asked."""
        return self.turns[-2][1] if self.turns[-1] == ("user", CONTINUE) else ""

    @property
    def after_a_tool(self) -> bool:
        """Whether a tool has answered since the person spoke."""
        roles = [role for role, text in self.turns if text != CONTINUE]
        return "tool" in roles[len(roles) - roles[::-1].index("user") :]


Event = tuple[str, str]
"""("text", piece), ("call", name), ("arguments", piece), ("end", reason), or something that happens: ("close", ""),
("wait", seconds), ("error", status), ("raw", bytes as text)."""


class Upstreams:
    """The server. `asked` keeps every request, `counts` how many there were by behaviour.

    Answers come in pieces of so many `words`.
    """

    def __init__(self, *, slow: float = 0.3, words: int = 1) -> None:
        self._slow = slow
        self._words = words
        self.asked: list[Asked] = []
        self.counts: Counter[str] = Counter()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await asyncio.sleep(0.01)  # the transports tell their protocols that they are closed

    def url(self, behaviour: str, *, speaks: str = "openai") -> str:
        """The address to configure."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/{behaviour}" + ("/v1" if speaks == "openai" else "")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            # Cancelled when the test ends; the library would report that as an error of its own.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._request(reader, writer):
                    pass
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        path = head[0].split(" ")[1].split("?")[0]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = json.loads(await reader.readexactly(int(headers.get("content-length", 0))) or b"{}")
        behaviour = path.split("/")[1]
        key = headers.get("authorization", "").removeprefix("Bearer ")
        key = key or headers.get("x-api-key", "") or headers.get("x-goog-api-key", "")
        if behaviour == "key" or (behaviour == "keyed" and key != KEY):
            return await _whole(writer, 401, {"error": {"message": f"bad key {key}", "type": "invalid_request_error"}})
        if path.endswith("/models"):
            return await self._list(writer, path, behaviour)
        if path.endswith("/embeddings"):
            rows = [{"index": n, "object": "embedding", "embedding": _embed(t)} for n, t in enumerate(body["input"])]
            return await _whole(writer, 200, {"object": "list", "data": rows, "model": "e", "usage": {}})
        asked, encode = _read(path, body, behaviour, key)
        self.asked.append(asked)
        self.counts[behaviour] += 1
        return await self._answer(writer, asked, encode)

    async def _list(self, writer: asyncio.StreamWriter, path: str, behaviour: str) -> bool:
        if behaviour == "garbage":
            return await _whole(writer, 200, "<html>Welcome!</html>")
        if "/v1beta/" in path:
            return await _whole(writer, 200, {"models": [{"name": "models/fake-a"}, {"name": "models/fake-b"}]})
        return await _whole(writer, 200, {"object": "list", "data": [{"id": "fake-b"}, {"id": "fake-a"}]})

    async def _answer(self, writer: asyncio.StreamWriter, asked: Asked, encode: _Encoder) -> bool:
        error = {"error": {"message": "no", "type": "server_error"}}
        match asked.behaviour:
            case "refuse":
                return await _whole(writer, 500, error)
            case "busy":
                return await _whole(writer, 429, error, {"Retry-After": "30"})
            case "busy_for_a_moment" if self.counts["busy_for_a_moment"] == 1:
                return await _whole(writer, 429, error, {"Retry-After": "1"})
            case "unknown":
                return await _whole(writer, 404, {"error": {"message": "no such model", "code": "model_not_found"}})
            case "rejects":
                return await _whole(writer, 400, {"error": {"message": "tools are not supported"}})
            case "garbage":
                return await _whole(writer, 200, "<html>Welcome!</html>")
            case "calls_then_refuses" if asked.after_a_tool:
                return await _whole(writer, 500, error)
            case "hang":
                await asyncio.sleep(60)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for kind, value in self._events(asked):
            if kind == "close":
                await writer.drain()
                writer.transport.abort()
                return False
            if kind == "wait":
                await asyncio.sleep(float(value))
                continue
            frames = value if kind == "raw" else "".join(encode.event(kind, value))
            _chunk(writer, frames)
            if writer.transport.get_write_buffer_size() > 65_536:
                await writer.drain()
            else:
                await asyncio.sleep(0)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    def _events(self, asked: Asked) -> Iterator[Event]:
        behaviour = asked.behaviour
        if behaviour == "slow":
            yield "wait", str(self._slow)
        if behaviour == "very_slow":
            yield "wait", "30"
        wants_tool = "poke" in asked.question and "poke_do" in asked.tools
        insists = behaviour in ("loops", "unknown_tool", "wrong_arguments")
        if insists or (wants_tool and not asked.after_a_tool):
            yield from _calling(behaviour)
            return
        if behaviour == "empty":
            yield "end", "stop"
            return
        if behaviour == "long":
            yield from (("text", f"word{number} ") for number in range(LONG))
            yield "end", "stop"
            return
        if behaviour == "endless":
            for number in range(_ENDLESS):
                yield "text", f"word{number} "
        whole = answer_to(asked.question)
        text = whole[len(asked.so_far) :] if whole.startswith(asked.so_far) else whole
        if asked.so_far:
            text = text.lstrip()
            if behaviour == "repeats_all":
                text = whole
            elif behaviour == "repeats_words":
                text = " ".join(asked.so_far.split()[-3:]) + " " + text
        said = text.split(" ")
        pieces = [" ".join(said[n : n + self._words]) + " " for n in range(0, len(said), self._words)]
        pieces[-1] = pieces[-1].rstrip()
        for number, piece in enumerate(pieces):
            if number == len(pieces) // 2:
                yield from _in_the_middle(behaviour, piece)
            yield "text", piece
        if behaviour == "ends_early":
            return
        yield "end", "stop"


def _calling(behaviour: str) -> Iterator[Event]:
    if behaviour == "deep_call":
        yield "call", "poke_do"
        yield "arguments", "[" * 100_000
        yield "end", "tool"
        return
    if behaviour == "same_ids":
        for whom in ("Bob", "Eve"):
            yield "call", "poke_do"
            yield "arguments", f'{{"whom": "{whom}"}}'
        yield "end", "tool"
        return
    if behaviour == "says_then_calls":
        yield "text", "Let me see. "
    yield "call", "no_such_tool" if behaviour == "unknown_tool" else "poke_do"
    yield "arguments", '{"wh'
    if behaviour == "cut_call":
        yield "close", ""
    if behaviour == "half_call":
        yield "end", "tool"
        return
    yield "arguments", 'om": 7}' if behaviour == "wrong_arguments" else 'om": "Bob"}'
    yield "end", "tool"


def _in_the_middle(behaviour: str, piece: str) -> Iterator[Event]:
    match behaviour:
        case "cut":
            yield "close", ""
        case "dies_late":
            yield "wait", "0.6"
            yield "close", ""
        case "cut_word":
            yield "text", piece[: max(1, len(piece) // 2)]
            yield "close", ""
        case "stall":
            yield "wait", "60"
        case "error_event":
            yield "error", "500"
            yield "close", ""
        case "bad_json":
            yield "raw", 'event: content_block_delta\ndata: {"choices": [{"delta": \n\n'
        case _:
            return


class _Encoder:
    """OpenAI's frames."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.began = False
        self.calls = 0

    def event(self, kind: str, value: str) -> Iterator[str]:
        if kind == "error":
            yield _sse({"error": {"message": "the server broke", "type": "server_error", "code": 500}})
            return
        delta: dict[str, Any] = {"role": "assistant"} if not self.began else {}
        self.began = True
        if kind == "text":
            yield self._frame({**delta, "content": value})
        elif kind == "call":
            self.calls += 1
            call = {"index": self.calls - 1, "id": f"call_{id(self.asked)}", "type": "function"}
            yield self._frame({**delta, "tool_calls": [{**call, "function": {"name": value, "arguments": ""}}]})
        elif kind == "arguments":
            yield self._frame({"tool_calls": [{"index": self.calls - 1, "function": {"arguments": value}}]})
        elif kind == "end":
            yield self._frame({}, "tool_calls" if value == "tool" else "stop")
            usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
            yield _sse({**self._base(), "choices": [], "usage": usage})
            yield "data: [DONE]\n\n"

    def _base(self) -> dict[str, Any]:
        return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": self.asked.model}

    def _frame(self, delta: dict[str, Any], finish: str | None = None) -> str:
        return _sse({**self._base(), "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


class _Anthropic(_Encoder):
    """Anthropic's frames: message_start, content blocks, message_delta, message_stop."""

    index = -1

    def event(self, kind: str, value: str) -> Iterator[str]:
        if kind == "error":
            yield _named("error", {"error": {"type": "api_error", "message": "the server broke"}})
            return
        if not self.began:
            self.began = True
            message = {"id": "m", "type": "message", "role": "assistant", "content": [], "model": self.asked.model}
            usage = {"input_tokens": 100, "output_tokens": 1}
            yield _named("message_start", {"message": {**message, "stop_reason": None, "usage": usage}})
        if kind == "text":
            if self.index < 0:
                yield self._block({"type": "text", "text": ""})
            yield self._delta({"type": "text_delta", "text": value})
        elif kind == "call":
            if self.index >= 0:
                yield _named("content_block_stop", {"index": self.index})
            call = {"type": "tool_use", "id": f"toolu_{id(self.asked)}", "name": value, "input": {}}
            yield self._block(call)
        elif kind == "arguments":
            yield self._delta({"type": "input_json_delta", "partial_json": value})
        elif kind == "end":
            if self.index >= 0:
                yield _named("content_block_stop", {"index": self.index})
            reason = "tool_use" if value == "tool" else "end_turn"
            usage = {"output_tokens": 20}
            yield _named("message_delta", {"delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage})
            yield _named("message_stop", {})

    def _block(self, block: dict[str, Any]) -> str:
        self.index += 1
        return _named("content_block_start", {"index": self.index, "content_block": block})

    def _delta(self, delta: dict[str, Any]) -> str:
        return _named("content_block_delta", {"index": self.index, "delta": delta})


class _Google(_Encoder):
    """Google's frames: whole candidates; a call comes in one piece."""

    name = ""
    arguments = ""

    def event(self, kind: str, value: str) -> Iterator[str]:
        if kind == "error":
            yield _sse({"error": {"code": 500, "message": "the server broke", "status": "INTERNAL"}})
        elif kind == "text":
            yield self._candidate([{"text": value}])
        elif kind == "call":
            self.name = value
        elif kind == "arguments":
            self.arguments += value
        elif kind == "end":
            parts: list[dict[str, Any]] = []
            if self.name:
                with contextlib.suppress(ValueError):
                    parts = [{"functionCall": {"name": self.name, "args": json.loads(self.arguments)}}]
            yield self._candidate(parts, "STOP")

    def _candidate(self, parts: list[dict[str, Any]], finish: str | None = None) -> str:
        candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
        if finish:
            candidate["finishReason"] = finish
        usage = {"promptTokenCount": 100, "candidatesTokenCount": 20, "totalTokenCount": 120}
        return _sse({"candidates": [candidate], "usageMetadata": usage, "modelVersion": self.asked.model})


def _read(path: str, body: dict[str, Any], behaviour: str, key: str) -> tuple[Asked, _Encoder]:
    """The request in neutral words, and who writes the frames of the answer."""
    if path.endswith("/messages"):
        asked = Asked(behaviour, "anthropic", key, body["model"], max_tokens=body.get("max_tokens"))
        asked.system = _joined(body.get("system", ""))
        asked.tools = [tool["name"] for tool in body.get("tools", [])]
        for message in body["messages"]:
            blocks = message["content"]
            for block in [{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks:
                if block["type"] == "tool_result":
                    asked.turns.append(("tool", _joined(block["content"])))
                elif block["type"] == "tool_use":
                    asked.calls.append(block["id"])
                    asked.turns.append(("assistant", ""))
                else:
                    asked.turns.append((message["role"], block["text"]))
        return asked, _Anthropic(asked)
    if ":streamGenerateContent" in path:
        asked = Asked(behaviour, "google", key, path.rpartition("/")[2].partition(":")[0])
        asked.system = _joined(body.get("systemInstruction", {}).get("parts", []))
        asked.tools = [f["name"] for tool in body.get("tools", []) for f in tool.get("functionDeclarations", [])]
        asked.max_tokens = body.get("generationConfig", {}).get("maxOutputTokens")
        for content in body["contents"]:
            for part in content["parts"]:
                if "functionResponse" in part:
                    asked.turns.append(("tool", json.dumps(part["functionResponse"])))
                elif "functionCall" in part:
                    asked.turns.append(("assistant", ""))
                else:
                    asked.turns.append(("assistant" if content["role"] == "model" else "user", part["text"]))
        return asked, _Google(asked)
    asked = Asked(behaviour, "openai", key, body["model"])
    asked.max_tokens = body.get("max_completion_tokens") or body.get("max_tokens")
    asked.tools = [tool["function"]["name"] for tool in body.get("tools", [])]
    for message in body["messages"]:
        role, text = message["role"], _joined(message.get("content") or "")
        asked.calls += [call["id"] for call in message.get("tool_calls") or []]
        if role in ("system", "developer"):
            asked.system += text
        else:
            asked.turns.append((role, text))
    return asked, _Encoder(asked)


def _joined(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _embed(text: str) -> list[float]:
    """A meaning of four dimensions, out of a few words."""
    groups = (("python", "code", "rust", "compile"), ("ban", "kick", "spam"), ("poem", "song", "story"))
    low = text.lower()
    return [float(sum(word in low for word in group)) for group in groups] + [0.1]


def _sse(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"


def _named(kind: str, data: dict[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n"


def _chunk(writer: asyncio.StreamWriter, text: str) -> None:
    if text:
        data = text.encode()
        writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


async def _whole(
    writer: asyncio.StreamWriter, status: int, body: object, headers: dict[str, str] | None = None
) -> bool:
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    kind = "text/html" if isinstance(body, str) else "application/json"
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
    await writer.drain()
    return True


async def serve_alone() -> None:
    """Serve until killed, for benchmarks: `python -m tests.fakes.upstreams` prints its port."""
    async with Upstreams() as server:
        print(server.url("fine").split(":")[2].split("/")[0], flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve_alone())
