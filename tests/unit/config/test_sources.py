"""Where settings come from: every source, their order, and that each value knows its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from antiphon.config import Settings, load_settings


def load(directory: Path, environ: dict[str, str] | None = None, **more: object) -> Settings:
    return load_settings(environ or {}, directory=directory, **more)  # type: ignore[arg-type]


def test_nothing_configured_gives_the_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings == Settings()
    assert settings.http.url == "http://127.0.0.1:8000"
    assert settings.models_path == Path("data/models")
    assert settings.origin("http.port") == "default"


def test_building_settings_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_MODEL", "openai:x")
    monkeypatch.setenv("MODEL", "openai:x")
    monkeypatch.setenv("HTTP", '{"port": 1}')
    assert Settings() == Settings(model="", http={"port": 8000})  # type: ignore[arg-type]


def test_toml_and_json_files_say_the_same(tmp_path: Path) -> None:
    toml = tmp_path / "a.toml"
    toml.write_text(
        'model = "ollama:one"\n[http]\nport = 9000\ntrusted_proxies = ["10.0.0.0/8"]\n[log]\nlevel = "debug"\n'
    )
    as_json = tmp_path / "a.json"
    as_json.write_text(
        json.dumps(
            {
                "model": "ollama:one",
                "http": {"port": 9000, "trusted_proxies": ["10.0.0.0/8"]},
                "log": {"level": "debug"},
            }
        )
    )
    first = load(tmp_path, config_file=toml)
    assert first.model_dump() == load(tmp_path, {"ANTIPHON_CONFIG": str(as_json)}).model_dump()
    assert (first.http.port, first.http.trusted_proxies, first.log.level) == (9000, ("10.0.0.0/8",), "debug")
    assert first.origin("http.port") == f"{toml} http.port"


def test_the_file_in_the_working_directory_is_found(tmp_path: Path) -> None:
    (tmp_path / "antiphon.toml").write_text("[threads]\nslots = 3\n")
    assert load(tmp_path).threads.slots == 3


def test_a_stronger_source_wins(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    file = tmp_path / "antiphon.toml"
    dotenv = tmp_path / ".env"

    def port() -> int:
        return load(tmp_path, environ, overrides=overrides).http.port

    environ: dict[str, str] = {}
    overrides: dict[str, object] = {}
    file.write_text(f'secrets_dir = "{secrets}"\n[http]\nport = 1001\n')
    assert port() == 1001
    (secrets / "antiphon_http__port").write_text("1002\n")
    assert port() == 1002
    dotenv.write_text("ANTIPHON_HTTP__PORT=1003\n")
    assert port() == 1003
    environ["ANTIPHON_HTTP__PORT"] = "1004"
    assert port() == 1004
    overrides["http.port"] = 1005
    assert port() == 1005


def test_well_known_variables_are_understood(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        {
            "DATABASE_URL": "postgresql://u:p@h/d",
            "REDIS_URL": "redis://h/0",
            "OPENAI_API_KEY": "key-of-mine",
            "OPENAI_BASE_URL": "http://127.0.0.1:1/v1/",
            "SYSTEM_PROMPT": "Be brief.",
            "LIVEKIT_URL": "ws://x",
            "LIVEKIT_API_KEY": "k",
            "LIVEKIT_API_SECRET": "s",
            "DISCORD_TOKEN": "t",
            "TELEGRAM_TOKEN": "t",
            "PATH": "/bin",
        },
    )
    assert settings.database_url.get_secret_value() == "postgresql://u:p@h/d"
    assert settings.redis_url.get_secret_value() == "redis://h/0"
    assert settings.openai_api_key.get_secret_value() == "key-of-mine"
    assert settings.openai_base_url == "http://127.0.0.1:1/v1"
    assert settings.system_prompt == "Be brief."
    assert settings.origin("database_url") == "environment DATABASE_URL"


def test_our_own_variable_wins_over_a_well_known_one(tmp_path: Path) -> None:
    settings = load(tmp_path, {"ANTIPHON_SYSTEM_PROMPT": "ours", "SYSTEM_PROMPT": "theirs"})
    assert settings.system_prompt == "ours"


def test_an_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    (tmp_path / "antiphon.toml").write_text("[http]\nport = 1001\n")
    assert load(tmp_path, {"ANTIPHON_HTTP__PORT": "", "DATABASE_URL": ""}).http.port == 1001


@pytest.mark.parametrize("text", ["10.0.0.0/8, 127.0.0.1", '["10.0.0.0/8", "127.0.0.1"]'])
def test_a_list_in_a_variable(tmp_path: Path, text: str) -> None:
    settings = load(tmp_path, {"ANTIPHON_HTTP__TRUSTED_PROXIES": text})
    assert settings.http.trusted_proxies == ("10.0.0.0/8", "127.0.0.1")


def test_secrets_are_files_named_like_variables_and_others_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "openai_api_key").write_text("from-a-file\n")
    (folder / "DATABASE_URL").write_text("postgresql://h/d")
    (folder / "postgres_password").write_text("not ours")
    settings = load(tmp_path, {"ANTIPHON_SECRETS_DIR": str(folder)})
    assert settings.openai_api_key.get_secret_value() == "from-a-file"
    assert settings.database_url.get_secret_value() == "postgresql://h/d"
    assert settings.origin("openai_api_key") == f"{folder / 'openai_api_key'} OPENAI_API_KEY"


def test_the_tree_cannot_be_changed() -> None:
    settings = Settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.model = "x:y"  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        settings.http.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("http", "url"),
    [
        ({"host": "0.0.0.0", "port": 1}, "http://localhost:1"),
        ({"host": "::1", "port": 1}, "http://[::1]:1"),
        ({"tls": "self"}, "https://127.0.0.1:8000"),
        ({"public_url": "https://chat.example.org/"}, "https://chat.example.org"),
    ],
)
def test_the_address_for_links(http: dict[str, object], url: str) -> None:
    assert Settings(http=http).http.url == url  # type: ignore[arg-type]
