"""Transport encryption between a client and the voice server.

Source: docs, Voice, "Transport Encryption Modes" and "Encrypting and Sending Voice": the nonce is a 32-bit counter,
little or big endian as the sender likes, appended to the packet; the RTP header is authenticated.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

AES, XCHACHA = "aead_aes256_gcm_rtpsize", "aead_xchacha20_poly1305_rtpsize"
MODES = (AES, XCHACHA)
"""The preferred one first; the second is the one that every client must support."""


class Box:
    def __init__(self, key: bytes, mode: str) -> None:
        if mode == AES:
            self._aes, self._xchacha = AESGCM(key), None
        else:
            import nacl.secret

            self._aes, self._xchacha = None, nacl.secret.Aead(key)

    def seal(self, plain: bytes, header: bytes, nonce: bytes) -> bytes:
        if self._aes is not None:
            return self._aes.encrypt(nonce + bytes(8), plain, header)
        assert self._xchacha is not None  # noqa: S101 - one of the two
        return self._xchacha.encrypt(plain, header, nonce + bytes(20)).ciphertext

    def open(self, sealed: bytes, header: bytes, nonce: bytes) -> bytes:
        """Raises an exception of the cipher's when it was tampered with."""
        if self._aes is not None:
            return self._aes.decrypt(nonce + bytes(8), sealed, header)
        assert self._xchacha is not None  # noqa: S101 - one of the two
        return self._xchacha.decrypt(sealed, header, nonce + bytes(20))
