"""Sending, editing, deleting, pinning and reacting.

Source: docs, Message ("Create Message", "Edit Message", "Delete Message", "Bulk Delete Messages", "Create Reaction",
"Pin Message"); Channel, "Trigger Typing Indicator"; Opcodes and Status Codes for each refusal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from antiphon.sim.discord.errors import Form, Refused, missing_access, missing_permissions, refused
from antiphon.sim.discord.permissions import P
from antiphon.sim.discord.rules import audit
from antiphon.sim.discord.rules.components import check_components
from antiphon.sim.discord.rules.embeds import check_embeds, is_empty
from antiphon.sim.discord.rules.mentions import Allowed, check_allowed, mentioned
from antiphon.sim.discord.rules.need import need
from antiphon.sim.discord.rules.polls import check_poll
from antiphon.sim.discord.rules.thread_members import add_member, set_archived
from antiphon.sim.discord.rules.uploads import Upload, link_files, take_in
from antiphon.sim.discord.snowflakes import created_at
from antiphon.sim.discord.world.channels import FORUM, MEDIA, TALKABLE, Channel
from antiphon.sim.discord.world.dispatch import Dispatch
from antiphon.sim.discord.world.messages import (
    COMPONENTS_V2,
    EPHEMERAL,
    LOADING,
    PIN_NOTICE,
    REPLY,
    SILENT,
    SUPPRESS_EMBEDS,
    VOICE_MESSAGE,
    Message,
)
from antiphon.sim.discord.world.users import User
from antiphon.sim.discord.world.world import World

CONTENT = 2000
_SETTABLE = SUPPRESS_EMBEDS | SILENT | VOICE_MESSAGE | COMPONENTS_V2
_DELETABLE_DAYS = 14


@dataclass(slots=True)
class Draft:
    """A message whose form has been found right."""

    content: str
    embeds: list[dict[str, Any]]
    components: list[dict[str, Any]]
    poll: dict[str, Any] | None
    allowed: Allowed
    flags: int
    stickers: list[dict[str, Any]]


def send(world: World, actor: User, channel: Channel, body: dict[str, Any], uploads: list[Upload]) -> Message:
    """A message by a bot or a played user, under their permissions. Returns the earlier one for an enforced nonce."""
    nonce = body.get("nonce")
    if repeated := _same_nonce(world, actor, channel, nonce, bool(body.get("enforce_nonce"))):
        return repeated
    may_speak(world, actor, channel, body, uploads)
    form = Form()
    draft = check_message(world, form, body, uploads)
    if isinstance(nonce, bool) or not isinstance(nonce, str | int | None):
        form.add("nonce", "NONCE_TYPE_INVALID", "A nonce is an integer or a string.")
    elif isinstance(nonce, str) and len(nonce) > 25:
        form.add("nonce", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    reference, referenced = _reference(world, actor, channel, body.get("message_reference"), form)
    form.check()
    forwarding = reference is not None and reference.get("type") == 1
    not_empty(draft, uploads, [], forwarding=forwarding)
    attachments = take_in(world, form, channel, body.get("attachments"), uploads, [])
    _voice_message(form, draft, attachments)
    form.check()
    message = new(world, actor, channel, draft)
    message.attachments = link_files(message.embeds, attachments)
    message.tts, message.nonce = bool(body.get("tts")), nonce
    if reference is not None:
        message.reference = reference
        if forwarding and referenced is not None:
            keys = ("content", "embeds", "attachments", "timestamp", "edited_timestamp", "flags", "type", "mentions")
            message.snapshots = [{"message": {key: referenced.payload()[key] for key in keys}}]
        else:
            message.type, message.referenced = REPLY, referenced
            replied = referenced.author if referenced else None
            if replied is not None and draft.allowed.replied_user and replied not in message.mentions:
                message.mentions.append(replied)
    if nonce is not None:
        channel.nonces[actor.id, str(nonce)] = (message.id, world.clock.now())
    return publish(world, message)


def may_speak(world: World, actor: User, channel: Channel, body: dict[str, Any], uploads: list[Upload]) -> None:
    """Raises when the actor may not send this message here."""
    if channel.type in (FORUM, MEDIA):
        raise refused(400, 40058, "Cannot send a message in a forum channel")
    if channel.type not in TALKABLE:
        raise refused(400, 50008, "Cannot send messages in a non-text channel")
    bits = need(world, channel, actor, P.SEND_MESSAGES)
    if channel.guild is None:
        other = next((one for one in channel.recipients.values() if one is not actor), None)
        shared = other is not None and any(
            actor.id in guild.members and other.id in guild.members for guild in world.guilds.values()
        )
        if not shared:
            raise refused(403, 50278, "Cannot send messages to this user due to having no mutual guilds")
        if other is None or other.dms_closed:
            raise refused(403, 50007, "Cannot send messages to this user")
    if channel.is_thread:
        if channel.locked and not bits & P.MANAGE_THREADS:
            raise refused(403, 160005, "Thread is locked")
        if channel.archived:
            set_archived(world, channel, False)
    wanted = P(0)
    if body.get("tts"):
        wanted |= P.SEND_TTS_MESSAGES
    if body.get("embeds"):
        wanted |= P.EMBED_LINKS
    if uploads:
        wanted |= P.ATTACH_FILES
    if body.get("poll"):
        wanted |= P.SEND_POLLS
    if int(body.get("flags") or 0) & VOICE_MESSAGE and not bits & P.SEND_VOICE_MESSAGES:
        raise refused(403, 50173, "You cannot send voice messages in this channel.")
    if wanted & ~bits:
        raise missing_permissions()
    _slow_mode(world, actor, channel, bits)


def _slow_mode(world: World, actor: User, channel: Channel, bits: P) -> None:
    """Source: docs, Channel, `rate_limit_per_user`: bots and BYPASS_SLOWMODE are unaffected."""
    if actor.bot or not channel.slowmode or bits & (P.BYPASS_SLOWMODE | P.MANAGE_MESSAGES | P.MANAGE_CHANNELS):
        return
    now = world.clock.now()
    wait = channel.spoke.get(actor.id, 0.0) + channel.slowmode - now
    if wait > 0:
        text = "This action cannot be performed due to slowmode rate limit"
        raise Refused(429, 20016, text, retry_after=round(wait, 3))
    channel.spoke[actor.id] = now


def check_message(world: World, form: Form, body: dict[str, Any], uploads: list[Upload]) -> Draft:
    """Reads the parts that every way of sending has; what is wrong is noted in `form`."""
    flags = form.number("flags", body.get("flags"), least=0, most=(1 << 53) - 1) or 0
    second = bool(flags & COMPONENTS_V2)
    content = form.text("content", body.get("content"), most=CONTENT) or ""
    embeds = check_embeds(form, "embeds", body.get("embeds"), {upload.filename for upload in uploads})
    poll = check_poll(world, form, body.get("poll"))
    if second and (content or embeds or poll or body.get("sticker_ids")):
        form.add(
            "flags",
            "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
            "content, embeds, stickers and poll cannot be used with IS_COMPONENTS_V2",
        )
    stickers = form.items("sticker_ids", body.get("sticker_ids"), most=3)
    return Draft(
        # Source: docs, Message, "Create Message": content is trimmed of surrounding white space.
        content=content.strip(),
        embeds=embeds,
        components=check_components(form, "components", body.get("components"), second_version=second),
        poll=poll,
        allowed=check_allowed(form, body.get("allowed_mentions")),
        flags=flags,
        stickers=[{"id": str(one), "name": f"sticker-{one}", "format_type": 1} for one in stickers],
    )


def not_empty(draft: Draft, uploads: list[Upload], kept: list[Any], *, forwarding: bool = False) -> None:
    embeds = [one for one in draft.embeds if not is_empty(one)]
    if not (draft.content or embeds or uploads or kept or draft.poll or draft.stickers or forwarding):
        if draft.flags & COMPONENTS_V2 and draft.components:
            return
        raise refused(400, 50006, "Cannot send an empty message")


def _voice_message(form: Form, draft: Draft, attachments: list[Any]) -> None:
    """Source: docs, Message, "Voice Messages"."""
    if not draft.flags & VOICE_MESSAGE:
        return
    if draft.content or draft.embeds or draft.components or len(attachments) != 1:
        raise refused(400, 50159, "Voice messages do not support additional content.")
    one = attachments[0]
    if not one.content_type.startswith("audio/"):
        raise refused(400, 50160, "Voice messages must have a single audio attachment.")
    if one.duration is None or one.waveform is None:
        raise refused(400, 50161, "Voice messages must have supporting metadata.")


def _same_nonce(world: World, actor: User, channel: Channel, nonce: Any, enforce: bool) -> Message | None:
    """Source: docs, Message, "Create Message", `enforce_nonce`: forgotten after a few minutes."""
    known = channel.nonces.get((actor.id, str(nonce))) if nonce is not None else None
    if not enforce or known is None or world.clock.now() - known[1] > world.limits.nonce_kept:
        return None
    return channel.messages.get(known[0])


def _reference(
    world: World, actor: User, channel: Channel, value: Any, form: Form
) -> tuple[dict[str, Any] | None, Message | None]:
    """Source: docs, Message, "Message Reference Object": type 0 replies, type 1 forwards."""
    if not isinstance(value, dict):
        return None, None
    kind = form.choice("message_reference.type", value.get("type", 0), {0, 1})
    message_id = form.snowflake("message_reference.message_id", value.get("message_id"))
    place = channel
    if value.get("channel_id") and int(value["channel_id"]) != channel.id:
        if kind == 0:
            form.add(
                "message_reference.channel_id",
                "REPLIES_CHANNEL_MISMATCH",
                "Cannot reply to a message in a different channel",
            )
            return None, None
        place = world.channel(int(value["channel_id"]), actor)
    if not world.permissions(place, actor) & P.READ_MESSAGE_HISTORY:
        raise refused(403, 160002, "Cannot reply without permission to read message history")
    message = place.messages.get(message_id or 0)
    if message is None:
        if value.get("fail_if_not_exists", True):
            form.add("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
        return None, None
    data = {"type": kind, "channel_id": str(place.id), "message_id": str(message.id)}
    if place.guild is not None:
        data["guild_id"] = str(place.guild.id)
    return data, message


def new(world: World, actor: User, channel: Channel, draft: Draft) -> Message:
    users, roles, everyone = mentioned(world, channel, actor, draft.content, draft.allowed)
    # What a post begins with has the id of its thread. Source: docs, Channel, "Start Thread in Forum or Media Channel".
    begins = channel.parent is not None and channel.parent.type in (FORUM, MEDIA) and not channel.total_sent
    return Message(
        channel.id if begins else world.ids.new(),
        channel,
        actor,
        draft.content,
        world.clock.iso(),
        flags=draft.flags & (_SETTABLE | EPHEMERAL),
        embeds=draft.embeds,
        components=draft.components,
        poll=draft.poll,
        stickers=draft.stickers,
        mentions=users,
        mention_roles=roles,
        mention_everyone=everyone,
        application_id=actor.id if actor.bot else None,
    )


def publish(world: World, message: Message) -> Message:
    """Put a finished message into its channel and announce it."""
    channel = message.channel
    channel.messages[message.id] = message
    channel.last_message_id = message.id
    if channel.is_thread:
        channel.message_count += 1
        channel.total_sent += 1
        if channel.guild and message.author.id in channel.guild.members and message.webhook_id is None:
            # Who writes in a thread, or is mentioned there, joins it. Source: docs, Threads, "Thread Membership".
            for user in (message.author, *message.mentions):
                if user.id in channel.guild.members and world.permissions(channel, user) & P.VIEW_CHANNEL:
                    add_member(world, channel, user)
    announce(world, "MESSAGE_CREATE", message)
    return message


def announce(world: World, name: str, message: Message) -> None:
    channel = message.channel
    users = frozenset(channel.recipients) if channel.guild is None else None
    if message.visible_to is not None:
        users = frozenset({message.author.id})
    world.announce(Dispatch(name, message.event_payload(), channel.guild, channel, users, message))


def system_notice(world: World, channel: Channel, author: User, kind: int, **fields: Any) -> Message:
    """A message that Discord itself writes: a pin, a thread, somebody who joined."""
    message = Message(world.ids.new(), channel, author, "", world.clock.iso(), type=kind)
    for name, value in fields.items():
        setattr(message, name, value)
    return publish(world, message)


def edit(world: World, actor: User, message: Message, body: dict[str, Any], uploads: list[Upload]) -> Message:
    """Source: docs, Message, "Edit Message": others' messages may only have their flags changed."""
    channel = message.channel
    bits = need(world, channel, actor, P(0))
    if message.author is not actor:
        if set(body) - {"flags"} or not bits & P.MANAGE_MESSAGES:
            raise refused(403, 50005, "Cannot edit a message authored by another user")
    elif message.flags & VOICE_MESSAGE:
        raise refused(400, 50162, "Voice messages cannot be edited.")
    elif message.poll is not None:
        raise refused(400, 520003, "Cannot edit a poll message")
    elif channel.is_thread and channel.archived:
        raise refused(400, 50083, "Thread is archived")
    return rewrite(world, message, body, uploads)


def rewrite(world: World, message: Message, body: dict[str, Any], uploads: list[Upload]) -> Message:
    """Change what `body` names, by whoever was found to be allowed."""
    form = Form()
    if message.flags & COMPONENTS_V2:
        body = {**body, "flags": int(body.get("flags") or 0) | COMPONENTS_V2}
    draft = check_message(world, form, body, uploads)
    form.check()
    attachments = message.attachments
    if "attachments" in body or uploads:
        described = body.get("attachments")
        attachments = take_in(world, form, message.channel, described, uploads, message.attachments)
        form.check()
    merged = Draft(
        draft.content if "content" in body else message.content,
        draft.embeds if "embeds" in body else message.embeds,
        draft.components if "components" in body else message.components,
        message.poll or draft.poll,
        draft.allowed,
        draft.flags | message.flags,
        message.stickers,
    )
    not_empty(merged, [], attachments)
    message.attachments = link_files(merged.embeds, attachments)
    message.embeds, message.components = merged.embeds, merged.components
    if "content" in body:
        message.content = merged.content
        found = mentioned(world, message.channel, message.author, message.content, draft.allowed)
        message.mentions, message.mention_roles, message.mention_everyone = found
    if "flags" in body:
        message.flags = message.flags & ~SUPPRESS_EMBEDS | draft.flags & (SUPPRESS_EMBEDS | COMPONENTS_V2)
    message.flags &= ~LOADING
    if set(body) - {"flags", "allowed_mentions"} or uploads:
        message.edited = world.clock.iso()
    announce(world, "MESSAGE_UPDATE", message)
    return message


def delete(world: World, actor: User, message: Message, reason: str | None = None) -> None:
    """Source: docs, Message, "Delete Message"."""
    channel = message.channel
    if message.author is not actor:
        if channel.guild is None:
            raise refused(403, 50003, "Cannot execute action on a DM channel")
        need(world, channel, actor, P.MANAGE_MESSAGES)
        options = {"channel_id": str(channel.id), "count": "1"}
        audit.record(
            world, channel.guild, actor, audit.MESSAGE_DELETE, message.author.id, reason=reason, options=options
        )
    remove(world, message)


def remove(world: World, message: Message) -> None:
    channel = message.channel
    _forget(message)
    data: dict[str, Any] = {"id": str(message.id), "channel_id": str(channel.id)}
    if channel.guild is not None:
        data["guild_id"] = str(channel.guild.id)
    world.tell("MESSAGE_DELETE", data, channel=channel)


def _forget(message: Message) -> None:
    channel = message.channel
    channel.messages.pop(message.id, None)
    channel.pins.pop(message.id, None)
    for later in reversed(channel.messages.values()):
        if later.id < message.id:
            break
        if later.referenced is message:
            later.referenced_deleted = True


def bulk_delete(world: World, actor: User, channel: Channel, ids: list[Any], reason: str | None = None) -> None:
    """Source: docs, Message, "Bulk Delete Messages": 2 to 100 ids, none older than 2 weeks (50034)."""
    if channel.guild is None:
        raise refused(403, 50003, "Cannot execute action on a DM channel")
    need(world, channel, actor, P.MANAGE_MESSAGES)
    if not 2 <= len(ids) <= 100:
        raise refused(
            400,
            50016,
            "Provided too few or too many messages to delete. "
            "Must provide at least 2 and fewer than 100 messages to delete",
        )
    if len(set(ids)) != len(ids):
        form = Form()
        form.add("messages", "SET_TYPE_CONTAINS_DUPLICATES", "The same id was given more than once.")
        form.check()
    oldest = world.clock.now() - _DELETABLE_DAYS * 86400
    if any(created_at(int(one)) < oldest for one in ids):
        raise refused(400, 50034, "You can only bulk delete messages that are under 14 days old.")
    found = [channel.messages[int(one)] for one in ids if int(one) in channel.messages]
    for message in found:
        _forget(message)
    options = {"count": str(len(found))}
    audit.record(world, channel.guild, actor, audit.MESSAGE_BULK_DELETE, channel.id, reason=reason, options=options)
    data = {
        "ids": [str(message.id) for message in found],
        "channel_id": str(channel.id),
        "guild_id": str(channel.guild.id),
    }
    world.tell("MESSAGE_DELETE_BULK", data, channel=channel)


def pin(world: World, actor: User, message: Message, *, reason: str | None = None) -> None:
    """Source: docs, Message, "Pin Message": PIN_MESSAGES; 250 pins (30003); a notice is written."""
    channel = message.channel
    need(world, channel, actor, P.PIN_MESSAGES)
    if message.id in channel.pins:
        return
    if len(channel.pins) >= 250:
        raise refused(400, 30003, "Maximum number of pins reached for the channel (250)")
    channel.pins[message.id] = world.clock.iso()
    _pins_changed(world, channel)
    announce(world, "MESSAGE_UPDATE", message)
    options = {"channel_id": str(channel.id), "message_id": str(message.id)}
    audit.record(world, channel.guild, actor, audit.PIN, message.author.id, reason=reason, options=options)
    reference = {"type": 0, "channel_id": str(channel.id), "message_id": str(message.id)}
    if channel.guild is not None:
        reference["guild_id"] = str(channel.guild.id)
    system_notice(world, channel, actor, PIN_NOTICE, reference=reference)


def unpin(world: World, actor: User, message: Message, *, reason: str | None = None) -> None:
    channel = message.channel
    need(world, channel, actor, P.PIN_MESSAGES)
    if channel.pins.pop(message.id, None) is None:
        return
    _pins_changed(world, channel)
    announce(world, "MESSAGE_UPDATE", message)
    options = {"channel_id": str(channel.id), "message_id": str(message.id)}
    audit.record(world, channel.guild, actor, audit.UNPIN, message.author.id, reason=reason, options=options)


def _pins_changed(world: World, channel: Channel) -> None:
    data: dict[str, Any] = {
        "channel_id": str(channel.id),
        "last_pin_timestamp": next(reversed(channel.pins.values()), None),
    }
    if channel.guild is not None:
        data["guild_id"] = str(channel.guild.id)
    world.tell("CHANNEL_PINS_UPDATE", data, channel=channel)


def typing(world: World, actor: User, channel: Channel) -> None:
    """Source: docs, Channel, "Trigger Typing Indicator"; Gateway Events, "Typing Start"."""
    need(world, channel, actor, P.SEND_MESSAGES)
    data: dict[str, Any] = {
        "channel_id": str(channel.id),
        "user_id": str(actor.id),
        "timestamp": int(world.clock.now()),
    }
    if channel.guild is not None:
        data |= {"guild_id": str(channel.guild.id), "member": channel.guild.members[actor.id].payload()}
    world.tell("TYPING_START", data, channel=channel)


def readable(world: World, actor: User, channel: Channel) -> bool:
    """Whether history is shown: without READ_MESSAGE_HISTORY no messages are returned.

    Source: docs, Message, "Get Channel Messages".
    """
    bits = world.permissions(channel, actor)
    if not bits & P.VIEW_CHANNEL:
        raise missing_access()
    return bool(bits & P.READ_MESSAGE_HISTORY)
