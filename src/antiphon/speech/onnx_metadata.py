"""What an ONNX file says about itself, without loading it: libraries that read a model of a kind they do not expect may
end the whole process.

Only the two messages of the format (protocol buffers) that hold the entries are read; weights are skipped.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from antiphon.domain.errors import SpeechError

_ENTRY, _KEY, _VALUE = 14, 1, 2
"""Numbers of the fields `ModelProto.metadata_props`, and of key and value in each."""
_MOST_BYTES = 1_048_576
_SKIPPED = {1: 8, 5: 4}
"""Bytes of numbers with a fixed width, by how they are encoded."""


def onnx_metadata(path: Path) -> Mapping[str, str]:
    """The entries of a file. Raises `SpeechError` where it is no ONNX file."""
    found: dict[str, str] = {}
    try:
        with path.open("rb") as file:
            for entry in _fields(file, {_ENTRY}).get(_ENTRY, []):
                parts = _fields(io.BytesIO(entry), {_KEY, _VALUE})
                found[parts[_KEY][0].decode()] = parts[_VALUE][0].decode() if _VALUE in parts else ""
    except (OSError, ValueError, KeyError) as error:
        raise SpeechError(f"{path.name} is no ONNX model, or cut off.") from error
    return found


def _fields(file: BinaryIO, wanted: set[int]) -> Mapping[int, list[bytes]]:
    """The contents of some fields of a message. Raises `ValueError` where it is none."""
    found: dict[int, list[bytes]] = {}
    for tag in iter(lambda: _number(file), None):
        number, encoding = tag >> 3, tag & 7
        if encoding == 0:
            _number(file)
        elif encoding in _SKIPPED:
            file.seek(_SKIPPED[encoding], io.SEEK_CUR)
        elif encoding == 2 and (size := _number(file)) is not None:
            if number not in wanted:
                file.seek(size, io.SEEK_CUR)
            elif size > _MOST_BYTES or len(content := file.read(size)) < size:
                raise ValueError("cut off, or too long")
            else:
                found.setdefault(number, []).append(content)
        else:
            raise ValueError("no message")
    return found


def _number(file: BinaryIO) -> int | None:
    """A number of variable length, None at the end of the file."""
    value = 0
    for shift in range(0, 64, 7):
        byte = file.read(1)
        if not byte:
            if shift:
                raise ValueError("cut off")
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("too long")
