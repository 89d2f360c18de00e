"""The server's part in Discord's end-to-end encryption: it proposes who belongs to the group, and cannot listen.

Source: "DAVE Protocol Whitepaper" (daveprotocol.com), "Voice Gateway Opcodes", "MLS Setup"; RFC 9420 (MLS): section
2.1.2 variable-length vectors, 6 message framing, 12.1.8 external proposals, 12.4 commits; docs, Voice, "End-to-End
Encryption (DAVE Protocol)".
"""

from __future__ import annotations

import struct

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PROTOCOL = 1
EXTERNAL_SENDER, KEY_PACKAGE, PROPOSALS, COMMIT_WELCOME, ANNOUNCE_COMMIT, WELCOME, INVALID_COMMIT = range(25, 32)
PREPARE_TRANSITION, EXECUTE_TRANSITION, TRANSITION_READY, PREPARE_EPOCH = 21, 22, 23, 24
_MLS10, _PUBLIC_MESSAGE, _KEY_PACKAGE = 1, 1, 5
_SENDER_MEMBER, _SENDER_EXTERNAL = 1, 2
_CONTENT_PROPOSAL, _CONTENT_COMMIT = 2, 3
_PROPOSAL_ADD = 1


def vector(data: bytes) -> bytes:
    """With its length in front: 6, 14 or 30 bits."""
    size = len(data)
    if size < 1 << 6:
        return bytes([size]) + data
    if size < 1 << 14:
        return struct.pack(">H", 1 << 14 | size) + data
    return struct.pack(">I", 2 << 30 | size) + data


class _Reader:
    """Raises ValueError where the data end early."""

    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0

    def take(self, size: int) -> bytes:
        part = self._data[self.at : self.at + size]
        if len(part) != size:
            raise ValueError("the message ends early")
        self.at += size
        return part

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self) -> bytes:
        if self.at >= len(self._data):
            raise ValueError("the message ends early")
        size = 1 << (self._data[self.at] >> 6)
        if size > 4:
            raise ValueError("no such length")
        return self.take(self.number(size) & ((1 << (8 * size - 2)) - 1))


def split_commit(data: bytes) -> tuple[bytes, bytes, int]:
    """A commit and the welcome behind it, and the epoch that the commit ends. Raises ValueError when it is none."""
    read = _Reader(data)
    if (read.number(2), read.number(2)) != (_MLS10, _PUBLIC_MESSAGE):
        raise ValueError("not a public message of MLS 1.0")
    read.vector()  # group
    epoch = read.number(8)
    if read.number(1) != _SENDER_MEMBER:
        raise ValueError("a commit comes from a member")
    read.take(4)  # leaf
    read.vector()  # authenticated data
    if read.number(1) != _CONTENT_COMMIT:
        raise ValueError("not a commit")
    read.vector()  # proposals
    if read.number(1):
        _skip_path(read)
    for _ in range(3):  # signature, confirmation tag, membership tag
        read.vector()
    return data[: read.at], data[read.at :], epoch


def _skip_path(read: _Reader) -> None:
    """An update path: a leaf node, then nodes."""
    read.vector()
    read.vector()  # encryption key, signature key
    read.take(2)
    read.vector()  # credential
    for _ in range(5):  # capabilities
        read.vector()
    source = read.number(1)
    if source == 1:
        read.take(16)  # lifetime
    elif source == 3:
        read.vector()  # parent hash
    read.vector()  # extensions
    read.vector()  # signature
    read.vector()  # nodes


def key_package(body: bytes) -> bytes:
    """Without the framing of an MLS message, if there is one."""
    framing = struct.pack(">HH", _MLS10, _KEY_PACKAGE)
    return body[4:] if body[:4] == framing else body


class ExternalSender:
    """The voice gateway's signing key."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._public = self._key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    def package(self) -> bytes:
        """What clients learn of the server before they make a group."""
        return vector(self._public) + struct.pack(">H", 1) + vector(b"simulated voice gateway")

    def add(self, channel_id: int, epoch: int, package: bytes) -> bytes:
        """A signed proposal to add the owner of a key package to the group of a channel."""
        content = (
            vector(struct.pack(">Q", channel_id))
            + struct.pack(">QBIB", epoch, _SENDER_EXTERNAL, 0, 0)
            + struct.pack(">BH", _CONTENT_PROPOSAL, _PROPOSAL_ADD)
            + package
        )
        framed = struct.pack(">HH", _MLS10, _PUBLIC_MESSAGE) + content
        signed = vector(b"MLS 1.0 FramedContentTBS") + vector(framed)
        return framed + vector(self._key.sign(signed, ec.ECDSA(hashes.SHA256())))
