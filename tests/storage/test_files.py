"""Files that are whole or not there, whatever fails."""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from pathlib import Path

import filelock
import pytest

from ic_notebook.errors import ICNotebookError, StorageError
from ic_notebook.storage import files
from ic_notebook.storage.files import locked, read_bytes, write_atomically

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes and links")
not_root = pytest.mark.skipif(
    hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere; run as a user"
)


def fail_with(number: int):
    def fail(*_arguments, **_options):
        raise OSError(number, os.strerror(number))

    return fail


def everything_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_is_written_is_read(tmp_path):
    write_atomically(tmp_path / "f", b"content\x00\xff")

    assert read_bytes(tmp_path / "f", at_most=100) == b"content\x00\xff"
    assert everything_in(tmp_path) == {"f"}


def test_no_file_is_none(tmp_path):
    assert read_bytes(tmp_path / "none", at_most=100) is None
    assert read_bytes(tmp_path / "no" / "folder", at_most=100) is None


@pytest.mark.parametrize(("length", "fits"), [(99, True), (100, True), (101, False), (1_000_000, False)])
def test_a_longer_file_is_not_read(tmp_path, length, fits):
    (tmp_path / "f").write_bytes(b"x" * length)
    if fits:
        assert len(read_bytes(tmp_path / "f", at_most=100)) == length
    else:
        with pytest.raises(StorageError, match="longer than 100 bytes"):
            read_bytes(tmp_path / "f", at_most=100)


def test_a_folder_in_its_place_is_a_storage_error(tmp_path):
    (tmp_path / "f").mkdir()
    with pytest.raises(StorageError, match="cannot be read"):
        read_bytes(tmp_path / "f", at_most=100)
    with pytest.raises(StorageError, match="cannot be written"):
        write_atomically(tmp_path / "f", b"x")
    assert everything_in(tmp_path) == {"f"}


def test_a_file_in_place_of_the_folder_is_a_storage_error(tmp_path):
    (tmp_path / "folder").write_bytes(b"old")
    with pytest.raises(StorageError):
        write_atomically(tmp_path / "folder" / "f", b"x")
    with pytest.raises(StorageError), locked(tmp_path / "folder" / "f"):
        pass
    assert (tmp_path / "folder").read_bytes() == b"old"


@posix
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_the_owner_reads_it(tmp_path, umask):
    path = tmp_path / "ic" / "f"
    before = os.umask(umask)
    try:
        with locked(path):
            write_atomically(path, b"x")
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for other in path.parent.iterdir():
        assert stat.S_IMODE(other.stat().st_mode) == 0o600


@posix
def test_an_open_file_becomes_private_when_it_is_replaced(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    path.chmod(0o666)
    write_atomically(path, b"new")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix
@pytest.mark.parametrize("target_exists", [True, False])
def test_a_link_in_its_place_is_replaced_and_not_followed(tmp_path, target_exists):
    target, path = tmp_path / "elsewhere", tmp_path / "f"
    if target_exists:
        target.write_bytes(b"not ours")
    path.symlink_to(target)
    write_atomically(path, b"x")

    assert not path.is_symlink()
    assert path.read_bytes() == b"x"
    assert target.exists() is target_exists
    assert not target_exists or target.read_bytes() == b"not ours"


@pytest.mark.parametrize(
    ("where", "name"),
    [(os, "fsync"), (Path, "replace"), (files.tempfile, "mkstemp"), (Path, "mkdir")],
    ids=["fsync", "replace", "mkstemp", "mkdir"],
)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES])
def test_a_failing_write_leaves_the_old_file_whole(tmp_path, monkeypatch, where, name, number):
    path = tmp_path / "f"
    write_atomically(path, b"old")
    monkeypatch.setattr(where, name, fail_with(number))
    with pytest.raises(StorageError, match="cannot be written") as caught:
        write_atomically(path, b"new")
    monkeypatch.undo()

    assert isinstance(caught.value, (ICNotebookError, OSError))
    assert os.strerror(number) in str(caught.value)
    assert path.read_bytes() == b"old"
    assert everything_in(tmp_path) == {"f"}


@posix
@not_root
def test_an_unwritable_folder_is_a_storage_error(tmp_path):
    path = tmp_path / "ic" / "f"
    write_atomically(path, b"old")
    path.parent.chmod(0o500)
    try:
        with pytest.raises(StorageError):
            write_atomically(path, b"new")
        with pytest.raises(StorageError), locked(path):
            pass
    finally:
        path.parent.chmod(0o700)
    assert path.read_bytes() == b"old"


@posix
@not_root
def test_an_unreadable_file_is_a_storage_error(tmp_path):
    (tmp_path / "f").write_bytes(b"x")
    (tmp_path / "f").chmod(0o000)
    with pytest.raises(StorageError, match="Check who owns it"):
        read_bytes(tmp_path / "f", at_most=100)


def test_a_lock_that_another_holds_is_a_storage_error_within_its_time(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LOCK_TIMEOUT", 0.05)
    path, held, let_go = tmp_path / "f", threading.Event(), threading.Event()

    def hold() -> None:
        with locked(path):
            held.set()
            let_go.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(5)
    with pytest.raises(StorageError, match="locked by another program"), locked(path):
        pass
    let_go.set()
    holder.join(5)
    with locked(path):
        pass


@pytest.mark.parametrize("failure", [NotImplementedError(), OSError(errno.ENOLCK, "No locks")])
def test_a_file_system_without_locks_is_a_storage_error(tmp_path, monkeypatch, failure):
    def acquire(*_arguments, **_options):
        raise failure

    monkeypatch.setattr(filelock.FileLock, "acquire", acquire)
    with pytest.raises(StorageError), locked(tmp_path / "f"):
        pass


def test_an_exception_under_the_lock_releases_it(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "f"):
        raise ZeroDivisionError
    with locked(tmp_path / "f"):
        pass


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, OSError])
def test_a_write_that_is_interrupted_leaves_no_part_beside_the_old_file(tmp_path, monkeypatch, interrupt):
    path = tmp_path / "kept"
    write_atomically(path, b"old")

    def stopped(*_):
        raise interrupt

    monkeypatch.setattr(Path, "replace", stopped)
    with pytest.raises((KeyboardInterrupt, SystemExit, StorageError)):
        write_atomically(path, b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]
    assert path.read_bytes() == b"old"
