"""Settings and the command line that stands for them."""

from __future__ import annotations

import argparse
import dataclasses
import logging

import pytest

import ic_notebook.sandbox
from ic_notebook.sandbox import Faults, SandboxSettings, create_app
from ic_notebook.sandbox.command import add_arguments
from ic_notebook.sandbox.options import settings_of


def parse(*argv):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return settings_of(parser.parse_args(argv))


def test_no_options_mean_the_defaults():
    assert parse() == SandboxSettings()


@pytest.mark.parametrize(
    ("argv", "field", "value"),
    [
        ("--port 8001", "port", 8001),
        ("--database sandbox.db", "database", "sandbox.db"),
        ("--account Two", "account", "Two"),
        ("--auto-approve", "auto_approve", True),
        ("--access-token-lifetime 5", "access_token_lifetime", 5),
        ("--no-rotation", "rotation", False),
        ("--refresh-grace 2.5", "refresh_grace", 2.5),
        ("--revoke-family-on-reuse", "revoke_family_on_reuse", True),
        ("--second-sign-in ends-all", "second_sign_in", "ends-all"),
        ("--exact-loopback-port", "exact_loopback_port", True),
        ("--no-https-redirects", "https_redirect_uris", False),
        ("--registration-status 200", "registration_status", 200),
        ("--client-secret", "client_secret", True),
        ("--iss", "iss", True),
        ("--no-registration", "registration", False),
        ("--metadata openid", "metadata", "openid"),
        ("--no-scopes-supported", "scopes_supported", False),
        ("--revocation", "revocation", True),
        ("--app-list keyed", "app_list", "keyed"),
        ("--app-page-size 3", "app_page_size", 3),
        ("--delete-status 202", "delete_status", 202),
        ("--without scope --without client_id", "without", frozenset({"scope", "client_id"})),
        ("--error-descriptions", "error_descriptions", True),
        ("--rate-limit 0", "rate_limit", 0),
        ("--no-retry-after", "retry_after", False),
        ("--token-delay 0.5", "token_delay", 0.5),
        ("--fault-count 3", "faults", Faults(count=3)),
        ("--fault-fraction 0.5", "faults", Faults(fraction=0.5)),
        ("--fault-path /a --fault-path /b", "faults", Faults(paths=("/a", "/b"))),
        ("--fault-status 500", "faults", Faults(status=500)),
        ("--fault-stage after", "faults", Faults(stage="after")),
        ("--fault-kind dropped", "faults", Faults(kind="dropped")),
        ("--fault-delay 0.5", "faults", Faults(delay=0.5)),
        ("--fault-seed 7", "faults", Faults(seed=7)),
        (
            "--fault kind=dropped,fraction=0.02,seed=1,stage=after --fault count=2,status=502,path=/a,path=/b",
            "faults",
            (
                Faults(),
                Faults(kind="dropped", fraction=0.02, seed=1, stage="after"),
                Faults(count=2, status=502, paths=("/a", "/b")),
            ),
        ),
        ("--fault-count 1 --fault delay=2", "faults", (Faults(count=1), Faults(delay=2.0))),
    ],
)
def test_each_switch_has_its_option(argv, field, value):
    assert parse(*argv.split()) == dataclasses.replace(SandboxSettings(), **{field: value})


@pytest.mark.parametrize(
    "argv",
    [
        "--port -1",
        "--port x",
        "--without everything",
        "--app-list tree",
        "--delete-status 404",
        "--registration-status 404",
        "--second-sign-in never",
        "--rate-limit -5",
        "--metadata saml",
        "--fault-kind lost",
        "--fault kind=lost",
        "--fault fraction=2",
        "--fault fraction=x",
        "--fault count=1,count=2",
        "--fault what=1",
        "--fault nothing",
    ],
)
def test_an_option_that_makes_no_sense_is_refused(argv, capsys):
    with pytest.raises(SystemExit) as ended:
        parse(*argv.split())
    assert ended.value.code == 2
    assert argv.split()[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [
        {"access_token_lifetime": 0},
        {"app_page_size": 0},
        {"refresh_grace": -1},
        {"rate_limit": -1},
        {"account": ""},
        {"app_list": "tree"},
        {"delete_status": 404},
        {"registration_status": 404},
        {"metadata": "saml"},
        {"second_sign_in": "never"},
        {"without": frozenset({"everything"})},
    ],
)
def test_settings_out_of_bounds_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SandboxSettings(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": -1},
        {"fraction": 1.5},
        {"status": 404},
        {"stage": "between"},
        {"kind": "lost"},
        {"delay": -1.0},
        {"delay": float("nan")},
    ],
)
def test_faults_out_of_bounds_are_refused(wrong):
    with pytest.raises(ValueError, match=r"fault|stage|kind"):
        Faults(**wrong)


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SandboxSettings().iss = True


def test_help_names_every_option(capsys):
    parser = argparse.ArgumentParser(prog="ic-notebook sandbox")
    add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["--help"])
    shown = capsys.readouterr().out
    for group in ("server:", "signing in:", "tokens:", "API:", "faults"):
        assert group in shown


def test_the_public_names_are_there_and_no_others():
    for name in ic_notebook.sandbox.__all__:
        assert getattr(ic_notebook.sandbox, name).__name__ == name
        assert name in dir(ic_notebook.sandbox)
    with pytest.raises(AttributeError, match="nothing"):
        _ = ic_notebook.sandbox.nothing


@pytest.mark.anyio
async def test_no_token_code_state_or_verifier_is_logged_or_printed(caplog, capsys, open_sandbox):
    caplog.set_level(logging.DEBUG)
    sandbox = open_sandbox()
    client_id = (await sandbox.register())["client_id"]
    code = await sandbox.code(client_id, state="a-state-of-mine")
    tokens = (await sandbox.exchange(client_id, code)).json()
    record = sandbox.store.sign_ins.code(code)
    written = caplog.text + "".join(capsys.readouterr()) + repr(record)
    # httpx, the test's own client, logs the URLs that it asks for
    written = "\n".join(line for line in written.splitlines() if "HTTP Request" not in line)
    for secret in (code, tokens["access_token"], tokens["refresh_token"], "a-state-of-mine"):
        assert secret not in written


def test_a_database_file_keeps_clients_tokens_and_apps(tmp_path):
    settings = SandboxSettings(database=str(tmp_path / "sand?box#.db"))
    store = create_app(settings).state.store
    store.add_client("one", metadata={"redirect_uris": ["http://127.0.0.1/cb"]}, secret=None)
    store.seed_app(name="Claude")
    token = store.issue_token()
    store.close()
    again = create_app(settings).state.store
    assert again.clients() == ["one"]
    assert [app.name for app in again.apps()] == ["Claude"]
    assert again.sign_ins.token(token, kind="access").scope == "all"
    again.close()
    assert [path.name for path in tmp_path.iterdir()] == ["sand?box#.db"]
    assert token.encode() not in (tmp_path / "sand?box#.db").read_bytes()
