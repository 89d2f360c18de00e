"""The certificates to serve with, and the self-signed one of `tls = "self"`: so that a phone on the LAN may use its
microphone, and so that what is said to a speech service is not read on the way.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from antiphon.config import Settings

if TYPE_CHECKING:
    from cryptography import x509

VALID = timedelta(days=397)
"""Browsers refuse certificates that are valid for longer."""
RENEW_BEFORE = timedelta(days=30)


def certificate_files(settings: Settings) -> tuple[Path, Path] | None:
    """The certificate and key to serve with, or None for plain HTTP. Makes a self-signed pair when it is asked for."""
    http = settings.http
    if http.tls_cert is not None and http.tls_key is not None:
        return http.tls_cert, http.tls_key
    if http.tls != "self":
        return None
    return _self_signed(settings.data_dir / "tls", _names(http.host, http.public_url))


def service_certificate(settings: Settings, name: str) -> tuple[Path, Path] | None:
    """The same for a speech service, `stt` or `tts`. Each has a self-signed pair of its own."""
    services = settings.speech_services
    if services.tls_cert is not None and services.tls_key is not None:
        return services.tls_cert, services.tls_key
    if services.tls != "self":
        return None
    return _self_signed(settings.data_dir / f"tls-{name}", _names(services.host, ""))


def _self_signed(folder: Path, names: list[str]) -> tuple[Path, Path]:
    certificate, key = folder / "cert.pem", folder / "key.pem"
    if not _usable(certificate, key, names):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(certificate, key, names)
    return certificate, key


def _names(bound: str, public_url: str) -> list[str]:
    """Every name this machine may be reached by: a browser compares the address bar with these."""
    names = {"localhost", "127.0.0.1", "::1", socket.gethostname(), f"{socket.gethostname()}.local"}
    if bound not in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        names.add(bound)
    else:
        names.update(_lan_addresses())
    if host := urlsplit(public_url).hostname:
        names.add(host)
    return sorted(names)


def _lan_addresses() -> set[str]:
    """The addresses the machine's own name resolves to, and the one it would speak to the outside from."""
    found: set[str] = set()
    with contextlib.suppress(OSError):
        found.update(str(info[4][0]).partition("%")[0] for info in socket.getaddrinfo(socket.gethostname(), None))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # a documentation address: connecting a datagram socket sends nothing
        found.add(probe.getsockname()[0])
    return found


def _usable(certificate: Path, key: Path, names: list[str]) -> bool:
    from cryptography import x509

    if not certificate.is_file() or not key.is_file():
        return False
    try:
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
        alternative = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    covered = {str(name.value) for name in alternative}
    return loaded.not_valid_after_utc - datetime.now(UTC) > RENEW_BEFORE and set(names) <= covered


def _make(certificate: Path, key: Path, names: list[str]) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Antiphon on this machine")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    key.unlink(missing_ok=True)
    descriptor = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(
            private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))


def _general_name(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
