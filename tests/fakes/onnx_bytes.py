"""Writing small ONNX models by hand: the few messages of the format that a graph of a few nodes needs.

The package `onnx` is not needed for it, and neither is anything that trains a model.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

FLOAT, INT32, INT64, BOOL, FLOAT16 = 1, 6, 7, 9, 10
_TYPES = {np.dtype(np.float32): FLOAT, np.dtype(np.int64): INT64}


def model(
    nodes: Sequence[bytes],
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
    weights: Mapping[str, np.ndarray[Any, Any]],
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """A whole file."""
    graph = b"".join(_message(1, node) for node in nodes) + _text(2, "tiny")
    graph += b"".join(_message(5, _tensor(name, array)) for name, array in weights.items())
    graph += b"".join(_message(11, value) for value in inputs) + b"".join(_message(12, value) for value in outputs)
    entries = b"".join(_message(14, _text(1, key) + _text(2, value)) for key, value in (metadata or {}).items())
    return _number(1, 8) + _message(7, graph) + _message(8, _text(1, "") + _number(2, 15)) + entries


def node(kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: int | Sequence[int]) -> bytes:
    """One operation. Attributes are whole numbers, or lists of them."""
    found = b"".join(_text(1, name) for name in inputs) + b"".join(_text(2, name) for name in outputs)
    found += _text(4, kind)
    for name, value in attributes.items():
        if isinstance(value, int):
            attribute = _text(1, name) + _number(3, value) + _number(20, 2)
        else:
            attribute = _text(1, name) + b"".join(_number(8, one) for one in value) + _number(20, 7)
        found += _message(5, attribute)
    return found


def value(name: str, kind: int, shape: Sequence[int | str]) -> bytes:
    """An input or output with its shape; a text is a size that is known later."""
    sizes = b"".join(_message(1, _text(2, one) if isinstance(one, str) else _number(1, one)) for one in shape)
    return _text(1, name) + _message(2, _message(1, _number(1, kind) + _message(2, sizes)))


def _tensor(name: str, array: np.ndarray[Any, Any]) -> bytes:
    dims = b"".join(_number(1, size) for size in array.shape)
    return dims + _number(2, _TYPES[array.dtype]) + _text(8, name) + _message(9, array.tobytes())


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number & 0xFFFF_FFFF_FFFF_FFFF)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(found) + struct.pack("B", number)
