"""How the offline model words what the tools returned, and what it says when it cannot help. English.

Tools return data in the person's own zone; nothing is computed here. Used by `offline/model.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import cast

from antiphon.brain.models import ModelChoice
from antiphon.brain.offline.extract import chosen, sentences_of, shortened

Data = Mapping[str, object]
_MOST_LISTED = 12
_MOST_SENTENCES = 6
_LIKE_A_TIME = re.compile(
    r"(\d|(in|at|on|by|next|last|yesterday|today|tomorrow|before|after|an? (minute|hour|day|week|month))\b)",
    re.IGNORECASE,
)

CONNECT = (
    "To connect a language model, set `ANTIPHON_MODEL=openai:gpt-4o-mini` and `OPENAI_API_KEY`, or point "
    "`ANTIPHON_MODEL_URL` at a local Ollama, llama.cpp or vLLM server (with `ANTIPHON_MODEL=ollama:NAME`), and start "
    "me again."
)
ABILITIES = (
    "the time and date anywhere, sums, units, dice and coins, reminders and timers, polls, summaries of what was said, "
    "and remembering things for you"
)


def told(fact: str) -> str:
    """A question that one memory answers."""
    return f"I was told: **{fact}**"


def again() -> str:
    """The tool did not accept what was made of the request."""
    return "I understood what you want, but not all of it. Please say it once more in other words."


def cannot(choice: ModelChoice, failures: Sequence[str], *, short: bool = False) -> str:
    """The honest answer to what only a language model can do; `short` when the long one is still in sight."""
    if short:
        return "I can't do that offline either. Say **help** for what I can do."
    if failures:
        return (
            f"That needs my language model ({choice.label}), and right now {failures[-1]}. Please try again later. "
            f"Meanwhile I can help with {ABILITIES}."
        )
    return (
        f"I can't do that offline: no language model is connected. What I can do now: {ABILITIES}. "
        f"Say **help** for examples.\n\n{CONNECT}"
    )


def not_allowed(tool: str) -> str:
    """The person may not use this here."""
    return f"You don't have the permission for that here ({tool}), so I did nothing."


def missing(what: str, arguments: Data) -> str:
    """Ask for what a request left out."""
    text = str(arguments.get("text", ""))
    if what == "topic":
        return (
            "Which one? Say for example: **forget that my desk is by the window**, or **forget everything about me**."
        )
    if what == "length":
        return "For how long? For example: **set a timer for 10 minutes**."
    about = f" of “{text}”" if text else ""
    # What begins like a time was one that could not be read: repeating it after another time would make no sense.
    again = text if text and not _LIKE_A_TIME.match(text) else "stretch"
    return f"When shall I remind you{about}? For example: **remind me in 20 minutes to {again}**."


def word(tool: str, outcome: Data) -> str:
    """The answer to a person for one tool result."""
    summary = str(outcome.get("summary", ""))
    if outcome.get("status", "ok") != "ok":
        return summary or "That did not work."
    data = outcome.get("data")
    wording = _WORDINGS.get(tool)
    if not isinstance(data, Mapping) or wording is None:
        return summary
    try:
        return wording(cast("Data", data))
    except (KeyError, ValueError, TypeError, IndexError):
        # A record of an older version: its one-line summary is still true.
        return summary


def _list_of(data: Data, key: str) -> Sequence[Data]:
    return cast("Sequence[Data]", data[key])


def _noted(text: str, data: Data) -> str:
    note = str(data.get("note", ""))
    return f"{text} {note}".strip()


def _long_day(iso: str) -> str:
    day = datetime.fromisoformat(iso)
    return f"{day:%A}, {day.day} {day:%B %Y}"


def _zone_hint(zone: object) -> str:
    return (
        " (UTC: tell me where you live, such as “I live in Berlin”, and I use your own time.)" if zone == "UTC" else ""
    )


def _where(data: Data, place: str = "place", region: str = "region") -> str:
    """The place, with its country or state where its name alone could mean another."""
    return f"{data[place]}, {data[region]}" if data.get(region) else str(data[place])


def _clock_now(data: Data) -> str:
    place = _where(data)
    day = datetime.fromisoformat(str(data["date"]))
    when = f"{day:%A}, {day.day} {day:%B}"
    if not place:
        return f"It's **{data['time']}** ({when}).{_zone_hint(data['zone'])}"
    ahead = float(cast("float", data["hours_ahead_of_person"]))
    distance = ""
    if ahead:
        hours = f"{abs(ahead):g} hour{'' if abs(ahead) == 1 else 's'}"
        distance = f", {hours} {'ahead of' if ahead > 0 else 'behind'} you"
    return _noted(f"It's **{data['time']}** in {place} ({when}{distance}).", data)


def _clock_date(data: Data) -> str:
    away, asked = int(cast("int", data["days_from_today"])), str(data["asked"])
    day = _long_day(str(data["date"]))
    if not asked:
        where = f" in {_where(data)}" if data["place"] else ""
        return _noted(f"Today is **{day}**{where} (week {data['week']}).", data)
    subject = asked[0].upper() + asked[1:]
    if asked.casefold() in ("today", "tomorrow", "yesterday"):
        return f"{subject} {'is' if away >= 0 else 'was'} **{day}**."
    if abs(away) == 1:
        distance = "that's tomorrow" if away > 0 else "that was yesterday"
    elif away == 0:
        distance = "that's today"
    else:
        distance = f"in {away} days" if away > 0 else f"{-away} days ago"
    return f"{subject} {'is' if away >= 0 else 'was'} **{day}** ({distance})."


def _difference(data: Data) -> str:
    ahead = float(cast("float", data["hours_ahead"]))
    one, other = _where(data), _where(data, "other", "other_region") or "you"
    if not ahead:
        return _noted(f"{one} and {other} have **the same time**: {data['time']}.", data)
    hours = f"{abs(ahead):g} hour{'' if abs(ahead) == 1 else 's'}"
    side = "ahead of" if ahead > 0 else "behind"
    there = str(data["other"]) or "here"
    return _noted(
        f"{one} is **{hours} {side} {other}**: {data['time']} there, {data['other_time']} "
        f"{'in ' + there if data['other'] else there}.",
        data,
    )


def _math(data: Data) -> str:
    asked = re.sub(r"[?=\s]+$", "", str(data["asked"]))
    return f"{asked} {'=' if data['exact'] else '≈'} **{data['value']}**"


def _units(data: Data) -> str:
    return f"{data['from']} {'=' if data['exact'] else '≈'} **{data['to']}**"


def _dice(data: Data) -> str:
    rolls = cast("Sequence[int]", data["rolls"])
    if len(rolls) == 1 and not data["plus"]:
        return f"You rolled a **{data['total']}** ({data['dice']})."
    plus = int(cast("int", data["plus"]))
    shown = " + ".join(map(str, rolls)) if len(rolls) <= 20 else f"{len(rolls)} dice"
    sign = "+" if plus > 0 else "\N{MINUS SIGN}"
    extra = f" {sign} {abs(plus)}" if plus else ""
    return f"{data['dice']}: {shown}{extra} = **{data['total']}**"


def _coin(data: Data) -> str:
    sides = cast("Sequence[str]", data["sides"])
    if len(sides) == 1:
        return f"It's **{sides[0]}**!"
    return f"{', '.join(sides).capitalize()}: **{data['heads']} heads, {data['tails']} tails**."


def _due(entry: Data) -> str:
    """When an entry is due, as people say it, on their own clock."""
    due = datetime.fromisoformat(str(entry["due"]))
    clock = f"{due:%H:%M:%S}" if due.second else f"{due:%H:%M}"
    days = int(cast("int", entry["days_from_today"]))
    if days == 0:
        day = "today"
    elif days == 1:
        day = f"tomorrow, {due:%A} {due.day} {due:%B},"
    else:
        day = f"on {due:%A}, {due.day} {due:%B %Y},"
    return f"{day} at {clock}"


def _soon(entry: Data) -> str:
    remaining = str(entry["in"])
    return "" if "day" in remaining else f" (in {remaining})"


def _repeated(entry: Data) -> str:
    """The rhythm of a repeating entry, with its zone only where that is not the person's: "every day at 09:00"."""
    rhythm = cast("Data", entry["repeats"])
    return str(rhythm["words"]) + (f" ({rhythm['zone']})" if rhythm["zone"] != entry["zone"] else "")


def _reminder(entry: Data) -> str:
    about = f": {entry['text']}" if entry["text"] else "."
    if entry.get("repeats"):
        first = f"The first time is {_due(entry)}{_soon(entry)}."
        return f"I'll remind you **{_repeated(entry)}**{about}\n{first}{_zone_hint(entry['zone'])}"
    return f"I'll remind you **{_due(entry)}**{_soon(entry)}{about}{_zone_hint(entry['zone'])}"


def _changed(data: Data) -> str:
    entry, choices = data["changed"], _list_of(data, "choices")
    if entry:
        entry = cast("Data", entry)
        name = str(entry["text"]) or ("Your timer" if entry["kind"] == "timer" else "Your reminder")
        if entry.get("repeats"):
            return f"Changed: **{name}** comes {_repeated(entry)}, next {_due(entry)}."
        return f"Changed: **{name}** comes {_due(entry)}{_soon(entry)}."
    if choices:
        lines = "\n".join(map(_line, choices[:_MOST_LISTED]))
        example = f"**change reminder {choices[0]['id']} to 10:30**"
        return f"Which one do you mean? I changed nothing yet. Say for example {example}.\n{lines}"
    return f"There is nothing to change: you have no {_NAMES[str(data['kind'])]} set."


def _timer(entry: Data) -> str:
    label = f" for “{entry['text']}”" if entry["text"] else ""
    return f"Your timer{label} runs: **{entry['duration']}**. I'll tell you {_due(entry)}."


def _line(entry: Data) -> str:
    name = str(entry["text"]) or ("Timer" if entry["kind"] == "timer" else "Reminder")
    if entry.get("repeats"):
        return f"- **{name}** {_repeated(entry)}, next {_due(entry)} (no. {entry['id']})"
    return f"- **{name}** {_due(entry)}{_soon(entry)} (no. {entry['id']})"


_NAMES = {"any": "reminders or timers", "reminder": "reminders", "timer": "timers"}


def _reminders(data: Data) -> str:
    entries = _list_of(data, "entries")
    if not entries:
        return f"You have no {_NAMES[str(data['kind'])]} set."
    count = f"{len(entries)} {'thing' if len(entries) == 1 else 'things'}"
    more = f"\n- and {len(entries) - _MOST_LISTED} more" if len(entries) > _MOST_LISTED else ""
    return f"You have {count} coming up:\n" + "\n".join(map(_line, entries[:_MOST_LISTED])) + more


def _cancelled(data: Data) -> str:
    gone, choices = _list_of(data, "cancelled"), _list_of(data, "choices")
    if len(gone) == 1:
        when = _repeated(gone[0]) if gone[0].get("repeats") else _due(gone[0]).replace(",", "")
        return f"Cancelled: {gone[0]['text'] or gone[0]['kind']} ({when})."
    if gone:
        return f"Cancelled all {len(gone)}."
    if choices:
        lines = "\n".join(map(_line, choices[:_MOST_LISTED]))
        example = f"**cancel reminder {choices[0]['id']}**"
        return f"Which one do you mean? I cancelled nothing yet. Say for example {example}.\n{lines}"
    return f"There was nothing to cancel: you have no {_NAMES[str(data['kind'])]} set."


def _remembered(data: Data) -> str:
    if data["scope"] == "server":
        return f"Noted for everybody here: {data['text']}"
    return f"Got it, I'll remember: {data['text']}"


def _recalled(data: Data) -> str:
    memories, query = _list_of(data, "memories"), str(data["query"])
    if not memories:
        if query:
            return f"I don't know anything about “{query}”. Tell me with **remember that …** and I will."
        return "I don't know anything about you yet. Tell me something with **remember that …**."
    if query:
        best = [m for m in memories if m["fit"] == memories[0]["fit"]][:3]
        if len(best) == 1:
            return (
                f"You told me: **{best[0]['text']}**"
                if best[0]["scope"] == "person"
                else f"Noted here: **{best[0]['text']}**"
            )
        return "This is what I was told:\n" + "\n".join(f"- {m['text']}" for m in best)
    lines = [f"- {m['text']}{'' if m['scope'] == 'person' else ' (this server)'}" for m in memories[:_MOST_LISTED]]
    more = f"\n- and {len(memories) - _MOST_LISTED} more" if len(memories) > _MOST_LISTED else ""
    return "This is what you asked me to remember:\n" + "\n".join(lines) + more


def _forgot(data: Data) -> str:
    gone, choices = cast("Sequence[str]", data["forgotten"]), cast("Sequence[str]", data["choices"])
    if gone:
        return f"Forgotten: {gone[0]}"
    if choices:
        lines = "\n".join(f"- {text}" for text in choices[:_MOST_LISTED])
        return f"Several things fit, so I forgot none yet. Which one?\n{lines}"
    return f"I know nothing about “{data['query']}”, so there was nothing to forget."


def _forgot_all(data: Data) -> str:
    count = int(cast("int", data["count"]))
    whom = "this server" if data["scope"] == "server" else "you"
    if not count:
        return f"I knew nothing about {whom}, so there was nothing to forget."
    return f"Done: I forgot everything about {whom} ({count} {'thing' if count == 1 else 'things'})."


def _timezone(data: Data) -> str:
    lead = "Your time zone is now" if data["changed"] else "Your time zone is"
    return _noted(f"{lead} **{data['zone']}**; it is {data['time']} for you.", data)


_LANGUAGES = {"en": "English", "de": "German", "es": "Spanish"}


def _language(data: Data) -> str:
    code = str(data["language"])
    name = _LANGUAGES.get(code[:2], code)
    if not data["changed"]:
        return f"Your language is **{name}**. Say for example: speak German with me."
    if code[:2] not in _LANGUAGES:
        return f"Noted: **{name}**. Offline I only speak English, German and Spanish; a language model speaks more."
    return f"All right, I speak **{name}** with you wherever a message does not tell another language."


def _name(data: Data) -> str:
    name = str(data["name"]).strip()
    if data["changed"]:
        return f"Nice to meet you, **{name}**!"
    return f"You are **{name}** here." if name else "I don't know your name yet. Say for example: my name is Ada."


def summary(data: Data, language: str) -> Sequence[str]:
    """The telling sentences of the messages of a channel: what people said, else what the agent did."""
    messages = _list_of(data, "messages")
    people = [str(m["text"]) for m in messages if m["by"] != "agent"]
    texts = people or [str(m["text"]) for m in messages]
    count = min(_MOST_SENTENCES, max(1, len(texts) // 4 + 1))
    text = [sentence for one in texts for sentence in sentences_of(one)]
    return [shortened(text[index]) for index in chosen(text, count, language)]


def _summary(data: Data) -> str:
    count = int(cast("int", data["count"]))
    if not count:
        return "Nothing was said here in that time." if data["since"] else "Nothing was said here yet."
    people = cast("Sequence[str]", data["people"])
    by = f" by {', '.join(people[:5])}{' and others' if len(people) > 5 else ''}" if people else ""
    head = f"The last {count} messages{by}" if count > 1 else f"The last message{by}"
    if data["since"]:
        since = datetime.fromisoformat(str(data["since"]))
        head = f"{count} message{'' if count == 1 else 's'}{by} since {since:%A}, {since.day} {since:%B}, {since:%H:%M}"
    return f"**{head}, in short:**\n" + "\n".join(f"- {line}" for line in summary(data, "en"))


def _poll(data: Data) -> str:
    title = f"**{data['question']}**\n" if data["question"] else ""
    total = int(cast("int", data["total"]))
    if data["state"] == "closed":
        return f"The poll is closed.\n{title}{data['bars']}"
    closes = ""
    if data["closes"]:
        at = datetime.fromisoformat(str(data["closes"]))
        closes = f" It closes on {at:%A}, {at.day} {at:%B} at {at:%H:%M}."
    if not total:
        options = "\n".join(f"{n}. **{o}**" for n, o in enumerate(cast("Sequence[str]", data["options"]), 1))
        return f"{title or '**Poll**' + chr(10)}{options}\nVote with the number or the words.{closes}"
    return f"{title}{data['bars']}\nVote with the number or the words.{closes}"


def _voted(data: Data) -> str:
    return f"Your vote: **{data['voted']}**. You can change it until the poll closes.\n{data['bars']}"


_EXAMPLES = {
    "clock.now": ("Time and date anywhere", "what time is it in Tokyo? · how many days until Christmas?"),
    "math.calculate": ("Sums", "what's 15% of 80? · sqrt(2) * 3"),
    "units.convert": ("Units", "convert 5 miles to km · 350 F in C"),
    "dice.roll": ("Dice and coins", "roll 2d6 · flip a coin"),
    "reminders.create": (
        "Reminders",
        "remind me tomorrow at 9 to call mum · every weekday at 9 remind me to stretch · change it to 10 · cancel it",
    ),
    "timers.create": ("Timers", "set a timer for 10 minutes"),
    "memory.remember": ("Memory", "remember that my desk is by the window · where is my desk? · forget that"),
    "profile.timezone": ("Your time zone", "I live in Lisbon"),
    "profile.language": ("Your language", "speak German with me · habla español conmigo"),
    "channel.summary": ("What was said", "summarize this channel · what did I miss since yesterday?"),
    "polls.create": ("Polls", "poll: pizza or pasta? · vote 2 · how is the poll going? · close the poll"),
    "system.status": ("How I am", "status"),
}
_COVERED = frozenset(
    [
        "clock.now",
        "clock.date",
        "math.calculate",
        "units.convert",
        "dice.roll",
        "coin.flip",
        "reminders.create",
        "timers.create",
        "reminders.list",
        "reminders.edit",
        "reminders.cancel",
        "memory.remember",
        "memory.recall",
        "memory.forget",
        "memory.forget_all",
        "profile.timezone",
        "profile.language",
        "profile.name",
        "clock.difference",
        "channel.summary",
        "polls.create",
        "polls.vote",
        "polls.show",
        "polls.close",
        "system.help",
        "system.status",
    ]
)


def _help(data: Data) -> str:
    tools = _list_of(data, "tools")
    names = {str(tool["name"]) for tool in tools}
    lines = [f"- **{title}**: {examples}" for name, (title, examples) in _EXAMPLES.items() if name in names]
    lines += [f"- **{tool['name']}**: {tool['description']}" for tool in tools if tool["name"] not in _COVERED]
    return "This is what I can do:\n" + "\n".join(lines)


def _status(data: Data) -> str:
    parts = _list_of(data, "parts")
    if not parts:
        return "I'm up and running."
    broken = [part for part in parts if part["state"] == "degraded"]
    head = "Something is not well:" if broken else "Everything works."
    signs = {"ok": "✓", "degraded": "✗", "off": "\N{EN DASH}"}
    lines: list[str] = []
    for part in parts:
        detail = f": {part['detail']}" if part["detail"] else ""
        remedy = f" ({part['remedy']})" if part["remedy"] and part["state"] != "ok" else ""
        lines.append(f"- {signs.get(str(part['state']), '?')} {part['name']}{detail}{remedy}")
    return head + "\n" + "\n".join(lines)


_WORDINGS: Mapping[str, Callable[[Data], str]] = {
    "clock.now": _clock_now,
    "clock.date": _clock_date,
    "math.calculate": _math,
    "units.convert": _units,
    "dice.roll": _dice,
    "coin.flip": _coin,
    "reminders.create": _reminder,
    "timers.create": _timer,
    "reminders.list": _reminders,
    "reminders.edit": _changed,
    "reminders.cancel": _cancelled,
    "memory.remember": _remembered,
    "memory.recall": _recalled,
    "memory.forget": _forgot,
    "memory.forget_all": _forgot_all,
    "profile.timezone": _timezone,
    "profile.language": _language,
    "profile.name": _name,
    "clock.difference": _difference,
    "channel.summary": _summary,
    "polls.create": _poll,
    "polls.vote": _voted,
    "polls.show": _poll,
    "polls.close": _poll,
    "system.help": _help,
    "system.status": _status,
}
