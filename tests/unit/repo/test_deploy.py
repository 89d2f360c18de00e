"""The image and the compose file use settings that exist, and expose nothing."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from antiphon.config import load_settings
from antiphon.run.commands import REFUSED
from antiphon.run.roles import ROLES

ROOT = Path(__file__).parents[3]


@pytest.fixture
def compose() -> dict[str, Any]:
    return YAML(typ="safe").load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))


def image_environment() -> dict[str, str]:
    final = (ROOT / "Dockerfile").read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    return dict(re.findall(r"(ANTIPHON_\w+)=(\S+)", final.partition("COPY")[0]))


def test_the_compose_file_gives_settings_that_are_accepted(compose: dict[str, Any], tmp_path: Path) -> None:
    given = {name: re.sub(r"\$\{\w+:?-(.*)\}", r"\1", str(value)) for name, value in service(compose).items()}
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "database_url").write_text("postgresql://antiphon:x@postgres:5432/antiphon")
    (secrets / "postgres_password").write_text("x")
    (secrets / "livekit_api_secret").write_text("y" * 32)
    environ = {**image_environment(), **given, "ANTIPHON_SECRETS_DIR": str(secrets)}
    settings = load_settings(environ, directory=tmp_path)
    assert settings.http.host == "0.0.0.0"
    assert settings.http.trusted_proxies == (gateway(compose),)
    assert settings.livekit.url == "ws://livekit:7880"
    assert settings.livekit.browser_url == "ws://127.0.0.1:7880"
    assert settings.livekit.api_secret.get_secret_value() == "y" * 32
    assert settings.database_url.get_secret_value().startswith("postgresql://")


@pytest.mark.parametrize("kind", ["stt", "tts"])
def test_the_speech_services_get_settings_that_are_accepted(compose: dict[str, Any], tmp_path: Path, kind: str) -> None:
    part = compose["services"][kind]
    given = {name: re.sub(r"\$\{\w+:?-(.*)\}", r"\1", str(value)) for name, value in part["environment"].items()}
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / part["secrets"][0]).write_text("0123456789abcdef")
    environ = {**image_environment(), **given, "ANTIPHON_SECRETS_DIR": str(secrets)}
    settings = load_settings(environ, directory=tmp_path).speech_services
    assert (settings.host, settings.secure, settings.token.get_secret_value()) == ("0.0.0.0", True, "0123456789abcdef")
    assert settings.wyoming_allow == (gateway(compose),)
    ports = {port.rpartition(":")[2] for port in part["ports"]}
    assert ports == {str(getattr(settings, f"{kind}_port")), str(getattr(settings, f"{kind}_wyoming_port"))}
    assert (part["command"], part["hostname"], part["profiles"]) == ([kind], kind, ["speech"])


def service(compose: dict[str, Any]) -> dict[str, Any]:
    return compose["services"]["antiphon"]["environment"]


def gateway(compose: dict[str, Any]) -> str:
    return compose["networks"]["front"]["ipam"]["config"][0]["gateway"]


def test_only_loopback_is_published(compose: dict[str, Any]) -> None:
    published = [port for one in compose["services"].values() for port in one.get("ports", [])]
    assert all(re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port) for port in published)
    assert [port.rpartition(":")[2] for port in published] == ["8000", "7880", "50051", "10300", "50052", "10200"]


def test_the_databases_are_on_a_network_without_a_way_out(compose: dict[str, Any]) -> None:
    assert compose["networks"]["back"]["internal"] is True
    for name in ("postgres", "valkey"):
        assert compose["services"][name]["networks"] == ["back"]


def test_the_image_refuses_to_start_public_and_unprotected(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"http\.trusted_proxies"):
        load_settings(image_environment(), directory=tmp_path)


def test_the_process_in_the_image_is_nobody_special() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "USER 10001:10001" in text.rpartition("\nFROM ")[2]
    assert "HEALTHCHECK" in text


UNIT = ROOT / "deploy" / "antiphon@.service"


@pytest.mark.needs("systemd-analyze")
def test_the_unit_is_hardened() -> None:
    """Exposure 2.0 of 10 at most; a program without any of this has 9.6."""
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


def test_the_unit_starts_roles_that_exist_with_settings_that_are_accepted(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8")
    given = dict(re.findall(r"^Environment=(\w+)=(.*)$", text, re.MULTILINE))
    (tmp_path / "antiphon.json").write_text('{"http": {"port": 8123}}')
    assert given["ANTIPHON_CONFIG"].endswith("/antiphon.json")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "DISCORD_TOKEN").write_text("a.token.of-a-bot\n")
    given |= {"ANTIPHON_CONFIG": str(tmp_path / "antiphon.json"), "ANTIPHON_SECRETS_DIR": str(tmp_path / "secrets")}
    settings = load_settings(
        {name: value.replace("%S", str(tmp_path)) for name, value in given.items()}, directory=tmp_path
    )
    assert (settings.http.port, settings.log.format) == (8123, "json")
    assert settings.data_dir == tmp_path / "antiphon"
    assert settings.discord.token.get_secret_value() == "a.token.of-a-bot"
    for role in re.findall(r"antiphon@(\w+)", text):
        assert role in {*ROLES, "discord", "service"}
    assert f"RestartPreventExitStatus={REFUSED}" in text
