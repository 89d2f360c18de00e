"""Long answers are cut where a reader would cut them, and nothing is lost."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.threads.splitting import split_text

WORDS = st.lists(st.text("abcdefgh äß🙂", min_size=1, max_size=30), max_size=200).map(" ".join)


def test_short_text_is_one_part() -> None:
    assert split_text("hello", 2000) == ("hello",)


@pytest.mark.parametrize("text", ["", "  \n "])
def test_blank_text_has_no_parts(text: str) -> None:
    assert split_text(text, 2000) == ()


def test_cuts_between_paragraphs_first() -> None:
    text = "a" * 60 + "\n\n" + "b" * 30 + " " + "c" * 30
    assert split_text(text, 100) == ("a" * 60, "b" * 30 + " " + "c" * 30)


def test_a_word_longer_than_the_limit_is_cut() -> None:
    assert "".join(split_text("x" * 250, 100)) == "x" * 250


def test_code_blocks_are_closed_and_opened_again() -> None:
    code = "\n".join(f"line {n}" for n in range(60))
    parts = split_text(f"See:\n```python\n{code}\n```\ndone", 200)
    for part in parts:
        assert part.count("```") % 2 == 0
    for part in parts[1:-1]:
        assert part.startswith("```python\n")
    lines = [line for part in parts for line in part.splitlines() if line.startswith("line")]
    assert lines == code.splitlines()


@given(WORDS, st.integers(min_value=50, max_value=400))
def test_every_part_fits_and_no_word_is_lost(text: str, limit: int) -> None:
    parts = split_text(text, limit)
    assert all(len(part) <= limit for part in parts)
    assert all(part.strip() for part in parts)
    assert re.sub(r"\s", "", "".join(parts)) == re.sub(r"\s", "", text)


@given(
    st.lists(st.sampled_from(["```", "```py", "text", "", "    indented", "a" * 90]), max_size=60), st.integers(60, 150)
)
def test_any_mix_of_fences_fits(lines: list[str], limit: int) -> None:
    assert all(len(part) <= limit for part in split_text("\n".join(lines), limit))
