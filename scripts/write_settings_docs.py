"""Writes antiphon.example.toml, docs/reference/settings.md and docs/reference/speech.md from the settings tree and from
the tables of the speech engines.

Run it after changing a setting: `.venv/bin/python scripts/write_settings_docs.py`. A test compares the files with the
tree, so forgetting it does not go unnoticed.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from pydantic import SecretStr

from antiphon.config.keys import ALIASES, CONFIG_VARIABLE, Key, all_keys, sections
from antiphon.speech import _registry
from antiphon.voice.detectors import DETECTORS

ROOT = Path(__file__).parents[1]

EXAMPLE_HEAD = """\
# Every setting of Antiphon with its default. Copy this file to antiphon.toml and uncomment what you change, or name
# another file in ANTIPHON_CONFIG. The same keys can be written as JSON.
#
# Each key is also an environment variable: http.port is ANTIPHON_HTTP__PORT. The stronger source wins: command line,
# environment, .env, files in secrets_dir, what the console's Settings page wrote, this file, default. Check the
# outcome: antiphon config check, and antiphon config show.
"""

REFERENCE_HEAD = """\
# Settings

All settings, with their defaults. Nothing has to be set: without any, Antiphon runs on this machine with SQLite and
the offline model.

## Where they may stand

The stronger source wins:

1. the command line (`--port`, `--config`),
2. the environment,
3. the file `.env` in the working directory,
4. files in `secrets_dir` (default `secrets` in `data_dir`), each named like the variable it stands for
   (`openai_api_key`, `DATABASE_URL`),
5. `settings.toml` in `data_dir`, which the console's Settings page writes,
6. the configuration file: `--config`, else `ANTIPHON_CONFIG`, else `antiphon.toml` in the working directory;
   TOML, or JSON when its name ends in `.json`,
7. the default.

A variable that is empty counts as not set. A list in a variable is written with commas or as JSON. Relative paths
start at the working directory.

An unknown key, an unknown `ANTIPHON_*` variable (in `.env` and `secrets_dir` too), a wrong type or a value out of
range is refused. Every problem is named at once, one per line, on standard error, and the exit status is 3:

```
antiphon.toml: http.prot: is not a setting; did you mean http.port?
```

`antiphon config check` tries the configuration, `antiphon config show` prints the effective values with their sources
(secrets as `********`), `antiphon config schema` prints the JSON schema of the file.

## Between settings

- `http.host` other than loopback needs `http.tls_cert` and `http.tls_key`, or `http.tls = "self"`, or
  `http.trusted_proxies`. Otherwise sign-in links and keys would cross the network unencrypted.
- `http.tls_cert` and `http.tls_key` go together, and exclude `http.tls = "self"`. Files that are named must exist.
- A model of a provider that wants a key needs it: in the provider's usual variable (`OPENAI_API_KEY`,
  `ANTHROPIC_API_KEY`, `GOOGLE_API_KEY` or `GEMINI_API_KEY`, `MISTRAL_API_KEY`, `GROQ_API_KEY`, `OPENROUTER_API_KEY`,
  `NVIDIA_API_KEY`; a file of that name in `secrets_dir` does too), unless `model_url` (`openai_base_url`, an expert's
  `base_url`) names a server of your own. `model_url` needs `model`.
- An expert's `secret` names a variable or a file in `secrets_dir` that exists. Its `fallback`, `routing.default` and
  `routing.judge` name experts that exist, and fallbacks do not go in a circle.
- Several processes need `database_url` (PostgreSQL) and `redis_url`.

## Variables without the prefix

"""


def main() -> None:
    """Write the files."""
    (ROOT / "antiphon.example.toml").write_text("\n".join(example()) + "\n", encoding="utf-8")
    (ROOT / "docs" / "reference" / "settings.md").write_text("\n".join(reference()) + "\n", encoding="utf-8")
    (ROOT / "docs" / "reference" / "speech.md").write_text("\n".join(engines()) + "\n", encoding="utf-8")


def example() -> Iterator[str]:
    """The lines of antiphon.example.toml."""
    yield EXAMPLE_HEAD.rstrip()
    for section, keys in by_section():
        if section:
            yield ""
            yield f"# {sections()[section]}"
            yield f"[{section}]"
        for key in keys:
            allowed = ", ".join([*(repr(choice) for choice in key.choices), *key.limits])
            comment = f"{key.description} Allowed: {allowed}." if allowed else key.description
            yield ""
            yield from textwrap.wrap(comment, 118, initial_indent="# ", subsequent_indent="# ")
            if key.fields:
                yield f"# The keys of one table, each but {required(key)} with its default:"
                yield f"#     [[{key.name}]]"
                for inner in key.fields:
                    yield f"#     {inner.name} = {'…' if inner.required else written(inner)}"
            yield f"#{key.path[-1]} = {written(key)}"


def reference() -> Iterator[str]:
    """The lines of docs/reference/settings.md."""
    yield REFERENCE_HEAD.rstrip("\n")
    yield ""
    yield "| variable | sets |"
    yield "| --- | --- |"
    yield f"| `{CONFIG_VARIABLE}` | the configuration file |"
    for variable, name in ALIASES.items():
        yield f"| `{variable}` | `{name}` |"
    for section, keys in by_section():
        yield ""
        yield f"## {f'[{section}]' if section else 'Top level'}"
        yield ""
        if section:
            yield sections()[section]
            yield ""
        yield "| key | variable | kind | default | meaning |"
        yield "| --- | --- | --- | --- | --- |"
        for key in keys:
            kind = "one of " + ", ".join(f"`{choice!r}`" for choice in key.choices) if key.choices else key.kind
            bounds = f", {' and '.join(key.limits)}" if key.limits else ""
            yield f"| `{key.name}` | `{key.variable}` | {kind}{bounds} | `{written(key)}` | {key.description} |"
    for key in all_keys().values():
        if key.fields:
            yield from ("", f"## [[{key.name}]]", "", f"{key.description} In a variable it is a list in JSON.", "")
            yield "| key | kind | default | meaning |"
            yield "| --- | --- | --- | --- |"
            for inner in key.fields:
                bounds = f", {' and '.join(inner.limits)}" if inner.limits else ""
                default = "needed" if inner.required else f"`{written(inner)}`"
                yield f"| `{key.name}[].{inner.name}` | {inner.kind}{bounds} | {default} | {inner.description} |"


SPEECH_HEAD = """\
# Speech engines

`speech.stt` and `speech.tts` ([settings.md](settings.md)) name the engines that listen and speak, in order: each steps
in when those before it fail, in the middle of a sentence too, and hears what was said so far or goes on where the other
one stopped. `antiphon speech list` shows which can be used here and what the others need, `antiphon speech test` tries
them out, `antiphon speech download` fetches models ([cli.md](cli.md)).

```toml
[speech]
stt = ["faster_whisper:small", "pocketsphinx"]  # better ears; the default one steps in
tts = ["piper", "espeak"]
language = "de"

[speech.engines.piper]
voice = "de_DE-thorsten-medium"
```

`name:argument` sets one key of an engine, the one marked below. Everything else stands in its table
`[speech.engines.NAME]`; where one name listens and speaks, keys for one of both stand in `[speech.engines.NAME.stt]` or
`.tts`. A table in a variable is JSON: `ANTIPHON_SPEECH__ENGINES='{"espeak": {"rate": 170}}'`. Only an owner changes the
engines in the console, since they decide where speech and keys are sent; their tables are changed in the file.

The default engines work offline with nothing to fetch. The one that listens understands **English commands**, not
dictation, and no other language; speaking covers over a hundred languages in a plain voice.

Another package adds an engine by an entry point in the group `antiphon.speech.stt` or `antiphon.speech.tts` that leads
to a module with a constant `ENGINE` (`antiphon.speech.engine`).
"""


SPEECH_TAIL = """
## Whether somebody is done

`voice.turn_detection` names what decides that a person has finished speaking, and may be answered:

| name | what it is |
| --- | --- |
{rows}

The two models hear by the tone whether somebody stopped or only thinks about the next word; then they are waited for,
up to `voice.most_endpoint_seconds`. A model is loaded once for all sessions, with the first that wants it. LiveKit's
comes with the package `livekit-agents`, whose licence binds it to that. smart-turn's (BSD) is fetched by `antiphon
speech download smart_turn` from the Python package it lies in, so that a package registry is enough; a newer file of
version 3 in `models_dir/smart_turn` is taken instead. It takes about 50 ms of a core each time somebody falls silent,
beside the conversation, and has heard 23 languages of people: in others, and while a model is missing, silence alone
decides, which the voice page and the status page say.
"""


def engines() -> Iterator[str]:
    """The lines of docs/reference/speech.md."""
    yield SPEECH_HEAD.rstrip("\n")
    for kind, title in (("stt", "Listening"), ("tts", "Speaking")):
        yield from ("", f"## {title}")
        for name in _registry.names(kind):
            engine = _registry.engine(kind, name)
            yield from ("", f"### {name} ({kind})", "", f"{engine.title[0].upper()}{engine.title[1:]}.", "")
            yield "| key | default | meaning |"
            yield "| --- | --- | --- |"
            for key, field in engine.config.model_fields.items():
                marked = f"`{key}` (argument)" if key == engine.argument else f"`{key}`"
                value = field.get_default(call_default_factory=True)
                default = "needed" if field.is_required() else f"`{plain(value)}`"
                yield f"| {marked} | {default} | {field.description or ''} |"
    rows = "\n".join(f"| `{name}` | {title[0].upper()}{title[1:]}. |" for name, title in DETECTORS.items())
    yield SPEECH_TAIL.format(rows=rows).rstrip("\n")


def plain(value: object) -> str:
    """A default as TOML."""
    if value is None or isinstance(value, SecretStr):
        return '""'
    if isinstance(value, tuple):
        value = list(value)
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)


def by_section() -> Iterator[tuple[str, Iterable[Key]]]:
    """The keys under their table's name; the top level's name is empty."""
    yield from groupby(all_keys().values(), key=lambda key: key.name.rpartition(".")[0])


def required(key: Key) -> str:
    """The keys of a table that have no default."""
    return " and ".join(inner.name for inner in key.fields if inner.required)


def written(key: Key) -> str:
    """The default as TOML. What is not set is written as the empty text, which counts as not set."""
    value = key.default
    if value is None or isinstance(value, SecretStr):
        return '""'
    if isinstance(value, tuple):
        return json.dumps(list(value))
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)


if __name__ == "__main__":
    main()
