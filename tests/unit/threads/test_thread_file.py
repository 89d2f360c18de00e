"""The schema of a thread's file is published as it is."""

from __future__ import annotations

from pathlib import Path

from antiphon.threads.thread_file import ThreadFile, schema_text

DOCS = Path(__file__).parents[3] / "docs"


def test_the_published_schema_is_that_of_the_code() -> None:
    published = (DOCS / "reference" / "thread-file.schema.json").read_text(encoding="utf-8")
    assert published == schema_text(), "antiphon thread schema > docs/reference/thread-file.schema.json"


def test_every_part_is_described() -> None:
    described = (DOCS / "thread-file.md").read_text(encoding="utf-8")
    assert [name for name in ThreadFile.model_fields if f"`{name}`" not in described] == []
