"""`antiphon config show` and `schema`: complete, true, and without secrets."""

from __future__ import annotations

import json
from pathlib import Path

from antiphon.config import load_settings, report
from antiphon.config.keys import all_keys

SECRET = "hunter2-hunter2"


def test_no_secret_is_ever_shown(tmp_path: Path) -> None:
    settings = load_settings(
        {"OPENAI_API_KEY": SECRET, "DATABASE_URL": f"postgresql://u:{SECRET}@h/d", "REDIS_URL": f"redis://:{SECRET}@h"},
        directory=tmp_path,
    )
    for text in (
        repr(settings),
        str(settings),
        report.as_text(settings),
        json.dumps([line.value for line in report.describe(settings)]),
        settings.model_dump_json(),
        str(settings.model_dump()),
    ):
        assert SECRET not in text
    shown = {line.key: line.value for line in report.describe(settings)}
    assert shown["openai_api_key"] == shown["database_url"] == shown["redis_url"] == "********"
    assert {line.key: line.value for line in report.describe(load_settings({}, directory=tmp_path))}[
        "openai_api_key"
    ] == ""


def test_every_setting_is_shown_with_its_value_and_origin(tmp_path: Path) -> None:
    settings = load_settings({"ANTIPHON_HTTP__PORT": "9"}, directory=tmp_path)
    lines = {line.key: line for line in report.describe(settings)}
    assert list(lines) == list(all_keys())
    assert (lines["http.port"].value, lines["http.port"].origin) == (9, "environment ANTIPHON_HTTP__PORT")
    assert (lines["http.trusted_proxies"].value, lines["http.trusted_proxies"].origin) == ([], "default")
    assert all(line.description.endswith((".", "…")) for line in lines.values())
    text = report.as_text(settings).splitlines()
    assert len(text) == len(lines)
    assert any(line.startswith("http.port ") and line.endswith("# environment ANTIPHON_HTTP__PORT") for line in text)


def test_the_schema_describes_every_key_and_forbids_others() -> None:
    schema = report.schema()
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert schema["additionalProperties"] is False
    for key in all_keys().values():
        part = schema
        for name in key.path:
            if "$ref" in part:
                part = schema["$defs"][part["$ref"].rpartition("/")[2]]
            assert part["additionalProperties"] is False
            part = part["properties"][name]
        assert part["description"] == key.description
