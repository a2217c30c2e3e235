"""Taking what was found out of a file: nothing else changes, and nothing is ever half done."""

from __future__ import annotations

import json
import os
import sys

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ic_notebook.oauth.secret import Secret
from ic_notebook.scan import rewriting
from ic_notebook.scan.known import Known
from ic_notebook.scan.rewriting import NotRewritten, rewrite
from ic_notebook.scan.scanning import scan_file
from tests.scan.conftest import notebook, written
from tests.scan.samples import KEY
from tests.sizes import EXAMPLES

TOKEN = "Zt4-kQ_9vXw2Lr7nBc8Md3+yHs5/Fp1="
SECRETS = [Known(text=Secret(TOKEN), kind="the token")]
PLACEHOLDER = "REMOVED_BY_IC_NOTEBOOK"

VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.text(max_size=8),
        st.just(TOKEN),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.text(max_size=5), st.just(TOKEN)), inner, max_size=4),
    ),
    max_leaves=25,
)


def put_out(path) -> None:
    found, _ = scan_file(path, SECRETS)
    rewrite(found, SECRETS)


@given(
    value=VALUES,
    indent=st.sampled_from([None, 0, 1, 4, "\t"]),
    ascii_=st.booleans(),
    tight=st.booleans(),
    end=st.sampled_from(["", "\n", "\r\n", "\n\n"]),
    nested=st.integers(0, 2),
)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_other_byte_of_a_json_file_stays(tree, value, indent, ascii_, tight, end, nested):  # noqa: PLR0917
    def dumped(token: str) -> str:
        text: object = [token, value, {"x": f"a {token} b"}]
        options = {"indent": indent, "ensure_ascii": ascii_, "separators": (",", ":") if tight else None}
        text = json.dumps(text, **options)
        for _ in range(nested):
            text = json.dumps([text], **options)
        return text + end

    path = tree / "a.ipynb"
    whole = dumped(TOKEN)
    path.write_bytes(whole.encode("utf-8", "surrogatepass"))
    put_out(path)
    # Neither escape nor layout may differ: the secret's JSON is replaced in the text, as a person would.
    expected, form = whole, TOKEN
    for _ in range(nested + 1):
        form = json.dumps(form)[1:-1]
    assert path.read_bytes() == expected.replace(form, PLACEHOLDER).encode("utf-8", "surrogatepass")


@given(
    before=st.binary(max_size=60),
    after=st.binary(max_size=60),
    codec=st.sampled_from(["bytes", "utf-16-le", "utf-16-be"]),
)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_other_byte_of_any_file_stays(tree, before, after, codec):
    if codec == "bytes":
        octets, middle = [before, after], [b" " + TOKEN.encode() + b" ", f" {PLACEHOLDER} ".encode()]
        bom = b"# "
    else:
        octets = [part.decode("latin-1").encode(codec) for part in (before, after)]
        middle = [f" {text} ".encode(codec) for text in (TOKEN, PLACEHOLDER)]
        bom = "\ufeff".encode(codec)
    path = tree / "a.txt"
    path.write_bytes(bom + octets[0] + middle[0] + octets[1])
    put_out(path)
    assert path.read_bytes() == bom + octets[0] + middle[1] + octets[1]


def test_a_notebook_is_valid_afterwards_and_has_its_order_its_escapes_and_its_end(tree):
    path = tree / "a.ipynb"
    document = notebook(f'token = "{TOKEN}"\nprint("caf\u00e9 \\\\n")', metadata={"zz": 1, "aa": 2})
    text = json.dumps(document, indent=3)  # escaped, and without a newline at its end
    path.write_text(text)
    put_out(path)
    assert path.read_text() == text.replace(TOKEN, PLACEHOLDER)
    nbformat.validate(nbformat.read(path, 4))


def test_literals_go_too(tree):
    path = written(tree / "a.ipynb", notebook(f'api_key = "{KEY}"\nIC = "{TOKEN}"'))
    put_out(path)
    assert json.loads(path.read_text())["cells"][0]["source"] == [
        f'api_key = "{PLACEHOLDER}"\n',
        f'IC = "{PLACEHOLDER}"',
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o664, 0o440])
def test_the_mode_stays(tree, mode):
    path = tree / "a.py"
    path.write_text(TOKEN)
    path.chmod(mode)
    put_out(path)
    assert path.stat().st_mode & 0o7777 == mode
    assert [entry.name for entry in tree.iterdir()] == ["a.py"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX links")
def test_a_named_link_stays_a_link(tree):
    (tree / "a.py").write_text(TOKEN)
    (tree / "link.py").symlink_to("a.py")
    put_out(tree / "link.py")
    assert (tree / "link.py").is_symlink()
    assert (tree / "a.py").read_text() == PLACEHOLDER


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX links")
def test_a_file_with_a_second_name_is_left_since_that_would_keep_the_secret(tree):
    (tree / "a.py").write_text(TOKEN)
    (tree / "b.py").hardlink_to(tree / "a.py")
    with pytest.raises(NotRewritten, match="second name"):
        put_out(tree / "a.py")
    assert (tree / "a.py").read_text() == TOKEN


def test_a_file_that_has_changed_meanwhile_is_left(tree):
    path = tree / "a.py"
    path.write_text(TOKEN)
    found, _ = scan_file(path, SECRETS)
    path.write_text(f"# mine\n{TOKEN}")
    with pytest.raises(NotRewritten, match="has changed"):
        rewrite(found, SECRETS)
    assert path.read_text() == f"# mine\n{TOKEN}"
    path.unlink()
    with pytest.raises(NotRewritten):
        rewrite(found, SECRETS)
    assert list(tree.iterdir()) == []


def test_a_file_that_changes_while_it_is_written_is_left(tree, monkeypatch):
    path = tree / "a.py"
    path.write_text(TOKEN)
    write = rewriting.write_atomically

    def late(beside, content):
        write(beside, content)
        path.write_text("# somebody else's")

    monkeypatch.setattr(rewriting, "write_atomically", late)
    with pytest.raises(NotRewritten, match="has changed"):
        put_out(path)
    assert path.read_text() == "# somebody else's"
    assert [entry.name for entry in tree.iterdir()] == ["a.py"]


@pytest.mark.parametrize(
    "failure", [KeyboardInterrupt(), OSError(28, "No space left on device")], ids=["Ctrl-C", "full"]
)
def test_what_is_cut_short_leaves_the_file_as_it_was_and_nothing_beside_it(tree, monkeypatch, failure):
    path = tree / "a.py"
    path.write_text(TOKEN)

    def replace(*_: object) -> None:
        raise failure

    monkeypatch.setattr(rewriting.Path, "chmod", replace)
    with pytest.raises((KeyboardInterrupt, NotRewritten)):
        put_out(path)
    assert path.read_text() == TOKEN
    assert [entry.name for entry in tree.iterdir()] == ["a.py"]


def test_an_interrupt_while_it_is_written_leaves_nothing_beside_it(tree, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    path = tree / "a.py"
    path.write_text(TOKEN)
    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        put_out(path)
    assert path.read_text() == TOKEN
    assert [entry.name for entry in tree.iterdir()] == ["a.py"]


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root has files of others")
def test_another_ones_file_stays_theirs(tree):
    path = tree / "a.py"
    path.write_text(TOKEN)
    os.chown(path, 65534, 65534)
    put_out(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_must_not_be_written_is_said(tree):
    (tree / "a.py").write_text(TOKEN)
    tree.chmod(0o500)
    try:
        with pytest.raises(NotRewritten, match="cannot be written"):
            put_out(tree / "a.py")
    finally:
        tree.chmod(0o700)


def test_json_that_would_be_broken_is_left(tree):
    secret = "12345678901234567890"
    known = [Known(text=Secret(secret), kind="the token")]
    path = tree / "a.json"
    path.write_text(f'{{"id": {secret}}}')
    found, _ = scan_file(path, known)
    assert len(found.findings) == 1
    with pytest.raises(NotRewritten, match="by hand"):
        rewrite(found, known)
    assert secret in path.read_text()
