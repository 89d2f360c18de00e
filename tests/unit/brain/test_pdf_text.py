"""The words of a PDF, read in a process with limits: whatever the file does, the turn goes on."""

from __future__ import annotations

import io
import time

import pytest
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from antiphon.brain.files import pdf_text


def a_pdf(*texts: str, password: str = "") -> bytes:
    """A PDF with a page for each text."""
    writer = PdfWriter()
    for text in texts:
        page = writer.add_blank_page(300, 300)
        font = DictionaryObject(
            {
                NameObject("/Type"): NameObject("/Font"),
                NameObject("/Subtype"): NameObject("/Type1"),
                NameObject("/BaseFont"): NameObject("/Helvetica"),
            }
        )
        fonts = DictionaryObject({NameObject("/F1"): writer._add_object(font)})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        content = DecodedStreamObject()
        content.set_data(f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET".encode())
        page[NameObject("/Contents")] = writer._add_object(content)
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


async def read(content: bytes, *, pages: int = 50, characters: int = 20_000, seconds: float = 20.0) -> str:
    return await pdf_text(content, pages=pages, characters=characters, seconds=seconds)


async def test_its_words_up_to_the_limits() -> None:
    document = a_pdf("The heron lands at noon", "second page", "third page")
    assert await read(document) == "The heron lands at noon\n\nsecond page\n\nthird page"
    assert await read(document, pages=1) == "The heron lands at noon"
    assert await read(document, characters=9) == "The heron"


@pytest.mark.parametrize(
    "content",
    [b"", b"%PDF-1.7\n", b"%PDF-" + b"\x00" * 5000, a_pdf("secret", password="x")],
    ids=["empty", "head", "zeros", "locked"],
)
async def test_what_cannot_be_read_is_empty(content: bytes) -> None:
    assert await read(content) == ""


async def test_one_that_takes_too_long_is_given_up() -> None:
    started = time.monotonic()
    assert await read(a_pdf("words"), seconds=0.01) == ""
    assert time.monotonic() - started < 3
