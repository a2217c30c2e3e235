"""`ic-notebook scan` as a person, a hook and a program meet it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from tests.scan.conftest import notebook, written
from tests.scan.samples import KEY
from tests.scripts.processes import Terminal, environment, run

TOKEN = "Zt4-kQ_9vXw2Lr7nBc8Md3"
LINE = f'api_key = "{KEY}"'
posix = pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is POSIX's")


def parts_of(secret: str) -> set[str]:
    return {secret[at : at + 6] for at in range(len(secret) - 5)}


def test_help_reads_well(scan, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    code, out, err = scan("--help")
    assert (code, err) == (0, "")
    for words in ("usage: ic-notebook scan", "notebooks", "--fix", "Exit codes: 0 nothing found"):
        assert words in out
    assert max(map(len, out.splitlines())) <= 100


def test_nothing_found_is_0(tree, scan):
    written(tree / "a.ipynb", notebook("1 + 1"))
    code, out, err = scan(tree)
    assert (code, out) == (0, "")
    assert "1 file, 0.0 MB" in err
    assert "Nothing was found." in err


def test_the_folder_one_is_in_where_none_is_named(tree, scan, monkeypatch):
    (tree / "a.py").write_text(LINE)
    monkeypatch.chdir(tree)
    code, out, _ = scan()
    assert (code, out) == (1, "a.py: line 1: a literal beside api_key\n")


def test_found_is_1_and_says_where_and_never_what(tree, scan, monkeypatch):
    monkeypatch.setenv("IC_ACCESS_TOKEN", TOKEN)
    written(tree / "a.ipynb", notebook("1", LINE))
    (tree / f"{TOKEN}.txt").write_text(TOKEN)
    code, out, err = scan(tree)
    assert code == 1
    assert out.splitlines() == [
        f"{tree}/….txt: line 1: the token in IC_ACCESS_TOKEN",
        f"{tree}/a.ipynb: cell 2, source: a literal beside api_key",
    ]
    assert "must be taken for known" in err
    assert "make a new key in the dashboard" in err
    for arguments in ([], ["--json"], ["--fix"], ["--fix", "--yes", "--json"]):
        _, out, err = scan(tree, *arguments)
        assert not any(part in out + err for secret in (TOKEN, KEY) for part in parts_of(secret))


def test_a_known_token_inside_a_longer_literal_is_told_as_what_it_is(tree, scan, monkeypatch):
    monkeypatch.setenv("IC_ACCESS_TOKEN", TOKEN)
    (tree / "a.py").write_text(f'api_key = "{KEY}{TOKEN}"')
    _, out, _ = scan(tree / "a.py", "--fix", "--yes")
    assert out == f"{tree}/a.py: line 1: the token in IC_ACCESS_TOKEN\n"
    assert TOKEN not in (tree / "a.py").read_text()


def test_a_path_that_is_not_there_is_2(tree, scan):
    code, out, err = scan(tree / "nowhere.ipynb")
    assert (code, out) == (2, "")
    assert "nowhere.ipynb was not scanned: there is no such file or folder." in err


def test_found_beside_what_could_not_be_scanned_is_1(tree, scan):
    (tree / "a.py").write_text(LINE)
    assert scan(tree, tree / "nowhere")[0] == 1


def test_a_name_with_line_breaks_and_colours_is_shown_in_one_line(tree, scan):
    (tree / "a\n\x1b[31m.py").write_text(LINE)
    assert scan(tree)[1] == f"{tree}/a??[31m.py: line 1: a literal beside api_key\n"


def test_json_is_for_a_program(tree, scan):
    path = written(tree / "a.ipynb", notebook("1", LINE))
    code, out, err = scan(tree, tree / "nowhere", "--json")
    assert (code, err) == (1, "")
    told = json.loads(out)
    assert told["findings"] == [
        {
            "file": str(path),
            "line": 20,
            "cell": 2,
            "part": "source",
            "kind": "a literal beside api_key",
            "replaced": False,
        }
    ]
    assert [each["why"] for each in told["unscanned"]] == ["there is no such file or folder"]
    assert (told["files"], told["no_text"], told["too_large"]) == (1, 0, [])


def test_fix_is_a_dry_run_where_nobody_can_be_asked(tree, scan):
    (tree / "a.py").write_text(LINE)
    code, _, err = scan(tree, "--fix")
    assert code == 1
    assert "Nothing was written. With --yes, 1 finding in 1 file would be replaced" in err
    assert (tree / "a.py").read_text() == LINE


def test_yes_alone_writes_nothing(tree, scan):
    (tree / "a.py").write_text(LINE)
    assert scan(tree, "--yes")[0] == 1
    assert (tree / "a.py").read_text() == LINE


def test_fix_with_yes_replaces_and_still_is_1_and_then_0(tree, scan):
    (tree / "a.py").write_text(f"{LINE}\n{LINE}\n")
    code, _, err = scan(tree, "--fix", "--yes")
    assert code == 1
    assert "Replaced in 1 file." in err
    assert "must be taken for known" in err
    assert (tree / "a.py").read_text() == 'api_key = "REMOVED_BY_IC_NOTEBOOK"\n' * 2
    assert scan(tree)[0] == 0


def test_fix_takes_it_out_of_the_checkpoint_too(tree, scan):
    (tree / ".ipynb_checkpoints").mkdir()
    copy = written(tree / ".ipynb_checkpoints" / "a-checkpoint.ipynb", notebook(LINE))
    scan(written(tree / "a.ipynb", notebook(LINE)), "--fix", "--yes")
    assert KEY not in copy.read_text() + (tree / "a.ipynb").read_text()


def test_what_could_not_be_replaced_is_2(tree, scan, monkeypatch):
    monkeypatch.setenv("IC_ACCESS_TOKEN", "12345678901234567890")
    (tree / "a.json").write_text('{"id": 12345678901234567890}')
    code, _, err = scan(tree, "--fix", "--yes")
    assert code == 2
    assert "was left as it is: it would not be JSON any more" in err


def test_a_stored_sign_in_without_a_terminal_is_told_how_it_ends_and_is_not_ended(
    tree, keep, scan, system_keyring
):
    keep(TOKEN)
    before = dict(system_keyring.entries)
    (tree / "a.py").write_text(TOKEN)
    _, _, err = scan(tree)
    assert "The stored sign-in ends with: ic-notebook disconnect --profile default" in err
    assert system_keyring.entries == before


def test_scan_is_not_imported_by_the_package_and_imports_no_network(tmp_path):
    script = (
        "import sys, ic_notebook; assert not any('scan' in m for m in sys.modules if m.startswith('ic_notebook'));"
        "from ic_notebook.cli import main; main(['scan', '.']); print('keyring' in sys.modules, 'ipywidgets' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout == "False False\n", done.stderr


@posix
@pytest.mark.parametrize(
    ("answer", "left"), [("y\n", "REMOVED_BY_IC_NOTEBOOK"), ("\n", KEY), ("n\n", KEY), ("\x04", KEY)]
)
def test_a_person_at_a_terminal_is_asked(tree, tmp_path, answer, left):
    (tree / "a.py").write_text(LINE)
    with Terminal("-m", "ic_notebook", "scan", "--fix", str(tree), home=tmp_path) as terminal:
        terminal.until(r"Replace 1 finding in 1 file by a placeholder\? \[y/N\]")
        terminal.type(answer)
        assert terminal.ends() == 1
    assert left in (tree / "a.py").read_text()
    assert not any(part in terminal.shown for part in parts_of(KEY))


@posix
def test_ctrl_c_at_the_question_leaves_the_file(tree, tmp_path):
    (tree / "a.py").write_text(LINE)
    with Terminal("-m", "ic_notebook", "scan", "--fix", str(tree), home=tmp_path) as terminal:
        terminal.until(r"\[y/N\]")
        terminal.type("\x03")
        assert terminal.ends() == 130
    assert (tree / "a.py").read_text() == LINE
    assert "Traceback" not in terminal.shown


@posix
def test_ctrl_c_in_the_middle_of_a_fix_leaves_every_file_whole(tree, tmp_path):
    for number in range(400):
        written(tree / f"{number:03}.ipynb", notebook(LINE, "x" * 20_000))
    before = (tree / "000.ipynb").read_text()
    process = subprocess.Popen(
        [sys.executable, "-m", "ic_notebook", "scan", "--fix", "--yes", str(tree)],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        while KEY in (tree / "010.ipynb").read_text() and process.poll() is None:
            pass
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert b"Traceback" not in errors
    after = before.replace(KEY, "REMOVED_BY_IC_NOTEBOOK")
    states = {path.read_text() for path in tree.iterdir()}
    assert states == {before, after}
    assert len(list(tree.iterdir())) == 400


AT_ONCE = (
    "from ic_notebook.scan import progress; progress.AFTER = 0.0; progress.EVERY = 0.0;"
    "import sys; from ic_notebook.cli import main; sys.exit(main(['scan', sys.argv[1]]))"
)


@posix
def test_a_long_scan_at_a_terminal_shows_how_far_it_is_and_takes_that_away(tree, tmp_path):
    for number in range(200):
        (tree / f"{number}.py").write_text("x = 1\n")
    with Terminal("-c", AT_ONCE, str(tree), home=tmp_path) as terminal:
        assert terminal.ends() == 0
    assert "\r100 files, 0 MB; found: 0" in terminal.shown
    assert terminal.shown.rindex("\r") < terminal.shown.index("200 files, 0.0 MB, looked through")


def test_no_progress_where_there_is_no_terminal(tree, tmp_path):
    (tree / "a.py").write_text("x = 1\n")
    done = run("-c", AT_ONCE, str(tree), home=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert "found:" not in done.stderr
