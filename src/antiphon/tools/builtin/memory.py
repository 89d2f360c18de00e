"""What the agent is told to remember about a person or about a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from antiphon.domain.errors import ToolError
from antiphon.domain.events import Bus, turn_topic
from antiphon.domain.memories import Memory, MemoryScope, MemoryStore, ProposalStore
from antiphon.domain.personal_data import PersonalDataStore
from antiphon.domain.tools import Risk
from antiphon.tools.builtin.overlap import best_matches, shared
from antiphon.tools.tool import A, Arguments, Tool, ToolCall, ToolResult, declare

Scope = Literal["person", "server"]
_SCOPE = "person: about the requester alone; server: for everybody in this server."
_READ_AT_MOST = 20
_WRITE_SERVER = "operator"


class RememberArguments(Arguments):
    """The fact."""

    text: str = Field(min_length=1, max_length=2000, description="The fact, in a sentence that is clear on its own.")
    scope: Scope = Field("person", description=_SCOPE)


class RecallArguments(Arguments):
    """About what."""

    query: str = Field("", max_length=300, description="What it is about; empty for everything.")
    scope: Literal["person", "server", "both"] = "both"


class ForgetArguments(Arguments):
    """Which fact."""

    query: str = Field(min_length=1, max_length=300, description="Words of the fact to forget.")
    scope: Scope = Field("person", description=_SCOPE)


class ForgetAllArguments(Arguments):
    """Whose."""

    scope: Scope = Field("person", description=_SCOPE)


class MemoryRemember(Tool[RememberArguments]):
    """`memory.remember`."""

    spec = declare(
        "memory.remember",
        "Remember a fact for later conversations.",
        RememberArguments,
        Risk.OWN,
        idempotent=True,
    )
    arguments = RememberArguments

    def __init__(self, memories: MemoryStore) -> None:
        self._memories = memories

    def permission(self, arguments: RememberArguments) -> str:
        """What everybody will see needs more than what only the requester sees."""
        return _to_write(arguments.scope)

    async def run(self, call: ToolCall[RememberArguments]) -> ToolResult:
        """Store the fact with who said it and where."""
        asked = call.arguments
        scope, subject = _subject(asked.scope, call)
        memory = await self._memories.remember(
            scope, subject, asked.text, author=call.requester.person, channel=call.requester.channel, origin=call.origin
        )
        return ToolResult("Remembered", {"scope": asked.scope, "text": memory.text, "id": memory.id})


class ProposeArguments(Arguments):
    """The fact to ask about."""

    text: str = Field(
        min_length=1,
        max_length=1000,
        description="The fact about the requester, in a sentence that is clear on its own.",
    )


class MemoryPropose(Tool[ProposeArguments]):
    """`memory.propose`."""

    spec = declare(
        "memory.propose",
        "Ask the requester whether a lasting fact about them (a preference, a name, a plan) may be remembered, when "
        "they mentioned it without asking you to remember it. They answer by a button; nothing is stored before.",
        ProposeArguments,
        Risk.OWN,
        idempotent=True,
    )
    arguments = ProposeArguments

    def __init__(self, proposals: ProposalStore, bus: Bus) -> None:
        self._proposals = proposals
        self._bus = bus

    async def run(self, call: ToolCall[ProposeArguments]) -> ToolResult:
        """Store the question and show it in the conversation."""
        channel = call.requester.channel
        proposal = await self._proposals.propose(
            call.requester.person, call.arguments.text, channel=channel, origin=call.origin
        )
        await self._bus.publish(
            turn_topic(channel),
            "memory.proposed",
            {
                "task": str(call.task),
                "turn": f"{call.task}.{call.attempt}",
                "attempt": call.attempt,
                "proposal": str(proposal.id),
                "text": proposal.text,
            },
        )
        return ToolResult("Asked whether to remember this", {"proposal": proposal.id, "text": proposal.text})


class MemoryRecall(Tool[RecallArguments]):
    """`memory.recall`."""

    spec = declare(
        "memory.recall",
        "Look up what was remembered about the requester and this server.",
        RecallArguments,
        Risk.READ,
    )
    arguments = RecallArguments

    def __init__(self, memories: MemoryStore) -> None:
        self._memories = memories

    async def run(self, call: ToolCall[RecallArguments]) -> ToolResult:
        """The best of them first; with a query only those that have to do with it."""
        query = call.arguments.query
        found: list[Memory] = []
        if call.arguments.scope in ("person", "both"):
            scope, subject = _subject("person", call)
            found += await self._memories.recall(scope, subject, query, _READ_AT_MOST)
        if call.arguments.scope in ("server", "both") and call.requester.server is not None:
            scope, subject = _subject("server", call)
            found += await self._memories.recall(scope, subject, query, _READ_AT_MOST)
        if query:
            found = [memory for memory in found if shared(query, memory.text) > 0]
            found.sort(key=lambda memory: -shared(query, memory.text))
        others = any(memory.author != call.requester.person for memory in found)
        data: dict[str, object] = {
            "query": query,
            "memories": [
                {"id": m.id, "text": m.text, "scope": m.scope.value, "fit": round(shared(query, m.text), 2)}
                for m in found
            ],
        }
        return ToolResult(
            f"{len(found)} remembered", data, source="what other people asked to remember" if others else ""
        )


class MemoryForget(Tool[ForgetArguments]):
    """`memory.forget`."""

    spec = declare(
        "memory.forget", "Forget one remembered fact, found by its words.", ForgetArguments, Risk.OWN, idempotent=True
    )
    arguments = ForgetArguments

    def __init__(self, memories: MemoryStore) -> None:
        self._memories = memories

    def permission(self, arguments: ForgetArguments) -> str:
        """As for writing."""
        return _to_write(arguments.scope)

    def title(self, arguments: ForgetArguments) -> str:
        """What is going to happen."""
        return f"Forget what I know about “{arguments.query}”"

    async def run(self, call: ToolCall[ForgetArguments]) -> ToolResult:
        """Forget the fact that fits best; with several that fit alike, return them and forget nothing."""
        asked = call.arguments
        scope, subject = _subject(asked.scope, call)
        found = await self._memories.recall(scope, subject, asked.query, _READ_AT_MOST)
        meant = best_matches(asked.query, found, lambda memory: memory.text)
        data: dict[str, object] = {"query": asked.query, "scope": asked.scope, "forgotten": [], "choices": []}
        if not meant:
            return ToolResult("Nothing like this was remembered", data)
        if len(meant) > 1:
            data["choices"] = [memory.text for memory in meant]
            return ToolResult("It is not clear which one is meant", data)
        gone = await self._memories.forget(scope, subject, [meant[0].id])
        data["forgotten"] = [memory.text for memory in gone]
        return ToolResult(f"Forgot {len(gone)}", data)


_FORGET_ALL = {
    "de": (
        "Alles endgültig vergessen, was ich über dich weiß",
        "Alles endgültig vergessen, was ich über diesen Server weiß",
    ),
    "es": (
        "Olvidar para siempre todo lo que sé de ti",
        "Olvidar para siempre todo lo que sé de este servidor",
    ),
}


class MemoryForgetAll(Tool[ForgetAllArguments]):
    """`memory.forget_all`."""

    spec = declare(
        "memory.forget_all",
        "Forget everything remembered about the requester (or the server), for good.",
        ForgetAllArguments,
        Risk.DANGEROUS,
        idempotent=True,
    )
    arguments = ForgetAllArguments

    def __init__(self, memories: MemoryStore, personal_data: PersonalDataStore) -> None:
        self._memories = memories
        self._personal_data = personal_data

    def permission(self, arguments: ForgetAllArguments) -> str:
        """As for writing."""
        return _to_write(arguments.scope)

    def title(self, arguments: ForgetAllArguments) -> str:
        """What the approval asks."""
        whom = "you" if arguments.scope == "person" else "this server"
        return f"Forget everything I remember about {whom}, for good"

    def title_in(self, arguments: ForgetAllArguments, language: str) -> str:
        """What the approval asks, in the person's language."""
        words = _FORGET_ALL.get(language.partition("-")[0].casefold())
        return words[arguments.scope != "person"] if words else self.title(arguments)

    async def run(self, call: ToolCall[ForgetAllArguments]) -> ToolResult:
        """Forget it all: of a person also their opinions, what was proposed, and summaries of what they said."""
        if call.arguments.scope == "person":
            receipt = await self._personal_data.forget(call.requester.person)
            count = receipt.erased.get("memories", 0)
            words = ", ".join(f"{number} {kind}" for kind, number in receipt.erased.items()) or "nothing was there"
            data: dict[str, object] = {"scope": "person", "count": count, "erased": dict(receipt.erased)}
            return ToolResult(f"Forgot: {words}", data)
        scope, subject = _subject(call.arguments.scope, call)
        gone: Sequence[Memory] = await self._memories.forget(scope, subject, None)
        return ToolResult(f"Forgot {len(gone)}", {"scope": call.arguments.scope, "count": len(gone)})


def _to_write(scope: Scope) -> str:
    return "everyone" if scope == "person" else _WRITE_SERVER


def _subject(scope: Scope, call: ToolCall[A]) -> tuple[MemoryScope, int]:
    if scope == "person":
        return MemoryScope.PERSON, call.requester.person
    if call.requester.server is None:
        raise ToolError("This conversation belongs to no server, so I can only remember things about you here.")
    return MemoryScope.SERVER, call.requester.server
