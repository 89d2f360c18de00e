"""Polls in messages.

Source: docs, Poll, "Poll Create Request Object" (question 300, answers of 55, up to 10, up to 32 days), "Get Answer
Voters", "End Poll"; Gateway Events, "Message Poll Vote Add".
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from antiphon.sim.discord.clock import iso
from antiphon.sim.discord.errors import Form, refused
from antiphon.sim.discord.world.dispatch import Dispatch
from antiphon.sim.discord.world.messages import Message
from antiphon.sim.discord.world.users import User
from antiphon.sim.discord.world.world import World


def check_poll(world: World, form: Form, value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        form.add("poll", "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
        return None
    question = value.get("question") if isinstance(value.get("question"), dict) else {}
    form.text("poll.question.text", (question or {}).get("text"), least=1, most=300, none=False)
    answers = form.items("poll.answers", value.get("answers"), most=10)
    if not answers:
        form.add("poll.answers", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 10 in length.")
    shown: list[dict[str, Any]] = []
    for index, answer in enumerate(answers):
        media = answer.get("poll_media", {}) if isinstance(answer, dict) else {}
        form.text(f"poll.answers.{index}.poll_media.text", media.get("text"), least=1, most=55, none=False)
        shown.append({"answer_id": index + 1, "poll_media": media})
    hours = form.number("poll.duration", value.get("duration", 24), least=1, most=768) or 24
    return {
        "question": question,
        "answers": shown,
        "expiry": iso(world.clock.datetime() + timedelta(hours=hours)),
        "allow_multiselect": bool(value.get("allow_multiselect", False)),
        "layout_type": value.get("layout_type", 1),
    }


def vote(world: World, user: User, message: Message, answer: int, *, add: bool = True) -> None:
    """A user's click on an answer. Only people vote: applications cannot."""
    if message.poll is None or message.poll.get("_finished"):
        raise refused(400, 520001, "Poll expired")
    if answer not in {one["answer_id"] for one in message.poll["answers"]}:
        raise refused(404, 0, "404: Not Found")
    if add and not message.poll["allow_multiselect"]:
        for other in [one for one, voters in message.votes.items() if user.id in voters and one != answer]:
            vote(world, user, message, other, add=False)
    voters = message.votes.setdefault(answer, {})
    if (user.id in voters) == add:
        return
    if add:
        voters[user.id] = user
    else:
        del voters[user.id]
    data: dict[str, Any] = {
        "user_id": str(user.id),
        "channel_id": str(message.channel.id),
        "message_id": str(message.id),
        "answer_id": answer,
    }
    if message.channel.guild:
        data["guild_id"] = str(message.channel.guild.id)
    world.tell(f"MESSAGE_POLL_VOTE_{'ADD' if add else 'REMOVE'}", data, channel=message.channel)


def expire(world: World, user: User, message: Message) -> Message:
    if message.poll is None:
        raise refused(400, 520006, "Cannot expire a non-poll message")
    if message.author is not user:
        raise refused(403, 50005, "Cannot expire a poll authored by another user")
    message.poll["expiry"] = world.clock.iso()
    finish(world, message)
    return message


def finish(world: World, message: Message) -> None:
    """Close a poll: nobody votes any more, the results are final."""
    if message.poll is None:
        return
    message.poll["_finished"] = True
    channel = message.channel
    users = frozenset(channel.recipients) if channel.guild is None else None
    world.announce(Dispatch("MESSAGE_UPDATE", message.event_payload(), channel.guild, channel, users, message))
