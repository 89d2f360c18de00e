"""A program of its own: reads a PDF from stdin, writes its text to stdout as UTF-8. Started by `files`.

A PDF is a program somebody else wrote for a complicated machine. Reading one may take forever or all memory, so it
happens in a process with limits, which is ended when its time is over.
"""

from __future__ import annotations

import io
import sys

MEMORY_BYTES = 1024 * 1024 * 1024


def main(pages: int, characters: int, seconds: int) -> int:
    """Write the text of up to `pages` pages and `characters` characters; exit status 1 when it is no readable PDF."""
    _limit(seconds)
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(io.BytesIO(sys.stdin.buffer.read()))
        if reader.is_encrypted and not reader.decrypt(""):
            return 1
        left = characters
        for number, page in enumerate(reader.pages):
            if number >= pages or left <= 0:
                break
            text = page.extract_text().strip()
            if text:
                sys.stdout.buffer.write(text[:left].encode("utf-8", "replace") + b"\n\n")
                sys.stdout.buffer.flush()  # what was read stays, whatever the next page does
                left -= len(text)
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, MemoryError):
        return 1
    except (OSError, ArithmeticError, NotImplementedError):
        return 1
    return 0


def _limit(seconds: int) -> None:
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    if sys.platform != "darwin":  # which refuses it
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
