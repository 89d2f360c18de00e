"""Moving a thread to another system: written as a file here, taken in there. Used by the API and the command line.

A file says what was said; it never says who may do what. Whoever imports becomes the person of the thread, everybody
else in it is a name. Questions that waited for an approval are put again to an approver of this system, by this
system's rules, and only if the tool, its arguments and their hash fit together. What a file claims about tool results
stays inside the paused turn it belongs to, as data.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog
from pydantic import ValidationError

import antiphon
from antiphon.domain.approvals import ApproverRule
from antiphon.domain.clock import Clock
from antiphon.domain.errors import Conflict, InvalidInput
from antiphon.domain.moving import ImportedThread, ImportOrder
from antiphon.domain.schedule import Recurrence
from antiphon.telemetry.redaction import Redactor
from antiphon.threads.thread_file import TaskPart, ThreadContent, ThreadFile, read_file, seal
from antiphon.tools.catalog import Catalog, model_name
from antiphon.tools.execute import arguments_hash
from antiphon.tools.policy import ToolPolicy
from antiphon.tools.recurrence import BadRule, checked_rule, next_firing

log = structlog.stdlib.get_logger(__name__)


class ThreadFileStore(Protocol):
    """The rows of a whole thread, read and written at once."""

    async def read(self, thread: int, program: str) -> Mapping[str, Any]:
        """A thread as `ThreadContent`, from one consistent state. `NotFound`; `Conflict` while it is being worked on.

        `program` goes into the file's source."""
        ...

    async def write(self, file: ThreadFile, order: ImportOrder) -> ImportedThread:
        """Write everything in one transaction, or find what the same export became for this person before."""
        ...


class PausedTurns(Protocol):
    """What the brain knows of its own snapshots."""

    def portable(self, snapshot: Mapping[str, Any]) -> dict[str, Any]:
        """The snapshot without what belongs to this system: its prompt, its provider's details."""
        ...

    async def calls(self, snapshot: bytes) -> Mapping[str, tuple[str, Mapping[str, object]]]:
        """The calls a snapshot waits for: call id -> (tool as models spell it, arguments).

        Raises `InvalidInput` for one that cannot be read, or that holds more than what was said and called."""
        ...


class ThreadMover:
    """Exports and imports threads. Who may see a thread is checked by the caller."""

    def __init__(
        self,
        store: ThreadFileStore,
        turns: PausedTurns,
        catalog: Callable[[], Catalog],
        policy: ToolPolicy,
        clock: Clock,
        redactor: Redactor,
        *,
        file_bytes: int,
        expire_minutes: float,
    ) -> None:
        self._store = store
        self._turns = turns
        self._catalog = catalog
        self._policy = policy
        self._clock = clock
        self._redactor = redactor
        self._file_bytes = file_bytes
        self._expire = timedelta(minutes=expire_minutes)

    async def export(self, thread: int) -> dict[str, Any]:
        """The document of a new file. Secrets are taken out. Raises `NotFound` or `Conflict`."""
        content = await self._store.read(thread, f"antiphon {antiphon.__version__}")
        document = await asyncio.to_thread(self._document, content)
        log.info("thread.exported", thread=thread, messages=len(document["messages"]))
        return document

    def _document(self, content: Mapping[str, Any]) -> dict[str, Any]:
        clean = ThreadContent.model_validate_json(json.dumps(self._redactor.mapping(self._portable(content))))
        for task in clean.tasks:
            for approval in task.pause.approvals if task.pause else ():
                if arguments_hash(approval.arguments) != approval.arguments_hash:
                    raise Conflict(
                        f"A call that waits for an approval holds a secret ({approval.tool}), and a secret is never "
                        "exported. Answer the approval first."
                    )
        return seal(clean, uuid.uuid4().hex, self._clock.now())

    def _portable(self, content: Mapping[str, Any]) -> dict[str, Any]:
        tasks = [
            {**task, "pause": {**task["pause"], "snapshot": self._turns.portable(task["pause"]["snapshot"])}}
            if task["pause"]
            else task
            for task in content["tasks"]
        ]
        return {**content, "tasks": tasks}

    async def import_file(self, raw: bytes, person: int) -> ImportedThread:
        """Take a file in for `person`. All of it or nothing; the same export again gives the same thread.

        Raises `TooLarge`, `MalformedInput` or `InvalidInput` with the place of each mistake.
        """
        file = await asyncio.to_thread(read_file, raw, limit=self._file_bytes)
        rules: dict[tuple[str, str], ApproverRule] = {}
        titles: dict[tuple[str, str], str] = {}
        snapshots: dict[str, bytes] = {}
        for number, task in enumerate(file.tasks):
            if task.pause is not None:
                snapshots[task.ref] = json.dumps(task.pause.snapshot).encode()
                await self._check_pause(f"tasks[{number}].pause", task, snapshots[task.ref], rules, titles)
        order = ImportOrder(
            export=file.id,
            person=person,
            channel=f"web:moved-{uuid.uuid4().hex[:20]}",
            rules=rules,
            titles=titles,
            snapshots=snapshots,
            due=tuple(self._due(file)),
            expires_at=self._clock.now() + self._expire,
            source={
                "program": file.source.program,
                "channel": file.source.channel,
                "thread": file.source.thread,
                "exported_at": file.exported_at.isoformat(),
                "sha256": file.sha256,
            },
        )
        imported = await self._store.write(file, order)
        log.info("thread.imported", thread=imported.thread, created=imported.created, export=file.id)
        return imported

    async def _check_pause(
        self,
        place: str,
        task: TaskPart,
        snapshot: bytes,
        rules: dict[tuple[str, str], ApproverRule],
        titles: dict[tuple[str, str], str],
    ) -> None:
        """Every waiting call is a tool of this system, with arguments that fit it, exactly as the snapshot has it.

        What an approver reads comes from the tool: the words in the file could describe something harmless.
        """
        pause = task.pause
        if pause is None:
            return
        try:
            waiting = dict(await self._turns.calls(snapshot))
        except InvalidInput as error:
            raise _wrong(f"{place}.snapshot", error.message) from error
        for number, approval in enumerate(pause.approvals):
            at = f"{place}.approvals[{number}]"
            tool = self._catalog().find(approval.tool)
            if tool is None or tool.spec.name != approval.tool:
                raise _wrong(f"{at}.tool", "there is no such tool here")
            call = waiting.pop(approval.call_id, None)
            if call is None or call[0] != model_name(approval.tool):
                raise _wrong(f"{at}.call_id", "the snapshot waits for no such call")
            try:
                parsed = tool.arguments.model_validate(dict(approval.arguments))
                arguments = parsed.model_dump(mode="json")
                called = tool.arguments.model_validate(dict(call[1])).model_dump(mode="json")
            except ValidationError:
                raise _wrong(f"{at}.arguments", "these are not arguments of this tool") from None
            if arguments != called:
                raise _wrong(f"{at}.arguments", "the snapshot has other arguments")
            if arguments_hash(arguments) != approval.arguments_hash:
                raise _wrong(f"{at}.arguments_hash", "does not fit the arguments")
            titles[task.ref, approval.call_id] = tool.title(parsed)
            rules[task.ref, approval.call_id] = self._policy.approver(tool.spec) or ApproverRule()
        if waiting:
            raise _wrong(f"{place}.approvals", "the snapshot waits for more calls than are asked about")

    def _due(self, file: ThreadFile) -> list[datetime]:
        """When each entry comes next. Rules are counted here, so that a file cannot hold an impossible one."""
        found: list[datetime] = []
        for number, entry in enumerate(file.schedule):
            at = f"schedule[{number}]"
            found.append(entry.due_at)
            if not entry.rule:
                if entry.rule_start or entry.rule_zone:
                    raise _wrong(at, "rule_start and rule_zone belong to a rule")
                continue
            try:
                start = datetime.fromisoformat(entry.rule_start)
                if start.tzinfo is not None or not 1970 <= start.year <= 2199:
                    raise ValueError("not a local time that can be counted with")
            except ValueError:
                raise _wrong(
                    f"{at}.rule_start", "must be a local time such as 2030-01-31T09:00:00, from 1970 to 2199"
                ) from None
            try:
                ZoneInfo(entry.rule_zone)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise _wrong(f"{at}.rule_zone", "is no time zone that is known here") from None
            try:
                rule = checked_rule(entry.rule)
                following = next_firing(Recurrence(rule, start, entry.rule_zone), entry.due_at - timedelta(seconds=1))
            except BadRule as error:
                raise _wrong(f"{at}.rule", str(error)) from None
            if following is None or rule != entry.rule:
                raise _wrong(f"{at}.rule", "never comes true" if following is None else f"is spelled {rule}")
        return found


def _wrong(place: str, problem: str) -> InvalidInput:
    return InvalidInput(f"The file is refused, nothing was imported: {place}: {problem}.", fields={place: problem})
