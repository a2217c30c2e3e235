"""The wheel, as a user installs it: what is in it, and that it works where no checkout is."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import ic_notebook

ROOT = Path(__file__).parents[2]


FILES = (
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "LICENSE",
    "Makefile",
    "constraints.txt",
    ".pre-commit-hooks.yaml",
)
EXTENSION = "etc/jupyter/jupyter_server_config.d/ic_notebook.json"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return build(tmp_path_factory)


def build(tmp_path_factory, kind: str = "wheel") -> Path:
    """Built from a copy, so that nothing is written into the checkout."""
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns("__pycache__", ".*", "photographs", "browser")
    for name in ("ic_notebook", "tests", "notebooks"):
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, source)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(made)],
        cwd=source,
        check=True,
        capture_output=True,
    )
    (built,) = made.iterdir()
    return built


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_every_module_the_widgets_files_and_py_typed(wheel):
    names = names_in(wheel)
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "ic_notebook").rglob("*.py")}
    assert modules <= names
    assert {
        f"ic_notebook/{name}"
        for name in ("py.typed", "jupyter/panel.js", "jupyter/elements.js", "jupyter/panel.css")
    } <= names


def test_the_wheel_holds_nothing_else(wheel):
    others = {name for name in names_in(wheel) if not name.startswith("ic_notebook/")}
    assert {name.split("/")[0].partition("-")[0] for name in others} == {"ic_notebook"}
    assert [name for name in others if ".dist-info/" not in name] == [
        f"ic_notebook-{ic_notebook.__version__}.data/data/{EXTENSION}"
    ]
    assert not any(name.endswith((".ipynb", ".pyc", ".png")) or "test" in name for name in names_in(wheel))


def test_two_builds_are_the_same_to_the_byte(wheel, tmp_path_factory):
    assert build(tmp_path_factory).read_bytes() == wheel.read_bytes()


def test_two_source_archives_are_the_same_to_the_byte_and_hold_what_a_developer_needs(tmp_path_factory):
    first, second = build(tmp_path_factory, "sdist"), build(tmp_path_factory, "sdist")
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    assert {*FILES, "PKG-INFO", "ic_notebook/__init__.py", "notebooks/quickstart.ipynb"} <= names
    assert {name.partition("/")[0] for name in names if "/" in name} == {"ic_notebook", "notebooks", "tests"}


def test_the_wheel_has_the_licence_the_command_and_its_extras(wheel):
    with zipfile.ZipFile(wheel) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist() if ".dist-info/" in name}
    metadata = next(text for name, text in texts.items() if name.endswith("/METADATA"))
    scripts = next(text for name, text in texts.items() if name.endswith("/entry_points.txt"))
    assert any(name.endswith("/LICENSE") for name in texts)
    assert "ic-notebook = ic_notebook.cli:main" in scripts
    for line in ("License-Expression: BSD-3-Clause", "Requires-Python: >=3.10", "Provides-Extra: sandbox"):
        assert line in metadata


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    if importlib.util.find_spec("pip"):
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    elif uv := shutil.which("uv"):
        command = [uv, "pip", "install", "--quiet", "--offline", "--python", sys.executable]
    else:
        pytest.skip("neither pip nor uv is there to install the wheel with")
    subprocess.run(
        [*command, "--no-deps", "--target", str(target), str(wheel)], check=True, capture_output=True
    )
    return target


def test_the_installed_wheel_is_what_is_imported_and_it_works(installed, tmp_path):
    script = """
import sys
sys.path.insert(0, sys.argv[1])
import ic_notebook
assert ic_notebook.__file__.startswith(sys.argv[1]), ic_notebook.__file__
for name in ic_notebook.__all__:
    getattr(ic_notebook, name)
from ic_notebook.jupyter.panel import ConnectPanel
assert len(str(ConnectPanel._esm)) > 1000 and len(str(ConnectPanel._css)) > 1000
from ic_notebook.cli import main
sys.exit(main(["status"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(installed)],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert done.stdout.startswith(
        "Not connected to https://api-dashboard.influencers.club. Nobody is signed in."
    )
