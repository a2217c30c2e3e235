"""Which files are looked at, and that none of them can stop a scan."""

from __future__ import annotations

import json
import os
import sys

import pytest

from ic_notebook.scan import tree as reading
from ic_notebook.scan.report import summary
from ic_notebook.scan.scanning import scan as scanned
from tests.scan.conftest import notebook, written
from tests.scan.samples import KEY

LINE = f'api_key = "{KEY}"\n'
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")


def names(result) -> list[str]:
    return sorted(found.path.name for found in result.found)


@pytest.mark.parametrize(
    "name",
    [
        "a.py",
        "a.md",
        "a.txt",
        ".env",
        ".env.local",
        "a.json",
        "a.yaml",
        "a.toml",
        "a.csv",
        "a.ipynb",
        "a.html",
        "Dockerfile",
        "a.unknown",
    ],
)
def test_text_of_every_name_is_looked_at(tree, name):
    (tree / name).write_text(LINE)
    assert names(scanned([tree], [])) == [name]
    assert names(scanned([tree / name], [])) == [name]


def test_checkpoints_are_looked_at_also_where_only_the_notebook_is_named(tree):
    (tree / ".ipynb_checkpoints").mkdir()
    clean = written(tree / "a.ipynb", notebook("1 + 1"))
    written(tree / ".ipynb_checkpoints" / "a-checkpoint.ipynb", notebook(LINE))
    assert names(scanned([tree], [])) == ["a-checkpoint.ipynb"]
    assert names(scanned([clean], [])) == ["a-checkpoint.ipynb"]


def test_a_file_named_twice_is_looked_at_once(tree):
    (tree / "a.py").write_text(LINE)
    assert scanned([tree, tree / "a.py", tree / ".." / tree.name], []).files == 1


def test_environments_caches_and_gits_history_are_left_out(tree):
    for folder in (".git", "node_modules", "__pycache__", "env", ".hidden"):
        (tree / folder).mkdir()
        (tree / folder / "a.py").write_text(LINE)
    (tree / "env" / "pyvenv.cfg").touch()
    assert [found.path.parent.name for found in scanned([tree], []).found] == [".hidden"]
    assert names(scanned([tree / "env"], [])) == ["a.py"]


def test_no_text_is_passed_over_and_counted(tree):
    (tree / "a.png").write_bytes(b"\x89PNG\0\0" + LINE.encode())
    (tree / "a.py").write_text(LINE)
    result = scanned([tree], [])
    assert (result.no_text, names(result)) == (1, ["a.py"])


def test_a_notebook_with_a_zero_byte_is_still_a_notebook(tree):
    (tree / "a.ipynb").write_bytes(b"\0" + LINE.encode())
    assert names(scanned([tree], [])) == ["a.ipynb"]


@pytest.mark.parametrize("codec", ["utf-16", "utf-8-sig", "latin-1", "cp1252", "shift-jis"])
def test_other_encodings_are_looked_at(tree, codec):
    (tree / "a.txt").write_bytes(f"# {'é' if codec in {'latin-1', 'cp1252'} else 'e'}\n{LINE}".encode(codec))
    (finding,) = scanned([tree], []).findings
    assert finding.place.line == 2


def test_what_is_too_large_is_said(tree, monkeypatch):
    monkeypatch.setattr(reading, "MAX_BYTES", 1024**2)
    (tree / "a.ipynb").write_text(" " * (1024**2 + 1))
    (tree / "a.csv").write_text(" " * (1024**2 + 1))
    result = scanned([tree], [])
    assert [(each.path.name, each.why) for each in result.unscanned] == [
        ("a.ipynb", "it is larger than 1 MB")
    ]
    assert [path.name for path in result.too_large] == ["a.csv"]
    assert "As too large: " in summary(result, [])
    assert len(scanned([tree / "a.csv"], []).unscanned) == 1


@posix
def test_links_are_followed_only_where_they_are_named(tree, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.py").write_text(LINE)
    (tree / "folder").symlink_to(outside)
    (tree / "file.py").symlink_to(outside / "a.py")
    (tree / "loop").symlink_to(tree)
    (tree / "dangling").symlink_to(tree / "nothing")
    assert names(scanned([tree], [])) == []
    assert names(scanned([tree / "file.py"], [])) == ["file.py"]
    assert names(scanned([tree / "folder"], [])) == ["a.py"]


@posix
def test_a_fifo_or_a_device_does_not_hang_it(tree):
    os.mkfifo(tree / "a.py")
    assert scanned([tree], []).files == 0
    for path in (tree / "a.py", reading.Path("/dev/zero")):
        (unscanned,) = scanned([path], []).unscanned
        assert unscanned.why == "it is neither a file nor a folder"


@posix
def test_a_fifo_that_takes_a_files_place_does_not_hang_it(tree):
    os.mkfifo(tree / "a.py")
    with pytest.raises(reading.NotScanned):
        reading.content_of(tree / "a.py")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may read everything")
def test_what_must_not_be_read_is_said(tree):
    (tree / "a.py").write_text(LINE)
    (tree / "a.py").chmod(0)
    (tree / "closed").mkdir(mode=0)
    result = scanned([tree], [])
    assert {each.path.name for each in result.unscanned} == {"a.py", "closed"}


@pytest.mark.parametrize("path", ["nowhere.ipynb", "no/such/folder", "bad\0name"])
def test_a_path_that_is_not_there_is_said(tree, path):
    (unscanned,) = scanned([tree / path], []).unscanned
    assert "no such" in unscanned.why or "cannot be" in unscanned.why


@pytest.mark.parametrize(
    "text",
    [
        '{"cells": [{"source": ["' + LINE.replace('"', '\\"').strip(),
        "[" * 200_000 + LINE,
        '{"a":' * 200_000 + LINE,
        "]" * 1000 + "}" * 1000 + LINE,
        "<<<<<<< HEAD\n" + json.dumps(notebook(LINE), indent=1) + "\n=======\n",
        '"' + "\\" * 100_001 + LINE,
        LINE.strip() + " " + "x" * 5_000_000,
        "x" * 5_000_000 + " " + LINE,
    ],
    ids=[
        "cut off",
        "deep arrays",
        "deep objects",
        "too many closed",
        "conflict",
        "backslashes",
        "huge line",
        "huge line before",
    ],
)
def test_damaged_or_strange_notebooks_are_looked_at_all_the_same(tree, text):
    (tree / "a.ipynb").write_text(text)
    assert len(scanned([tree], []).findings) == 1
