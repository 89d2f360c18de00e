"""What a message on Discord says, and whether it is for the agent. Pure: no request, no database, no library.

Messages are read as Discord writes them (JSON objects), the same whether they came over the gateway or from the
history. Names in them are labels; ids decide.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from antiphon.domain.attachments import safe_name
from antiphon.domain.conversation import Attachment
from antiphon.domain.identity import Sender
from antiphon.platforms.discord.ids import time_of

Json = dict[str, Any]

_SAID = (0, 19)
"""Kinds of messages in which people say something: an ordinary one, and a reply."""
_VOICE_MESSAGE = 1 << 13
_INVISIBLE = re.compile(
    "[\u0000\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]"
)
"""What takes no room and is no letter, or turns the direction of what stands around it: it can only mislead."""
_TAGS = re.compile("(?<!\U0001f3f4)(?<![\U000e0020-\U000e007f])[\U000e0000-\U000e007f]+")
"""Invisible letters, with which text is smuggled past people; flags of regions are written with them."""
_JOINERS = re.compile("[\u200c\u200d\ufe0e\ufe0f]")
_MENTION = re.compile(r"<@!?(\d{1,20})>")
_ROLE = re.compile(r"<@&(\d{1,20})>")
_CHANNEL = re.compile(r"<#(\d{1,20})>")
_EMOJI = re.compile(r"<a?(:\w{1,32}:)\d{1,20}>")
_FORWARDED_CHARS = 2000


@dataclass(frozen=True, slots=True)
class Myself:
    """The bot as it may be called: its account, its names, and the role that came with it in this server."""

    id: str
    names: tuple[str, ...] = ()
    role: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message stands. `parents` are the ids of what it is in: a thread's channel, that one's category."""

    id: str
    server: str = ""
    server_name: str = ""
    name: str = ""
    parents: tuple[str, ...] = ()
    thread: bool = False
    own_thread: bool = False
    """Whether the bot opened the thread."""


@dataclass(frozen=True, slots=True)
class Manners:
    """What counts as talking to the agent in a place: the settings of its server over those of the installation."""

    prefix: str = "!"
    names: tuple[str, ...] = ()
    channels: frozenset[str] = frozenset()
    allowed_bots: frozenset[str] = frozenset()
    threads: bool = False


class How(StrEnum):
    """By what a message is for the agent."""

    DIRECT = "direct"
    MENTION = "mention"
    REPLY = "reply"
    CHANNEL = "channel"
    THREAD = "thread"
    PREFIX = "prefix"
    NAME = "name"
    SLASH = "slash"


@dataclass(frozen=True, slots=True)
class Heard:
    """A message for the agent: what it says to it."""

    how: How
    text: str


_ASKS = "** asks:\n"
_COMMAND_REPLY = 20
QUESTION_CHARS = 1800
"""The longest question of a slash command, which everybody is shown in one message."""

Names = Callable[[str, str], str]
"""Gives the name of a `role` or `channel` by its id, "" when it is unknown."""


def clean(text: str) -> str:
    """The text without what is invisible and only misleads. Letters, emoji and line ends stay as they are."""
    return _TAGS.sub("", _INVISIBLE.sub("", text.encode("utf-8", "replace").decode()))


def folded(text: str) -> str:
    """For comparing words: without joiners, wide or fancy letters as plain ones, small."""
    return unicodedata.normalize("NFKC", _JOINERS.sub("", clean(text))).casefold()


def sender_of(message: Json) -> Sender:
    """Who wrote it, with the name shown there."""
    author = message["author"]
    member = message.get("member") or {}
    name = member.get("nick") or author.get("global_name") or author.get("username") or ""
    return Sender(str(author["id"]), clean(str(name))[:100], bool(author.get("bot")) or "webhook_id" in message)


def may_speak(message: Json, me: Myself, manners: Manners) -> bool:
    """Whether the author is listened to at all: people are, we ourselves never, other bots when they are allowed."""
    author = message["author"]
    if str(author["id"]) == me.id or message.get("type", 0) not in _SAID:
        return False
    if author.get("bot") or message.get("webhook_id"):
        return bool({str(author["id"]), str(message.get("webhook_id") or "")} & manners.allowed_bots)
    return True


def heard(message: Json, me: Myself, place: Place, manners: Manners) -> Heard | None:
    """What a message says to the agent, None when it is not for it. Says nothing about who may speak."""
    content = clean(str(message.get("content") or "")).strip()
    if (rest := _after_prefix(content, manners.prefix)) is not None:
        return Heard(How.PREFIX, rest)
    mentioned = any(str(user.get("id")) == me.id for user in message.get("mentions") or ())
    if me.role and me.role in (str(role) for role in message.get("mention_roles") or ()):
        mentioned = True
    rest = _without_own_mention(content, me)
    if rest != content:
        # A command may stand after the mention as well as after the prefix.
        return Heard(How.MENTION, _after_prefix(rest, manners.prefix) or rest)
    if (named := _after_name(content, (*manners.names, *me.names))) is not None:
        return Heard(How.NAME, named)
    if not place.server:
        return Heard(How.DIRECT, content)
    if str(((message.get("referenced_message") or {}).get("author") or {}).get("id", "")) == me.id:
        return Heard(How.REPLY, content)
    if mentioned:
        return Heard(How.MENTION, content)
    if manners.channels & {place.id, *place.parents}:
        return Heard(How.CHANNEL, content)
    if place.own_thread:
        return Heard(How.THREAD, content)
    return None


def question(name: str, text: str) -> str:
    """What a slash command asked, as everybody is shown it in the answer to the command; `asked` reads it again."""
    name = "".join(char for char in clean(name) if char not in "*`\n") or "Somebody"
    lines = text[:QUESTION_CHARS].split("\n")
    if len(lines) > 20:
        lines = [" ".join(lines)]
    return f"**{name[:100]}{_ASKS}" + "\n".join(f"> {line}" for line in lines)


def asked(message: Json, me: Myself) -> tuple[Json, Heard] | None:
    """The question that a message of ours shows, as if its asker had written it; None for every other message.

    Who asked is told by Discord, beside the text: nobody else can make us say this in their name.
    """
    user = (message.get("interaction_metadata") or {}).get("user")
    if message.get("type") != _COMMAND_REPLY or str(message["author"]["id"]) != me.id or not user:
        return None
    name, asks, quoted = str(message.get("content") or "").partition(_ASKS)
    if not asks or not name.startswith("**"):
        return None
    text = clean("\n".join(line.removeprefix(">").removeprefix(" ") for line in quoted.split("\n"))).strip()
    said = {key: value for key, value in message.items() if key not in ("webhook_id", "member")}
    return {**said, "author": user, "type": 0}, Heard(How.SLASH, text)


def text_of(said: str, message: Json, me: Myself, names: Names, *, title: str = "") -> str:
    """What the agent reads: names instead of ids, and in words what is no text (stickers, polls, what is forwarded)."""
    people = {
        str(user["id"]): sender_of({"author": user, "member": user.get("member")}).name
        for user in message.get("mentions") or ()
    }
    people.setdefault(me.id, me.names[0] if me.names else "you")
    parts = [_named(said, people, names)]
    if title:
        parts.insert(0, clean(title))
    for snapshot in message.get("message_snapshots") or ():
        forwarded = clean(str((snapshot.get("message") or {}).get("content") or ""))[:_FORWARDED_CHARS]
        if forwarded:
            parts.append("[forwarded message]\n" + "\n".join(f"> {line}" for line in forwarded.splitlines()))
    for sticker in message.get("sticker_items") or ():
        parts.append(f"[sticker: {clean(str(sticker.get('name', '')))[:60]}]")
    if poll := message.get("poll"):
        answers = ", ".join(
            clean(str((answer.get("poll_media") or {}).get("text", ""))) for answer in poll.get("answers") or ()
        )
        question = clean(str((poll.get("question") or {}).get("text", "")))
        parts.append(f"[poll: {question} ({answers})]")
    return "\n\n".join(part for part in parts if part.strip())


def attachments_of(message: Json) -> tuple[Attachment, ...]:
    """The files that came with it, and those of what is forwarded. A voice message is sound, whatever it says."""
    voice = bool(int(message.get("flags") or 0) & _VOICE_MESSAGE)
    files: list[Json] = list(message.get("attachments") or ())
    for snapshot in message.get("message_snapshots") or ():
        files += (snapshot.get("message") or {}).get("attachments") or ()
    return tuple(
        Attachment(
            name=safe_name(str(file.get("filename") or "file")),
            media_type=_media_type(file, voice),
            size=max(0, int(file.get("size") or 0)),
            url=str(file.get("url") or ""),
        )
        for file in files[:10]
    )


def reference_of(message: Json) -> str:
    """The id of the message it replies to, "" when it is no reply."""
    if message.get("type", 0) != 19:
        return ""
    return str((message.get("message_reference") or {}).get("message_id") or "")


def said_at(message: Json) -> datetime:
    """When it was written: its id says so."""
    return time_of(str(message["id"]))


def edited_at(message: Json) -> datetime | None:
    """When it was last edited; None when it never was."""
    stamp = message.get("edited_timestamp")
    if not stamp:
        return None
    try:
        edited = datetime.fromisoformat(str(stamp))
    except ValueError:
        return None
    return edited if edited.tzinfo is not None else edited.replace(tzinfo=UTC)


def edit_number(message: Json) -> int:
    """A number that grows with each edit of a message, 0 for one that was never edited: tenths of seconds since."""
    edited = edited_at(message)
    if edited is None:
        return 0
    return max(1, int((edited - said_at(message)).total_seconds() * 10)) % 2_000_000_000


def command_in(text: str, commands: Sequence[str]) -> tuple[str, str] | None:
    """The command a text begins with and what follows it; None when it begins with none."""
    word, _, rest = text.strip().partition(" ")
    word, newline, more = word.partition("\n")
    name = folded(word).replace("_", "-")
    if name not in commands:
        return None
    return name, f"{more}{' ' if newline and rest else ''}{rest}".strip()


def _after_prefix(content: str, prefix: str) -> str | None:
    if not prefix:
        return None
    size, wanted = len(prefix), folded(prefix)
    if folded(content[:size]) != wanted:
        return None
    rest = content[size:]
    if prefix[-1].isalnum():
        # A word as prefix: only as a word.
        return rest.lstrip(" ,:") if rest[:1] in (" ", ",", ":", "\n") and rest.strip(" ,:\n") else None
    rest = rest.lstrip()
    return rest if rest[:1].isalnum() or rest[:1] in ('"', "'", "<") else None


def _without_own_mention(content: str, me: Myself) -> str:
    """The text after a mention of the bot (or of its role) at its beginning, or before one at its end."""
    mine = {f"<@{me.id}>", f"<@!{me.id}>"} | ({f"<@&{me.role}>"} if me.role else set())
    for mention in mine:
        if content.startswith(mention):
            return content.removeprefix(mention).lstrip(" ,:\n")
    for mention in mine:
        if content.endswith(mention):
            return content.removesuffix(mention).rstrip(" ,\n")
    return content


def _after_name(content: str, names: Sequence[str]) -> str | None:
    for name in names:
        size = len(name)
        if size < 2 or folded(content[:size]) != folded(name):
            continue
        rest = content[size:]
        if not rest or rest[0] in " ,:!?.\n":
            return rest.lstrip(" ,:!.\n") or content
    return None


def _named(text: str, people: dict[str, str], names: Names) -> str:
    text = _MENTION.sub(lambda m: f"@{people.get(m[1], 'somebody')}", text)
    text = _ROLE.sub(lambda m: f"@{names('role', m[1]) or 'a role'}", text)
    text = _CHANNEL.sub(lambda m: f"#{names('channel', m[1]) or 'a-channel'}", text)
    return _EMOJI.sub(r"\1", text).strip()


def _media_type(file: Json, voice: bool) -> str:
    told = str(file.get("content_type") or "").partition(";")[0].strip().lower()
    if voice or "waveform" in file:
        return told if told.startswith("audio/") else "audio/ogg"
    return told if re.fullmatch(r"[a-z]+/[a-z0-9.+-]{1,80}", told) else "application/octet-stream"
