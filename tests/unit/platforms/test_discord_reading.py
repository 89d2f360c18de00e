"""What a Discord message says and whether it is for the agent; who may do what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from antiphon.platforms.discord import permissions
from antiphon.platforms.discord.commands import Answer, Option, Spec, values_of
from antiphon.platforms.discord.reading import (
    Manners,
    Myself,
    Place,
    attachments_of,
    clean,
    command_in,
    edit_number,
    heard,
    may_speak,
    text_of,
)

ME = Myself("100", ("Antiphon",), role="555")
ROOM = Place("1", "9", "Choir", "general", parents=("7",))


def message(content: str, **more: Any) -> dict[str, Any]:
    return {"id": str(1 << 60), "channel_id": "1", "type": 0, "content": content, "author": {"id": "5"}, **more}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("!help me", "help me"),
        ("!  spaced", "spaced"),
        ("!", None),
        ("!!", None),
        ("!?", None),
        ("<@100> hi", "hi"),
        ("<@!100>, hi", "hi"),
        ("<@&555> hi", "hi"),
        ("hi <@100>", "hi"),
        ("<@100> !help", "help"),
        ("antiphon: hi", "hi"),
        ("ANTIPHON hi", "hi"),
        ("a\u200bnti\u2060phon hi", "hi"),
        ("\uff21\uff4e\uff54\uff49\uff50\uff48\uff4f\uff4e hi", "hi"),
        ("antiphonal song", None),
        ("hello there", None),
        ("<@101> hi", None),
        ("\u202e!pleh", "pleh"),
    ],
)
def test_how_the_agent_is_addressed(content: str, said: str | None) -> None:
    found = heard(message(content), ME, ROOM, Manners())
    assert (found.text if found else None) == said


def test_places_in_which_everything_is_for_it() -> None:
    assert heard(message("hi"), ME, Place("1"), Manners()) is not None, "direct"
    assert heard(message("hi"), ME, ROOM, Manners(channels=frozenset({"7"}))) is not None, "in a category"
    assert heard(message("hi"), ME, Place("2", "9", thread=True, own_thread=True), Manners()) is not None
    reply = message("hi", type=19, referenced_message={"author": {"id": "100"}})
    assert heard(reply, ME, ROOM, Manners()) is not None
    assert heard(message("dex hi"), ME, ROOM, Manners(prefix="dex")) is not None
    assert heard(message("dexterity"), ME, ROOM, Manners(prefix="dex")) is None


def test_who_is_listened_to() -> None:
    assert may_speak(message("hi"), ME, Manners())
    assert not may_speak(message("hi", author={"id": "100"}), ME, Manners(allowed_bots=frozenset({"100"})))
    bot = message("hi", author={"id": "6", "bot": True})
    assert not may_speak(bot, ME, Manners())
    assert may_speak(bot, ME, Manners(allowed_bots=frozenset({"6"})))
    assert not may_speak(message("hi", webhook_id="8"), ME, Manners())
    assert not may_speak(message("joined", type=7), ME, Manners())


def test_what_misleads_is_taken_out_and_letters_stay() -> None:
    assert clean("a\u202eb\u2066c\u200bd\ufeffe\x00") == "abcde"
    assert clean("ignore\U000e0069\U000e0067") == "ignore"
    england = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
    family, persian = "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    for text in (england, family, persian, "naïve\n\tline"):
        assert clean(text) == text


def test_ids_become_names_and_what_is_no_text_becomes_words() -> None:
    shown = message(
        "",
        mentions=[{"id": "5", "username": "ada", "global_name": "Ada"}],
        sticker_items=[{"name": "Wave"}],
        poll={"question": {"text": "Lunch?"}, "answers": [{"poll_media": {"text": "pizza"}}]},
        message_snapshots=[{"message": {"content": "line 1\nline 2"}}],
    )
    names = {("role", "3"): "altos", ("channel", "4"): "stage"}
    text = text_of("<@5> <@!6> <@&3> <#4> <:note:12>", shown, ME, lambda kind, id: names.get((kind, id), ""))
    assert text.splitlines() == [
        *("@Ada @somebody @altos #stage :note:", ""),
        *("[forwarded message]", "> line 1", "> line 2", ""),
        *("[sticker: Wave]", "", "[poll: Lunch? (pizza)]"),
    ]


def test_files_are_read_carefully() -> None:
    [voice, odd] = attachments_of(
        message(
            "",
            flags=0,
            attachments=[
                {"filename": "../voice.ogg", "size": 5, "url": "u", "content_type": "audio/ogg", "waveform": "AA=="},
                {"filename": "x", "size": -1, "content_type": "no type; at all"},
            ],
        )
    )
    assert (voice.name, voice.media_type) == ("voice.ogg", "audio/ogg")
    assert (odd.size, odd.media_type) == (0, "application/octet-stream")


def test_edits_have_growing_numbers() -> None:
    first = edit_number({"id": "175928847299117063", "edited_timestamp": "2016-04-30T11:18:30.000000+00:00"})
    second = edit_number({"id": "175928847299117063", "edited_timestamp": "2016-04-30T11:18:31.000000+00:00"})
    assert 0 < first < second
    assert edit_number({"id": "1", "edited_timestamp": None}) == edit_number({"id": "1", "edited_timestamp": "x"}) == 0


def test_commands_and_their_values() -> None:
    async def run(_: object) -> Answer:
        return Answer("")

    spec = Spec("approve", "", run, (Option("id", ""), Option("answer", "", choices=("yes", "no"))))
    names = ("approve", "forget-me")
    assert command_in("approve 12 no", names) == ("approve", "12 no")
    assert command_in("FORGET_ME", names) == ("forget-me", "")
    assert command_in("a\u200bpprove\n12", names) == ("approve", "12")
    assert command_in("approved", names) is None
    assert values_of(spec, "12 no") == {"id": "12", "answer": "no"}
    assert values_of(spec, "") == {}


GUILD = {
    "id": "9",
    "owner_id": "1",
    "roles": [
        {"id": "9", "permissions": str(1 << 10 | 1 << 11), "position": 0},
        {"id": "20", "permissions": str(1 << 2), "position": 2},
        {"id": "30", "permissions": str(1 << 3), "position": 3},
    ],
}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def member(user: str, *roles: str, **more: Any) -> dict[str, Any]:
    return {"user": {"id": user}, "roles": list(roles), **more}


def test_permissions_follow_roles_channels_and_timeouts() -> None:
    plain, moderator, boss = member("5"), member("6", "20"), member("7", "30")
    channel = {
        "permission_overwrites": [
            {"id": "9", "deny": str(1 << 11), "allow": "0"},
            {"id": "20", "allow": str(1 << 11), "deny": "0"},
            {"id": "5", "allow": str(1 << 13), "deny": "0"},
        ]
    }
    ban, send, manage = (permissions.PERMISSIONS[name] for name in ("ban_members", "send_messages", "manage_messages"))
    assert not permissions.of_member(GUILD, plain, NOW) & ban
    assert permissions.of_member(GUILD, moderator, NOW) & ban
    assert permissions.of_member(GUILD, boss, NOW) == permissions.ALL
    assert permissions.of_member(GUILD, member("1"), NOW) == permissions.ALL
    assert not permissions.in_channel(GUILD, plain, channel, NOW) & send
    assert permissions.in_channel(GUILD, plain, channel, NOW) & manage
    assert permissions.in_channel(GUILD, moderator, channel, NOW) & send
    until = (NOW + timedelta(minutes=5)).isoformat()
    silenced = member("6", "20", communication_disabled_until=until)
    assert not permissions.of_member(GUILD, silenced, NOW) & ban
    assert permissions.of_member(GUILD, silenced, NOW + timedelta(minutes=6)) & ban
    hidden = {"permission_overwrites": [{"id": "9", "deny": str(1 << 10), "allow": "0"}]}
    assert permissions.in_channel(GUILD, plain, hidden, NOW) == 0


def test_only_who_stands_above_may_act() -> None:
    plain, moderator, boss, owner = member("5"), member("6", "20"), member("7", "30"), member("1")
    assert permissions.outranks(GUILD, moderator, plain)
    assert permissions.outranks(GUILD, boss, moderator)
    assert permissions.outranks(GUILD, owner, boss)
    assert not permissions.outranks(GUILD, moderator, member("8", "20"))
    assert not permissions.outranks(GUILD, boss, owner)
    assert not permissions.outranks(GUILD, owner, owner)
    assert permissions.above_role(GUILD, boss, "20")
    assert not permissions.above_role(GUILD, moderator, "20")
    assert not permissions.above_role(GUILD, moderator, "404")
