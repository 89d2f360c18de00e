"""How many tokens a text has: by the model's own tokenizer where it lies on this machine, else by a measured estimate.

Tokenizers fetch their tables from the internet. A turn must never wait for that, nor tell anybody that it happens, so
a table is used only when its file is here already (`TIKTOKEN_CACHE_DIR`, or the folder `tiktoken` in `models_dir`) and
is what it should be.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    import tiktoken

log = structlog.stdlib.get_logger(__name__)

CountTokens = Callable[[str], int]

_TABLES = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}
"""Tables of OpenAI's tokenizers and the SHA-256 of their files."""
_ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
"""Never fetched: tiktoken names the files in its cache by the SHA-1 of this."""

_CLASSES: tuple[tuple[str, float], ...] = (
    # Tokens per character, measured with o200k_base on running text of each script and rounded up: an estimate that is
    # a little too high cuts history sooner, one that is too low makes the model refuse the request.
    ("\u024f", 0.26),  # Latin with accents
    ("\u03ff", 0.40),  # Greek
    ("\u052f", 0.30),  # Cyrillic
    ("\u05ff", 0.43),  # Armenian, Hebrew
    ("\u08ff", 0.33),  # Arabic
    ("\u0dff", 0.33),  # Indic
    ("\u0eff", 0.42),  # Thai, Lao
    ("\u2e7f", 0.50),  # other scripts and punctuation
    ("\u9fff", 0.74),  # Chinese, Japanese
    ("\ud7ff", 0.60),  # Korean
    ("\uffff", 0.80),
)
_LETTER = 0.23
"""ASCII letters and spaces."""
_EMOJI = 1.5
_DIGIT = 0.36
_SIGN = 0.5
_CODED = re.compile(r"[A-Za-z0-9+/=_-]{32,}")
"""Keys, hashes and base64: no words, so hardly anything of them is one token."""
_CODED_RATE = 0.65


def estimated_tokens(text: str) -> int:
    """About how many tokens a text has, by the scripts in it; at least 1."""
    total = 0.0
    for coded in _CODED.findall(text):
        letters = sum(c.isalpha() for c in coded)
        if any(c.isdigit() for c in coded):
            total += letters * (_CODED_RATE - _LETTER)
    for character, times in Counter(text).items():
        total += times * _rate(character)
    return int(total) + 1


def _rate(character: str) -> float:
    if character.isascii():
        if character.isalpha() or character == " ":
            return _LETTER
        return _DIGIT if character.isdigit() else _SIGN
    for last, rate in _CLASSES:
        if character <= last:
            return rate
    return _EMOJI


def counter_for(model: str, folder: Path) -> CountTokens:
    """Counts as `model` ("openai:gpt-4o-mini") would: exactly when it is known how and its table is here."""
    table = _table_of(model)
    if table is None:
        return estimated_tokens
    folders = [os.environ.get("TIKTOKEN_CACHE_DIR", ""), str(folder / "tiktoken")]
    for where in filter(None, folders):
        if _is_here(Path(where), table):
            return _exact(Path(where), table)
    return estimated_tokens


def _table_of(model: str) -> str | None:
    provider, _, name = model.partition(":")
    if provider not in ("openai", "openrouter"):
        return None
    name = name.rpartition("/")[2]
    if re.match(r"gpt-(4o|4\.1|4\.5|5)|o[134]|chatgpt-4o", name):
        return "o200k_base"
    return "cl100k_base" if re.match(r"gpt-(4|3\.5)", name) else None


def _file(folder: Path, table: str) -> Path:
    key = hashlib.sha1(_ADDRESS.format(name=table).encode(), usedforsecurity=False).hexdigest()
    return folder / key


def _is_here(folder: Path, table: str) -> bool:
    """A damaged file would make the library fetch another one."""
    try:
        content = _file(folder, table).read_bytes()
    except OSError:
        return False
    return hashlib.sha256(content).hexdigest() == _TABLES[table]


def _exact(folder: Path, table: str) -> CountTokens:
    encoding: list[tiktoken.Encoding] = []

    def count(text: str) -> int:
        if not encoding:
            encoding.append(_load(folder, table))
        return len(encoding[0].encode_ordinary(text)) + 1

    return count


def _load(folder: Path, table: str) -> tiktoken.Encoding:
    import tiktoken  # late: only where its table is here

    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
    try:
        return tiktoken.get_encoding(table)
    finally:
        if before is None:
            del os.environ["TIKTOKEN_CACHE_DIR"]
        else:
            os.environ["TIKTOKEN_CACHE_DIR"] = before
