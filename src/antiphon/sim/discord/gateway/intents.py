"""Which intent lets which event through.

Source: docs, Gateway, "List of Intents" and "Privileged Intents"; Gateway, "Message Content Intent".
"""

from __future__ import annotations

from antiphon.sim.discord.world.users import CONTENT_LIMITED, MEMBERS_LIMITED, PRESENCE_LIMITED

GUILDS, MEMBERS, MODERATION, EXPRESSIONS, INTEGRATIONS, WEBHOOKS, INVITES, VOICE, PRESENCES = (
    1 << bit for bit in range(9)
)
MESSAGES, REACTIONS, TYPING, DM_MESSAGES, DM_REACTIONS, DM_TYPING, CONTENT, SCHEDULED = (
    1 << bit for bit in range(9, 17)
)
AUTOMOD_CONFIGURATION, AUTOMOD_EXECUTION, POLLS, DM_POLLS = 1 << 20, 1 << 21, 1 << 24, 1 << 25
KNOWN = (1 << 17) - 1 | AUTOMOD_CONFIGURATION | AUTOMOD_EXECUTION | POLLS | DM_POLLS
PRIVILEGED = {PRESENCES: PRESENCE_LIMITED, MEMBERS: MEMBERS_LIMITED, CONTENT: CONTENT_LIMITED}

_BY_INTENT = {
    GUILDS: "GUILD_CREATE GUILD_UPDATE GUILD_DELETE GUILD_ROLE_CREATE GUILD_ROLE_UPDATE GUILD_ROLE_DELETE "
    "CHANNEL_CREATE CHANNEL_UPDATE CHANNEL_DELETE CHANNEL_PINS_UPDATE THREAD_CREATE THREAD_UPDATE THREAD_DELETE "
    "THREAD_LIST_SYNC THREAD_MEMBER_UPDATE THREAD_MEMBERS_UPDATE",
    MEMBERS: "GUILD_MEMBER_ADD GUILD_MEMBER_UPDATE GUILD_MEMBER_REMOVE",
    MODERATION: "GUILD_AUDIT_LOG_ENTRY_CREATE GUILD_BAN_ADD GUILD_BAN_REMOVE",
    EXPRESSIONS: "GUILD_EMOJIS_UPDATE",
    WEBHOOKS: "WEBHOOKS_UPDATE",
    VOICE: "VOICE_STATE_UPDATE",
    PRESENCES: "PRESENCE_UPDATE",
    TYPING: "TYPING_START",
    AUTOMOD_CONFIGURATION: "AUTO_MODERATION_RULE_CREATE AUTO_MODERATION_RULE_UPDATE AUTO_MODERATION_RULE_DELETE",
    AUTOMOD_EXECUTION: "AUTO_MODERATION_ACTION_EXECUTION",
}
_GUILD = {event: intent for intent, events in _BY_INTENT.items() for event in events.split()}


def wanted(event: str, *, direct: bool) -> int:
    """The intent that lets an event through; 0 when every session gets it.

    Users' own THREAD_MEMBERS_UPDATE, GUILD_MEMBER_UPDATE of the bot itself and interactions need none.
    """
    if event in ("MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE", "MESSAGE_DELETE_BULK"):
        return DM_MESSAGES if direct else MESSAGES
    if event.startswith("MESSAGE_REACTION_"):
        return DM_REACTIONS if direct else REACTIONS
    if event.startswith("MESSAGE_POLL_"):
        return DM_POLLS if direct else POLLS
    if event == "TYPING_START":
        return DM_TYPING if direct else TYPING
    if event == "CHANNEL_PINS_UPDATE" and direct:
        return DM_MESSAGES
    return _GUILD.get(event, 0)


def not_approved(intents: int, application_flags: int) -> bool:
    """Whether a privileged intent was asked for that the application has not switched on (close code 4014)."""
    return any(intents & bit and not application_flags & flag for bit, flag in PRIVILEGED.items())
