"""`antiphon ask` and `antiphon talk`: a conversation in the terminal, without a server."""

from __future__ import annotations

import argparse
import contextlib
import sys
from typing import TYPE_CHECKING, Any

from antiphon.run.commands import DONE
from antiphon.run.commands.opening import person_of, with_program

if TYPE_CHECKING:
    from antiphon.run.wiring import Antiphon


def add_commands(commands: Any) -> None:
    """Add the commands to the parser of `antiphon`."""
    asking = commands.add_parser("ask", help="ask one thing here and see how the answer came about")
    asking.add_argument("text", help="what to ask")
    asking.add_argument("--trace", action="store_true", help="also print prompt, context, decisions, tools and times")
    asking.add_argument("--json", action="store_true", help="print everything as JSON")
    asking.add_argument("--person", type=int, metavar="P", help="who asks (default: the owner)")
    asking.set_defaults(run=_ask)
    talking = commands.add_parser("talk", help="talk with it by this machine's microphone and loudspeaker")
    talking.add_argument(
        "--room", default="terminal", help="the room, which keeps the conversation (default: terminal)"
    )
    talking.add_argument("--language", default="", help="what is spoken, like en or de")
    talking.add_argument("--person", type=int, metavar="P", help="who talks (default: the owner)")
    talking.set_defaults(run=_talk)


def _ask(options: argparse.Namespace) -> int:
    from antiphon.run.ask import Asked, ask

    async def turn(antiphon: Antiphon) -> Asked:
        return await ask(antiphon, options.text, await person_of(antiphon.stores, options))

    asked = with_program(options, turn)
    if options.json:
        print(asked.as_json())
        return DONE
    print(asked.text)
    if options.trace:
        print("\n".join(asked.lines()))
    elif asked.approvals:
        print(f"This waits for an approval: {'; '.join(asked.approvals)}", file=sys.stderr)
    return DONE


def _talk(options: argparse.Namespace) -> int:
    from antiphon.run.talk import talk

    async def spoken(antiphon: Antiphon) -> None:
        person = await person_of(antiphon.stores, options)
        await talk(antiphon, person, room=options.room, language=options.language, show=print)

    with contextlib.suppress(KeyboardInterrupt):
        with_program(options, spoken)
    return DONE
