"""What happens by itself when time passes: idle threads are archived, polls end.

Source: docs, Channel, "Thread Metadata Object" (`auto_archive_duration`, minutes without activity); Poll, "Poll Object"
(`expiry`) and "Poll Results Object" (`is_finalized`).
"""

from __future__ import annotations

from antiphon.sim.discord.clock import parse_iso
from antiphon.sim.discord.rules.polls import finish
from antiphon.sim.discord.rules.thread_members import set_archived
from antiphon.sim.discord.snowflakes import created_at
from antiphon.sim.discord.world.world import World


def catch_up(world: World) -> None:
    """Called after the clock was moved."""
    now = world.clock.now()
    for guild in world.guilds.values():
        for thread in guild.threads.values():
            active = max(created_at(thread.last_message_id or thread.id), parse_iso(thread.archived_at).timestamp())
            if not thread.archived and now - active > thread.auto_archive * 60:
                set_archived(world, thread, True)
        for channel in [*guild.channels.values(), *guild.threads.values()]:
            for message in channel.messages.values():
                poll = message.poll
                if poll and not poll.get("_finished") and parse_iso(poll["expiry"]).timestamp() <= now:
                    finish(world, message)
