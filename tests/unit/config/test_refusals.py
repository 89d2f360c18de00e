"""What is refused, in the form `FILE: key: problem; remedy`, all of it at once and never with a secret in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from antiphon.config import ConfigProblems, load_settings
from antiphon.domain.errors import ConfigError


def refusal(directory: Path, environ: dict[str, str] | None = None, toml: str = "") -> str:
    if toml:
        (directory / "antiphon.toml").write_text(toml)
    with pytest.raises(ConfigError) as caught:
        load_settings(environ or {}, directory=directory)
    return str(caught.value).replace(f"{directory}/", "")


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        (
            {"ANTIPHON_HTTP__PRT": "1"},
            "environment: ANTIPHON_HTTP__PRT: is not a setting; did you mean ANTIPHON_HTTP__PORT?",
        ),
        (
            {"ANTIPHON_PORT": "1"},
            "environment: ANTIPHON_PORT: is not a setting; did you mean ANTIPHON_HTTP__PORT?",
        ),
        ({"ANTIPHON_ZZZ": "1"}, "environment: ANTIPHON_ZZZ: is not a setting; remove it"),
        ({"ANTIPHON_ZZZ": ""}, "environment: ANTIPHON_ZZZ: is not a setting; remove it"),
        ({"antiphon_model": "a:b"}, "environment: antiphon_model: is not a setting; did you mean ANTIPHON_MODEL?"),
        (
            {"ANTIPHON_HTTP__PORT": "high"},
            "environment: ANTIPHON_HTTP__PORT: 'high' is not accepted; use a whole number >= 0 and <= 65535",
        ),
        (
            {"ANTIPHON_HTTP__PORT": "65536"},
            "environment: ANTIPHON_HTTP__PORT: '65536' is not accepted; use a whole number >= 0 and <= 65535",
        ),
        (
            {"ANTIPHON_OUTBOX__DOUBTFUL": "maybe"},
            "environment: ANTIPHON_OUTBOX__DOUBTFUL: 'maybe' is not accepted; use one of 'resend', 'dead'",
        ),
        (
            {"ANTIPHON_LOG__PERSONAL_TEXT": "perhaps"},
            "environment: ANTIPHON_LOG__PERSONAL_TEXT: 'perhaps' is not accepted; use true or false",
        ),
        (
            {"ANTIPHON_MODEL": "gpt"},
            "environment: ANTIPHON_MODEL: is not of the form provider:model; use a text",
        ),
        (
            {"ANTIPHON_HTTP__TRUSTED_PROXIES": "0.0.0.0/0"},
            "environment: ANTIPHON_HTTP__TRUSTED_PROXIES: '0.0.0.0/0' is the whole internet: anybody could then forge "
            "their address; use a list of texts",
        ),
        (
            {"ANTIPHON_HTTP__TRUSTED_PROXIES": "[1"},
            'environment: ANTIPHON_HTTP__TRUSTED_PROXIES: is not a valid JSON list; use ["a", "b"] or a,b',
        ),
    ],
)
def test_a_variable(tmp_path: Path, environ: dict[str, str], line: str) -> None:
    assert refusal(tmp_path, environ) == line


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        ("[http]\nprot = 1", "antiphon.toml: http.prot: is not a setting; did you mean http.port?"),
        ("port = 1", "antiphon.toml: port: is not a setting; did you mean http.port?"),
        (
            "[voice]\nturn_detection = 'livekit'\nsilence_seconds = 0.2",
            "antiphon.toml: voice.silence_seconds: is too short for voice.turn_detection = 'livekit'; use 0.25 or more",
        ),
        ("[server]\nx = 1", "antiphon.toml: server: is not a setting; remove it"),
        ("http = 1", "antiphon.toml: http: must be a table, found a whole number; write [http] and keys below it"),
        (
            "[http]\nport = '80'",
            "antiphon.toml: http.port: must be a whole number, found a text; use a whole number >= 0 and <= 65535",
        ),
        (
            "[http]\nport = true",
            "antiphon.toml: http.port: must be a whole number, found true or false; "
            "use a whole number >= 0 and <= 65535",
        ),
        (
            "[threads]\nidle_minutes = 0",
            "antiphon.toml: threads.idle_minutes: 0 is not accepted; use a number > 0 and <= 10080",
        ),
        (
            "[http]\ntrusted_proxies = [1]",
            "antiphon.toml: http.trusted_proxies: must be a list of texts, found a list; use a list of texts",
        ),
    ],
)
def test_a_key_in_a_file(tmp_path: Path, toml: str, line: str) -> None:
    assert refusal(tmp_path, toml=toml) == line


def test_a_broken_file_is_named_with_the_place(tmp_path: Path) -> None:
    assert re.match(
        r"antiphon\.toml: -: is not valid TOML \(.*line 2.*\); ", refusal(tmp_path, toml="[http]\nport = ]\n")
    )
    path = tmp_path / "x.json"
    path.write_text('{"http": }')
    assert re.match(
        r"x\.json: -: is not valid JSON \(.*line 1 column 10.*\); ", refusal(tmp_path, {"ANTIPHON_CONFIG": str(path)})
    )
    path.write_text("[]")
    assert refusal(tmp_path, {"ANTIPHON_CONFIG": str(path)}).startswith("x.json: -: holds no table of settings; ")
    path.write_bytes(b"\xff\xfe")
    assert refusal(tmp_path, {"ANTIPHON_CONFIG": str(path)}).startswith("x.json: -: cannot be read (not UTF-8); ")


def test_a_named_file_that_is_missing(tmp_path: Path) -> None:
    line = refusal(tmp_path, {"ANTIPHON_CONFIG": str(tmp_path / "no.toml")})
    assert line == "environment: ANTIPHON_CONFIG: the file no.toml does not exist; make it, or name another one"
    line = refusal(tmp_path, {"ANTIPHON_SECRETS_DIR": str(tmp_path / "no")})
    assert line == "environment: ANTIPHON_SECRETS_DIR: the folder no does not exist; make it, or remove the setting"
    (tmp_path / ".env").write_text("ANTIPHON_CONFIG=no.toml\n")
    assert refusal(tmp_path).startswith(".env: ANTIPHON_CONFIG: the file no.toml does not exist; ")


def test_unknown_names_in_dotenv_and_in_the_secrets_folder(tmp_path: Path) -> None:
    secrets = tmp_path / "s"
    secrets.mkdir()
    (secrets / "antiphon_modle").write_text("x:y")
    (tmp_path / ".env").write_text(f"POSTGRES_PASSWORD=x\nANTIPHON_MODLE=x:y\nANTIPHON_SECRETS_DIR={secrets}\n")
    assert refusal(tmp_path).splitlines() == [
        ".env: ANTIPHON_MODLE: is not a setting; did you mean ANTIPHON_MODEL?",
        "s/antiphon_modle: ANTIPHON_MODLE: is not a setting; did you mean ANTIPHON_MODEL?",
    ]


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "antiphon.toml").write_text("[http]\nport = -1\nprot = 2\n")
    (tmp_path / ".env").write_text("ANTIPHON_LOG__LEVEL=loud\n")
    with pytest.raises(ConfigProblems) as caught:
        load_settings({"ANTIPHON_X": "1"}, directory=tmp_path)
    assert [(Path(problem.source).name, problem.key) for problem in caught.value.problems] == [
        ("environment", "ANTIPHON_X"),
        ("antiphon.toml", "http.prot"),
        ("antiphon.toml", "http.port"),
        (".env", "ANTIPHON_LOG__LEVEL"),
    ]
    assert str(caught.value) == caught.value.message
    assert len(str(caught.value).splitlines()) == 4


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "chat.example.org"])
def test_a_public_bind_needs_protection(tmp_path: Path, host: str) -> None:
    line = refusal(tmp_path, {"ANTIPHON_HTTP__HOST": host})
    assert line.startswith(f"environment: ANTIPHON_HTTP__HOST: {host} can be reached from other machines")
    for remedy in ("http.tls_cert", "http.tls = 'self'", "http.trusted_proxies", "127.0.0.1"):
        assert remedy in line


def test_each_protection_allows_a_public_bind(tmp_path: Path) -> None:
    public = {"ANTIPHON_HTTP__HOST": "0.0.0.0"}
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    certificate.touch()
    key.touch()
    for protection in (
        {"ANTIPHON_HTTP__TLS": "self"},
        {"ANTIPHON_HTTP__TRUSTED_PROXIES": "10.1.2.3"},
        {"ANTIPHON_HTTP__TLS_CERT": str(certificate), "ANTIPHON_HTTP__TLS_KEY": str(key)},
    ):
        assert not load_settings({**public, **protection}, directory=tmp_path).http.loopback


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1"])
def test_loopback_needs_nothing(tmp_path: Path, host: str) -> None:
    assert load_settings({"ANTIPHON_HTTP__HOST": host}, directory=tmp_path).http.loopback


def test_certificates_must_exist_and_come_in_pairs(tmp_path: Path) -> None:
    certificate = tmp_path / "c.pem"
    certificate.touch()
    assert refusal(tmp_path, {"ANTIPHON_HTTP__TLS_CERT": str(tmp_path / "no.pem")}).splitlines() == [
        "environment: ANTIPHON_HTTP__TLS_CERT: the file no.pem does not exist; name an existing PEM file",
        "environment: ANTIPHON_HTTP__TLS_CERT: has no private key; set http.tls_key too",
    ]
    assert "has no certificate" in refusal(tmp_path, {"ANTIPHON_HTTP__TLS_KEY": str(certificate)})
    assert "contradicts http.tls_cert" in refusal(
        tmp_path,
        {
            "ANTIPHON_HTTP__TLS": "self",
            "ANTIPHON_HTTP__TLS_CERT": str(certificate),
            "ANTIPHON_HTTP__TLS_KEY": str(certificate),
        },
    )


def test_a_model_needs_its_key_or_a_server(tmp_path: Path) -> None:
    line = refusal(tmp_path, {"ANTIPHON_MODEL": "openai:gpt-4o-mini"})
    assert line == (
        "environment: ANTIPHON_MODEL: openai:gpt-4o-mini needs a key; "
        "set OPENAI_API_KEY, or ANTIPHON_MODEL_URL for a server of your own"
    )
    assert "without a model" in refusal(tmp_path, {"ANTIPHON_MODEL_URL": "http://127.0.0.1:1/v1"})
    for enough in ({"OPENAI_API_KEY": "k"}, {"ANTIPHON_MODEL_URL": "http://127.0.0.1:1/v1"}):
        assert load_settings({"ANTIPHON_MODEL": "openai:gpt-4o-mini", **enough}, directory=tmp_path).model


@pytest.mark.parametrize(
    ("model", "line"),
    [
        (
            "mammoth:x",
            "environment: ANTIPHON_MODEL: there is no provider 'mammoth'; use one of openai, anthropic, google, "
            "mistral, groq, openrouter, nvidia, ollama, local, lmstudio, llamacpp, vllm, nim, triton, gguf, or set "
            "ANTIPHON_MODEL_URL for any OpenAI-compatible server",
        ),
        (
            "anthropic:claude-x",
            "environment: ANTIPHON_MODEL: anthropic:claude-x needs a key; set ANTHROPIC_API_KEY, or ANTIPHON_MODEL_URL "
            "for a server of your own",
        ),
        ("vllm:x", "settings: model_url: is empty, and vllm has no usual address; set ANTIPHON_MODEL_URL"),
        (
            "gguf:../x.gguf",
            "environment: ANTIPHON_MODEL: '../x.gguf' is not the name of a file; put the file into models_dir and name "
            "it here",
        ),
    ],
)
def test_a_model_of_a_provider(tmp_path: Path, model: str, line: str) -> None:
    assert refusal(tmp_path, {"ANTIPHON_MODEL": model}) == line


def test_a_key_may_stand_in_the_usual_variable_of_its_provider_or_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "mistral_api_key").write_text("from-a-file\n")
    (tmp_path / ".env").write_text("GEMINI_API_KEY=from-dotenv\n")
    environ = {"ANTIPHON_SECRETS_DIR": str(tmp_path), "GROQ_API_KEY": "from-a-variable"}
    for model, key in (
        ("mistral:x", "from-a-file"),
        ("google:x", "from-dotenv"),
        ("groq:x", "from-a-variable"),
    ):
        settings = load_settings({"ANTIPHON_MODEL": model, **environ}, directory=tmp_path)
        assert settings.usual_key(model) == key
        assert key not in repr(settings)


EXPERT = '[[experts]]\nname = "code"\nmodel = "ollama:x"\n'


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        (
            "experts = 1",
            "experts: must be a list of tables, found a whole number; use tables [[experts]] with name",
        ),
        ("experts = ['a']", "experts: must be a list of tables, found a list; use tables [[experts]] with name, model"),
        ('[[experts]]\nname = "code"', "experts.code.model: is missing; use a text"),
        ('[[experts]]\nmodel = "ollama:x"', "experts.1.name: is missing; use a text"),
        (EXPERT + 'modle = "x"', "experts.code.modle: is not a setting; did you mean model?"),
        (EXPERT.replace("code", "offline"), "experts.offline.name: 'offline' is taken: offline is the model that is"),
        (EXPERT.replace("code", "My Code"), "experts.1.name: 'My Code' is no name: use a small letter, then small"),
        (EXPERT.replace("ollama", "mammoth"), "experts.code.model: there is no provider 'mammoth'; use one of openai"),
        (EXPERT.replace("ollama:x", "x"), "experts.code.model: is not of the form provider:model; use a text"),
        (EXPERT.replace("ollama", "groq"), "experts.code.model: groq:x needs a key; set GROQ_API_KEY, or experts.code"),
        (EXPERT.replace("ollama", "nim"), "experts.code.base_url: is empty, and nim has no usual address; set experts"),
        (EXPERT + 'base_url = "ftp://x"', "experts.code.base_url: is not an address that begins with http:// or https"),
        (EXPERT + "total_seconds = 0", "experts.code.total_seconds: 0 is not accepted; use a number > 0 and <= 3600"),
        (
            EXPERT + 'secret = "MY_KEY"',
            "experts.code.secret: there is no variable MY_KEY and no file of this name in secrets_dir; set the "
            "variable, make the file, or remove the key",
        ),
        (EXPERT + 'fallback = ["light"]', "experts.code.fallback: there is no expert 'light'; add it as a table"),
        (
            EXPERT + 'fallback = ["b"]\n' + EXPERT.replace("code", "b") + 'fallback = ["code"]',
            "experts.code.fallback: goes in a circle: code -> b -> code; remove one of these steps",
        ),
        (EXPERT + 'fallback = ["code"]', "experts.code.fallback: goes in a circle: code -> code; remove one of these"),
        (EXPERT + EXPERT, "experts.code.name: is there twice; give each expert a name of its own"),
        ("[routing]\ndefault = 'code'", "routing.default: there is no expert 'code'; add it as a table [[experts]]"),
        ("[routing]\njudge = 'x'\n" + EXPERT, "routing.judge: there is no expert 'x'; use one of code"),
        (
            "[routing]\nembedding_model = 'anthropic:x'",
            "routing.embedding_model: anthropic is not spoken to for embeddings; use openai:NAME",
        ),
    ],
)
def test_an_expert(tmp_path: Path, toml: str, line: str) -> None:
    assert refusal(tmp_path, toml=toml).startswith(f"antiphon.toml: {line}")


def test_a_secret_written_where_its_name_belongs_is_not_repeated(tmp_path: Path) -> None:
    for secret in ("sk-geheim-geheim-geheim", "gsk_" + "g4H" * 15):
        line = refusal(tmp_path, toml=EXPERT + f'secret = "{secret}"')
        assert line.startswith("antiphon.toml: experts.code.secret: ")
        assert secret not in line


def test_experts_in_a_variable(tmp_path: Path) -> None:
    line = refusal(tmp_path, {"ANTIPHON_EXPERTS": '[{"name": "a", "model": "groq:x"}]'})
    assert line.startswith("environment: ANTIPHON_EXPERTS.a.model: groq:x needs a key; set GROQ_API_KEY")
    good = {"ANTIPHON_EXPERTS": '[{"name": "a", "model": "groq:x", "secret": "MINE"}]', "MINE": "k"}
    [expert] = load_settings(good, directory=tmp_path).experts
    assert (expert.name, expert.secret) == ("a", "MINE")


def test_a_refusal_never_holds_a_secret(tmp_path: Path) -> None:
    line = refusal(tmp_path, {"DATABASE_URL": "mysql://u:geheim@h/d", "REDIS_URL": "geheim"})
    assert "geheim" not in line
    assert line.splitlines()[0].startswith("environment: DATABASE_URL: does not begin with postgresql://")
    line = refusal(tmp_path, toml='openai_api_key = ["geheim"]')
    assert line == "antiphon.toml: openai_api_key: must be a secret text, found a list; use a secret text"
