"""The rendezvous file: who finds the listener by it, and what is left when it is over."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys

import pytest

from ic_notebook.redirect import rendezvous as module
from ic_notebook.redirect.rendezvous import FORMAT, STALE_AFTER, Rendezvous, find

KEY = "state of a sign-in"


def only_file(folder):
    (path,) = folder.iterdir()
    return path


def test_who_knows_the_key_finds_the_port_and_nothing_else_is_there(tmp_path):
    Rendezvous(tmp_path, 21873).announce(KEY)
    assert find(tmp_path, KEY) == 21873
    assert find(tmp_path, "another") is None
    path = only_file(tmp_path)
    assert json.loads(path.read_text()) == {"format": FORMAT, "port": 21873}
    assert KEY not in path.name
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_several_keys_lead_to_one_listener_and_none_after_it(tmp_path):
    rendezvous = Rendezvous(tmp_path, 21873)
    rendezvous.announce(KEY)
    rendezvous.announce("door")
    assert find(tmp_path, "door") == find(tmp_path, KEY) == 21873
    rendezvous.withdraw()
    assert list(tmp_path.iterdir()) == []
    assert find(tmp_path, KEY) is None


def test_a_folder_that_cannot_be_written_is_said_and_left_as_it_was(tmp_path):
    with pytest.raises(OSError, match=r".*"):
        Rendezvous(tmp_path / "missing", 21873).announce(KEY)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "null",
        "{",
        '{"format": 1}',
        '{"format": 2, "port": 21873}',
        '{"format": 1, "port": "21873"}',
        '{"format": 1, "port": true}',
        '{"format": 1, "port": 80}',
        '{"format": 1, "port": 65536}',
        '{"format": 1, "port": 21873.0}',
        "[" * 4_000,
    ],
)
def test_a_file_that_is_not_what_it_should_be_counts_as_none(tmp_path, content):
    Rendezvous(tmp_path, 21873).announce(KEY)
    only_file(tmp_path).write_text(content)
    assert find(tmp_path, KEY) is None


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
@pytest.mark.parametrize("mode", [0o604, 0o640, 0o602, 0o620, 0o666])
def test_a_file_that_others_can_read_or_write_counts_as_none(tmp_path, mode):
    Rendezvous(tmp_path, 21873).announce(KEY)
    only_file(tmp_path).chmod(mode)
    assert find(tmp_path, KEY) is None


def test_a_link_is_not_followed(tmp_path):
    Rendezvous(tmp_path, 21873).announce(KEY)
    path = only_file(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert find(tmp_path, KEY) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
@pytest.mark.timeout(10)
def test_a_pipe_in_its_place_holds_nobody_up(tmp_path):
    Rendezvous(tmp_path, 21873).announce(KEY)
    path = only_file(tmp_path)
    path.unlink()
    os.mkfifo(path, 0o600)
    assert find(tmp_path, KEY) is None


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give a file away")
def test_a_file_that_another_user_has_put_there_counts_as_none(tmp_path):
    Rendezvous(tmp_path, 21873).announce(KEY)
    os.chown(only_file(tmp_path), 65_534, 65_534)
    assert find(tmp_path, KEY) is None


def test_a_file_planted_in_the_way_of_the_writing_is_not_followed(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    folder = tmp_path / "runtime"
    folder.mkdir()
    part = (folder / module._name_of(KEY)).with_suffix(f".{os.getpid()}.part")
    part.symlink_to(victim)
    with pytest.raises(FileExistsError):
        Rendezvous(folder, 21873).announce(KEY)
    assert victim.read_text() == "untouched"


def test_what_a_killed_kernel_left_behind_is_swept_away(tmp_path):
    Rendezvous(tmp_path, 21873).announce("killed")
    left, other = only_file(tmp_path), tmp_path / "kernel-1.json"
    other.write_text("{}")
    old = left.stat().st_mtime - STALE_AFTER - 1
    for path in (left, other):
        os.utime(path, (old, old))
    Rendezvous(tmp_path, 23417).announce(KEY)
    assert find(tmp_path, KEY) == 23417
    assert not left.exists()
    assert other.exists()


ENDS = """
import os, sys
from pathlib import Path
from ic_notebook.redirect.rendezvous import Rendezvous
rendezvous = Rendezvous(Path(sys.argv[1]), 21873)
rendezvous.announce("state")
if hasattr(os, "fork") and not os.fork():
    sys.exit(0)
if hasattr(os, "fork"):
    os.wait()
assert len(os.listdir(sys.argv[1])) == 1
"""


@pytest.mark.filterwarnings("ignore:This process")
def test_a_process_that_ends_takes_its_file_away_and_its_child_does_not(tmp_path):
    subprocess.run([sys.executable, "-c", ENDS, str(tmp_path)], check=True, timeout=60)
    assert list(tmp_path.iterdir()) == []
