"""Paused turns that leave or come from outside in a thread's file (`threads.moving`).

A snapshot from a file is somebody's claim. It may hold what was said, what was called and what the calls gave back;
instructions to the model and addresses to fetch are not among it: those come from this system, at the time of the turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

from antiphon.domain.errors import InvalidInput, ModelError

_PARTS = frozenset({"user-prompt", "text", "thinking", "tool-call", "tool-return", "retry-prompt"})
_LEFT_OUT = ("instructions", "metadata", "provider_details", "provider_url")
"""Of each message: what this system adds again, or what only the provider there understood."""


class SnapshotReader:
    """Implements `threads.moving.PausedTurns`."""

    def portable(self, snapshot: Mapping[str, Any]) -> dict[str, Any]:
        """The snapshot without what belongs to this system: its prompt, its provider's details."""
        conversation = dict(snapshot.get("conversation") or {})
        conversation["messages"] = [_portable(message) for message in conversation.get("messages", ())]
        return {**snapshot, "conversation": conversation}

    async def calls(self, snapshot: bytes) -> Mapping[str, tuple[str, Mapping[str, object]]]:
        """The calls it waits for: call id -> (tool as models spell it, arguments). Raises `InvalidInput`."""
        return await asyncio.to_thread(_calls, snapshot)


def _portable(message: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in message.items() if name not in _LEFT_OUT}
    parts = cast("Sequence[Mapping[str, Any]]", message.get("parts", ()))
    kept["parts"] = [
        {name: value for name, value in part.items() if name not in _LEFT_OUT}
        for part in parts
        if part.get("part_kind") in _PARTS
    ]
    return kept


def _calls(raw: bytes) -> Mapping[str, tuple[str, Mapping[str, object]]]:
    from antiphon.brain import engine  # late: a second of imports, in a thread

    try:
        snapshot = engine.read_snapshot(raw)
    except ModelError as error:
        raise InvalidInput("it is of another version or damaged") from error
    for message in snapshot.conversation.messages:
        if getattr(message, "instructions", None):
            raise InvalidInput("it holds instructions to the model")
        for part in message.parts:
            if part.part_kind not in _PARTS:
                raise InvalidInput(f"it holds a part of the kind {part.part_kind}")
            if part.part_kind == "user-prompt" and not _plain(part.content):
                raise InvalidInput("it holds something else than text and files")
            if part.part_kind != "user-prompt" and not _without_addresses(getattr(part, "content", None)):
                raise InvalidInput("the result of a tool holds an address to fetch")
    requests = snapshot.conversation.deferred_tool_requests
    if requests is None or not requests.approvals or requests.calls:
        raise InvalidInput("it waits for no approval")
    return {call.tool_call_id: (call.tool_name, call.args_as_dict()) for call in requests.approvals}


def _plain(content: object) -> bool:
    """Text, or a list of texts and embedded files: nothing that would be fetched from an address."""
    if isinstance(content, str):
        return True
    items = cast("Sequence[object]", content) if isinstance(content, list | tuple) else (content,)
    return all(isinstance(item, str) or getattr(item, "kind", "") == "binary" for item in items)


def _without_addresses(content: object) -> bool:
    """No object in it, however deep, is one that a provider's client would fetch from its address."""
    if isinstance(content, Mapping):
        found = cast("Mapping[object, object]", content)
        if "url" in found and str(found.get("kind", "")).endswith("-url"):
            return False  # still plain data here; reading it once more would make an address of it
        return all(map(_without_addresses, found.values()))
    if isinstance(content, list | tuple):
        return all(map(_without_addresses, cast("Sequence[object]", content)))
    return not str(getattr(content, "kind", "")).endswith("-url")
