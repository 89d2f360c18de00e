"""The file that holds one thread: what stands in it, how it is written, and how a file from outside is read.

`docs/thread-file.md` and its JSON Schema describe the format; the schema is made from these classes. Whoever changes
them so that older readers would misunderstand a file raises `VERSION`. A file is material from outside: everything in
it is checked here, with the exact place of a mistake, before a row is written (`threads.moving`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from antiphon.domain.errors import InvalidInput, MalformedInput, TooLarge

FORMAT = "antiphon.thread"
VERSION = 1
_MOST_PROBLEMS = 20
_REF = r"^[a-z]{1,3}[0-9]{1,9}$"


def _storable(value: str) -> str:
    """Text that every database and platform can hold."""
    if "\x00" in value:
        raise ValueError("holds a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"holds half of a surrogate pair at character {error.start}") from None
    return value


def _countable(value: datetime) -> datetime:
    """A moment that can be counted with on any clock: the ends of the calendar run over in other zones."""
    if not 1970 <= value.year <= 2199:
        raise ValueError("must lie between 1970 and 2199")
    return value


Text = Annotated[str, Field(max_length=1_000_000), AfterValidator(_storable)]
Line = Annotated[str, Field(max_length=255), AfterValidator(_storable)]
Ref = Annotated[str, Field(pattern=_REF)]
Instant = Annotated[
    AwareDatetime,
    Field(description="ISO 8601 with an offset or Z, from 1970 to 2199."),
    AfterValidator(_countable),
]


class _Part(BaseModel):
    """Base of all parts: a field that is not known is refused, and no value is taken for another kind of value."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Part):
    """Where the file came from. For people; nothing depends on it."""

    program: Line = Field(description="Name and version of what wrote the file.")
    channel: Line = Field(description="Channel key there.")
    thread: Line = Field(description="Thread number there.")


class PersonPart(_Part):
    """Somebody who took part. Names are labels: no right follows from them."""

    ref: Ref
    name: Line
    you: bool = Field(description="The person whose thread it is; becomes the person who imports.")


class AttachmentPart(_Part):
    """What is known of a file that came with a message. Its bytes are not in the file."""

    name: Line
    media_type: Annotated[Line, Field(max_length=100)]
    size: Annotated[int, Field(ge=0, le=2**50)] = Field(description="Bytes.")
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = Field(
        "", description="Of its bytes, where they were kept; to find them by hand, never followed."
    )


class MessagePart(_Part):
    """One message, in the order they were said."""

    ref: Ref
    author: Literal["person", "agent"]
    person: Ref | None = Field(None, description="Who said it; null for the agent.")
    name: Line = Field("", description="How the author was called then.")
    text: Text
    at: Instant
    reply_to: Ref | None = None
    answers: Ref | None = Field(None, description="The task in which the agent said it.")
    interrupted: bool = False
    attachments: Annotated[tuple[AttachmentPart, ...], Field(max_length=100)] = ()


class ApprovalPart(_Part):
    """A question that nobody has answered. It is asked again where the file is imported, of an approver there."""

    call_id: Line
    tool: Annotated[Line, Field(max_length=100)]
    arguments: dict[str, Any]
    arguments_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = Field(
        description="SHA-256 of the arguments as canonical JSON."
    )
    summary: Text


class PausePart(_Part):
    """Where a waiting task goes on."""

    snapshot: dict[str, Any] = Field(description="The paused turn, as the program that wrote the file keeps it.")
    text: Text = ""
    created_at: Instant
    approvals: Annotated[tuple[ApprovalPart, ...], Field(min_length=1, max_length=50)]


class TaskPart(_Part):
    """One unit of work. A waiting one has a pause; work that is under way is not exported."""

    ref: Ref
    message: Ref = Field(description="The message it answers; for a reminder, the agent's own.")
    person: Ref | None = None
    kind: Literal["message", "spoken", "scheduled"]
    state: Literal["done", "dead", "cancelled", "waiting"]
    error_code: Annotated[Line, Field(max_length=60)] = ""
    error_message: Text = ""
    created_at: Instant
    updated_at: Instant
    pause: PausePart | None = None


class SummaryPart(_Part):
    """What was said up to a message, in short."""

    upto: Ref = Field(description="The last message that is in it.")
    text: Text
    author: Annotated[Line, Field(max_length=200)]


class MemoryPart(_Part):
    """A fact the person asked to remember, said in this channel or used in this thread."""

    text: Annotated[str, Field(max_length=10_000), AfterValidator(_storable)]
    created_at: Instant


class EntryPart(_Part):
    """A reminder or timer that is still to come."""

    kind: Literal["reminder", "timer"]
    text: Annotated[str, Field(max_length=10_000), AfterValidator(_storable)] = ""
    due_at: Instant
    created_at: Instant
    rule: Annotated[str, Field(max_length=200)] = Field("", description="RFC 5545 rule of one that repeats.")
    rule_start: Annotated[str, Field(max_length=19)] = Field("", description="Local time from which it is counted.")
    rule_zone: Annotated[str, Field(max_length=64)] = Field("", description="IANA name of the clock that counts.")


class ThreadPart(_Part):
    """The thread itself."""

    title: Annotated[Line, Field(max_length=200)] = ""
    opened_at: Instant
    last_at: Instant


class ThreadContent(_Part):
    """All of a thread that moves with it."""

    source: Source
    thread: ThreadPart
    people: Annotated[tuple[PersonPart, ...], Field(max_length=10_000)]
    messages: Annotated[tuple[MessagePart, ...], Field(min_length=1, max_length=100_000)]
    tasks: Annotated[tuple[TaskPart, ...], Field(max_length=100_000)]
    summary: SummaryPart | None = None
    memories: Annotated[tuple[MemoryPart, ...], Field(max_length=10_000)] = ()
    schedule: Annotated[tuple[EntryPart, ...], Field(max_length=200)] = ()


class ThreadFile(ThreadContent):
    """A thread as one file."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Antiphon thread file")

    format: Literal["antiphon.thread"]
    version: Literal[1]
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] = Field(
        description="Of this export. Importing it a second time changes nothing."
    )
    exported_at: Instant
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = Field(
        description="Of everything else, as JSON with sorted keys, no spaces and no escapes beyond what JSON needs."
    )


def schema_text() -> str:
    """The JSON Schema of the file, as `docs/reference/thread-file.schema.json` has it."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **ThreadFile.model_json_schema()}
    return json.dumps(schema, indent=2) + "\n"


def digest_of(document: Mapping[str, Any]) -> str:
    """The checksum of a file's document; its own field does not count."""
    rest = {name: value for name, value in document.items() if name != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def seal(content: ThreadContent, id: str, at: datetime) -> dict[str, Any]:
    """The document of a new file, ready to be written as JSON."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "id": id,
        "exported_at": at.isoformat(),
        **content.model_dump(mode="json"),
    }
    return {**document, "sha256": digest_of(document)}


def read_file(raw: bytes, *, limit: int) -> ThreadFile:
    """The file, completely checked. Raises `TooLarge`, `MalformedInput` or `InvalidInput` naming each wrong place."""
    if len(raw) > limit:
        raise TooLarge(f"The file has {len(raw)} bytes; at most {limit} are taken.")
    parsed = _parsed(raw)
    document = cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else {}
    if document.get("format") != FORMAT:
        raise InvalidInput("This is not the file of a thread.", fields={"format": f"must be {FORMAT!r}"})
    if document.get("version") != VERSION or isinstance(document.get("version"), bool):
        raise InvalidInput(
            f"The file has version {_shown(document.get('version'))}; this program reads version {VERSION}.",
            fields={"version": f"must be {VERSION}"},
        )
    try:
        file = ThreadFile.model_validate_json(raw, strict=True)
    except ValidationError as error:
        problems = {_place(item["loc"]): item["msg"] for item in error.errors(include_url=False, include_input=False)}
        raise _refused(problems) from None
    if digest_of(document) != file.sha256:
        raise InvalidInput(
            "The file was changed or damaged after it was written: its checksum does not fit.",
            fields={"sha256": "does not fit the content"},
        )
    problems = dict(_contradictions(file))
    if problems:
        raise _refused(problems)
    return file


def _parsed(raw: bytes) -> Any:
    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not a JSON number")

    def no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a name stands twice in one object")
        return found

    try:
        return json.loads(raw.decode("utf-8"), parse_constant=refuse, object_pairs_hook=no_repeats)
    except UnicodeDecodeError as error:
        raise MalformedInput(f"The file is not UTF-8: byte {error.start + 1}.") from None
    except json.JSONDecodeError as error:
        raise MalformedInput(f"The file is not JSON: {error.msg}, line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise MalformedInput("The file is nested too deeply.") from None
    except ValueError as error:
        raise MalformedInput(f"The file is not JSON: {error}.") from None


def _contradictions(file: ThreadFile) -> Iterator[tuple[str, str]]:
    """Whatever fits the schema and cannot be: names that stand twice, references that lead nowhere."""
    yield from _twice("people", [person.ref for person in file.people])
    yield from _twice("messages", [message.ref for message in file.messages])
    yield from _twice("tasks", [task.ref for task in file.tasks])
    people = {person.ref for person in file.people}
    if sum(person.you for person in file.people) > 1:
        yield "people", "more than one is you"
    messages = {message.ref: number for number, message in enumerate(file.messages)}
    tasks = {task.ref for task in file.tasks}
    for number, message in enumerate(file.messages):
        at = f"messages[{number}]"
        if (message.author == "agent") != (message.person is None):
            yield f"{at}.person", "a person's message names them, the agent's names nobody"
        yield from _missing(f"{at}.person", message.person, people)
        yield from _missing(f"{at}.answers", message.answers, tasks)
        if message.answers is not None and message.author == "person":
            yield f"{at}.answers", "only the agent answers"
        if message.reply_to is not None and messages.get(message.reply_to, number) >= number:
            yield f"{at}.reply_to", f"there is no earlier message {message.reply_to}"
    taken: set[str] = set()
    for number, task in enumerate(file.tasks):
        at = f"tasks[{number}]"
        yield from _missing(f"{at}.message", task.message, messages.keys())
        yield from _missing(f"{at}.person", task.person, people)
        if task.message in taken:
            yield f"{at}.message", "another task has this message"
        taken.add(task.message)
        if (task.state == "waiting") != (task.pause is not None):
            yield f"{at}.pause", "a waiting task has one, no other"
        if task.pause is not None:
            yield from _twice(f"{at}.pause.approvals", [approval.call_id for approval in task.pause.approvals])
    if file.summary is not None:
        yield from _missing("summary.upto", file.summary.upto, messages.keys())


def _twice(place: str, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for number, name in enumerate(names):
        if name in seen:
            yield f"{place}[{number}]", f"{name} stands there twice"
        seen.add(name)


def _missing(place: str, ref: str | None, known: Any) -> Iterator[tuple[str, str]]:
    if ref is not None and ref not in known:
        yield place, f"there is no {ref}"


def _refused(problems: Mapping[str, str]) -> InvalidInput:
    shown = dict(list(problems.items())[:_MOST_PROBLEMS])
    first, words = next(iter(shown.items()))
    more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
    return InvalidInput(f"The file is refused, nothing was imported: {first}: {words}{more}.", fields=shown)


def _place(location: tuple[int | str, ...]) -> str:
    """`messages[3].author`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{_shown(step)}" for step in location)
    return text.removeprefix(".") or "file"


def _shown(value: object) -> str:
    return re.sub(r"[^ -~]", "?", str(value))[:60]
