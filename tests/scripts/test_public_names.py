"""The public names: pinned, documented, and cheap until they are used."""

from __future__ import annotations

import inspect
import json
import re

import pytest

import ic_notebook as ic
from tests.scripts.processes import run

ERRORS = [
    "APIError",
    "AuthorizationResponseError",
    "ConfigurationError",
    "ForeignOrigin",
    "ICNotebookError",
    "NobodyThere",
    "NotResent",
    "OAuthError",
    "ServiceUnavailable",
    "SignInCancelled",
    "SignInDeclined",
    "SignInError",
    "SignInRequired",
    "SignInTimeout",
    "StorageError",
    "UnexpectedAnswer",
]
VALUES = ["ConnectedApp", "ConnectedApps", "Disconnected", "Session", "Status", "TokenSet", "TokenStorage"]
FUNCTIONS = [
    "apps",
    "async_client",
    "client",
    "connect",
    "connect_async",
    "disconnect",
    "forget",
    "panel",
    "revoke",
    "session",
    "status",
]


def test_public_names_are_these_and_no_others():
    assert ic.__all__ == sorted([*ERRORS, *VALUES, *FUNCTIONS, "cluster", "load_ipython_extension"])


@pytest.mark.parametrize("name", ic.__all__)
def test_a_public_name_resolves_stays_the_same_and_is_documented(name):
    value = getattr(ic, name)
    assert getattr(ic, name) is value
    assert name in dir(ic)
    assert inspect.getdoc(value)
    assert vars(value).get("__doc__") if isinstance(value, type) else value.__doc__


def test_errors_are_one_tree():
    assert all(issubclass(getattr(ic, name), ic.ICNotebookError) for name in ERRORS)


@pytest.mark.parametrize(("name", "base"), [("SignInRequired", LookupError), ("SignInTimeout", TimeoutError)])
def test_errors_are_also_what_python_calls_them(name, base):
    assert issubclass(getattr(ic, name), base)


def raised_by(function) -> set[str]:
    """The errors that a docstring names."""
    raises = (inspect.getdoc(function) or "").partition("Raises:")[2]
    return set(
        re.findall(
            r"\b(?:[A-Z][A-Za-z]+(?:Error|Required|There|Timeout|Declined|Cancelled|Answer|Unavailable))\b",
            raises,
        )
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_names_its_errors_and_they_are_public(name):
    named = raised_by(getattr(ic, name))
    assert named
    assert named <= set(ic.__all__)


@pytest.mark.parametrize("name", ["access_token", "apps", "credits", "disconnect", "forget", "revoke"])
def test_a_method_of_the_session_names_its_errors_and_they_are_public(name):
    named = raised_by(getattr(ic.Session, name))
    assert named
    assert named <= set(ic.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        ic.no_such_name  # noqa: B018


def test_parameters_are_keyword_only_beyond_the_subject():
    for name in FUNCTIONS:
        kinds = [parameter.kind for parameter in inspect.signature(getattr(ic, name)).parameters.values()]
        assert kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) <= (name == "revoke")


HEAVY = {
    "anyio",
    "anywidget",
    "argparse",
    "asyncio",
    "concurrent.futures",
    "dask",
    "dataclasses",
    "distributed",
    "filelock",
    "h11",
    "httpcore",
    "httpx",
    "ic_notebook.connecting",
    "ic_notebook.signed_in",
    "inspect",
    "ipywidgets",
    "IPython",
    "json",
    "keyring",
    "logging",
    "platformdirs",
    "socket",
    "ssl",
    "traitlets",
    "typing",
}


def loaded_by(statement: str, home) -> set[str]:
    script = f"import sys; before = set(sys.modules)\n{statement}\nnew = sorted(set(sys.modules) - before)\n"
    done = run("-c", script + "import json; print(json.dumps(new))", home=home)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "statement",
    ["import ic_notebook", "import ic_notebook; dir(ic_notebook)", "from ic_notebook import __version__"],
)
def test_the_import_loads_nothing_heavy(tmp_path, statement):
    assert loaded_by(statement, tmp_path) & HEAVY == set()


def test_an_error_can_be_named_without_httpx(tmp_path):
    loaded = loaded_by("import ic_notebook; ic_notebook.SignInRequired", tmp_path)
    assert not loaded & {"httpx", "asyncio", "ipywidgets", "IPython"}


def test_the_cluster_can_be_named_without_dask(tmp_path):
    loaded = loaded_by("import ic_notebook; ic_notebook.cluster.share", tmp_path)
    assert "ic_notebook.cluster" in loaded
    assert not loaded & {"dask", "distributed", "cloudpickle", "tornado"}


def test_connecting_in_a_script_loads_no_widget(tmp_path):
    loaded = loaded_by("import ic_notebook; ic_notebook.connect; ic_notebook.status()", tmp_path)
    assert "httpx" in loaded
    assert not loaded & {"ipywidgets", "anywidget", "IPython", "traitlets", "keyring", "starlette", "authlib"}


def test_the_command_line_shows_its_help_without_httpx(tmp_path):
    loaded = loaded_by("from ic_notebook.cli import main, _parser; _parser()", tmp_path)
    assert not loaded & {"httpx", "asyncio", "ipywidgets", "IPython", "starlette", "uvicorn", "sqlalchemy"}
