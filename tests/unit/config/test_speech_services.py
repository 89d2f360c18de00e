"""Speech services that others could reach start only when they are safe."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.config import load_settings
from antiphon.domain.errors import ConfigError

GOOD = "0123456789abcdef"
EVERYWHERE = "0.0.0.0"
OPEN = "HOST: 0.0.0.0 can be reached from other machines, and "
PREFIX = "ANTIPHON_SPEECH_SERVICES__"


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        (
            {"HOST": EVERYWHERE},
            f"{OPEN}there is no TLS and no token;",
        ),
        (
            {"HOST": EVERYWHERE, "TLS": "self"},
            f"{OPEN}there is no token;",
        ),
        ({"HOST": EVERYWHERE, "TOKEN": GOOD}, f"{OPEN}there is no TLS;"),
        ({"WYOMING_HOST": EVERYWHERE}, f"WYOMING_{OPEN}Wyoming knows"),
        ({"WYOMING_ALLOW": "0.0.0.0/0"}, "WYOMING_ALLOW: '0.0.0.0/0' is the whole internet"),
        ({"TOKEN": "short"}, "TOKEN: is no token: at least 16 printable ASCII characters without spaces; make one:"),
        ({"TOKEN": "spaces are not good"}, "TOKEN: is no token"),
        ({"TLS_CERT": "none.pem"}, "TLS_CERT: the file none.pem does not exist"),
        ({"STT_PORT": "65536"}, "STT_PORT: '65536' is not accepted"),
    ],
)
def test_what_is_refused(tmp_path: Path, variables: dict[str, str], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({f"{PREFIX}{name}": value for name, value in variables.items()}, directory=tmp_path)
    assert f"environment: {PREFIX}{line}" in str(caught.value)
    assert "short" not in str(caught.value)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"HOST": EVERYWHERE, "TLS": "self", "TOKEN": GOOD},
        {"HOST": "::1"},
        {"WYOMING_HOST": EVERYWHERE, "WYOMING_ALLOW": "192.168.7.9"},
        {"WYOMING_HOST": EVERYWHERE, "WYOMING": "false"},
    ],
)
def test_what_is_accepted(tmp_path: Path, variables: dict[str, str]) -> None:
    load_settings({f"{PREFIX}{name}": value for name, value in variables.items()}, directory=tmp_path)
