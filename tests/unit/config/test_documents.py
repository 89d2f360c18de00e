"""antiphon.example.toml and docs/reference/settings.md say exactly what the settings tree says, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from antiphon.config import Settings, load_settings
from antiphon.config.keys import ALIASES, CONFIG_VARIABLE, Key, all_keys, sections

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "antiphon.example.toml"
REFERENCE = ROOT / "docs" / "reference" / "settings.md"


def written(value: object) -> str:
    """A default as TOML: what stands behind `key =` in the example."""
    if value is None:
        return '""'
    if hasattr(value, "get_secret_value"):
        return '""'
    if isinstance(value, Path | str):
        return json.dumps(str(value), ensure_ascii=False)
    if isinstance(value, tuple):
        return json.dumps(list(value))
    return json.dumps(value)


def documented() -> dict[str, tuple[str, str]]:
    """Each `# key = value` of the example with its section: name -> (value, the comment above it)."""
    found: dict[str, tuple[str, str]] = {}
    section, comment = "", []
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if header := re.fullmatch(r"\[(\w+)\]", line):
            section, comment = f"{header[1]}.", []
        elif entry := re.fullmatch(r"#(\w+) = (.*)", line):
            assert section + entry[1] not in found, f"{section + entry[1]} is documented twice"
            found[section + entry[1]] = (entry[2], " ".join(comment))
            comment = []
        elif line.startswith("#     "):
            continue  # the keys of a table of a list
        elif line.startswith("# "):
            comment.append(line[2:])
        else:
            comment = []
    return found


def test_the_example_documents_every_key_and_no_other() -> None:
    assert list(documented()) == list(all_keys())
    headers = re.findall(r"^\[(\w+)\]$", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE)
    assert headers == list(sections())


@pytest.mark.parametrize("key", all_keys().values(), ids=lambda key: key.name)
def test_the_example_gives_default_meaning_and_range(key: Key) -> None:
    value, comment = documented()[key.name]
    assert value == written(key.default)
    assert key.description in comment
    for part in (*key.choices, *key.limits):
        assert repr(part) in comment or part in comment


def test_the_example_as_it_is_changes_nothing(tmp_path: Path) -> None:
    assert load_settings({}, config_file=EXAMPLE, directory=tmp_path) == Settings()


def test_the_example_with_every_key_uncommented_is_valid(tmp_path: Path) -> None:
    text = re.sub(r"^#(\w+ = )", r"\1", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    file = tmp_path / "all.toml"
    file.write_text(text, encoding="utf-8")
    settings = load_settings({}, config_file=file, directory=tmp_path)
    assert settings.model_dump() == Settings().model_dump()
    assert settings.origin("http.port") == f"{file} http.port"


def test_the_reference_lists_every_key_and_variable() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    rows = {row[1]: row[0] for row in re.finditer(r"^\| `([a-z_.]+)` \|.*$", text, re.MULTILINE)}
    assert list(rows) == list(all_keys())
    for key in all_keys().values():
        row = rows[key.name]
        assert f"`{key.variable}`" in row
        assert key.description in row
        for part in key.limits:
            assert part in row
    for key in all_keys().values():
        for inner in key.fields:
            assert f"| `{key.name}[].{inner.name}` |" in text
            assert inner.description in text
    for variable in (*ALIASES, CONFIG_VARIABLE):
        assert f"`{variable}`" in text
