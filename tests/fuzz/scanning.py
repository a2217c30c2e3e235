"""Target: the scan, which reads whatever lies about, and what it takes out of it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from ic_notebook.oauth.secret import Secret
from ic_notebook.scan import scanning, tree
from ic_notebook.scan.known import Known
from ic_notebook.scan.rewriting import NotRewritten, rewrite
from ic_notebook.scan.scanning import hits_in, scan_file
from ic_notebook.scan.tree import NotScanned, content_of
from tests.fuzz.building import Reader, bytes_of, text_of
from tests.fuzz.protocol import breaks
from tests.fuzz.targets import Target
from tests.scan.samples import FOUND, KEY, PLAIN

FOLDER = Path(tempfile.mkdtemp())
FILES = (FOLDER / "a.ipynb", FOLDER / "a.html", FOLDER / "a")
SECRET = "Sq8-vT2_nW5xK7rB4mZ9cL1y"
# Python takes all the memory that a reading may need, which is more than these files do.
tree.MAX_BYTES = 65_536
SECRETS = (Known(text=Secret(SECRET), kind="the token"),)


def check_scan(data: bytes) -> None:
    reader = Reader(data)
    how = reader.byte()
    path = FILES[how % 3]
    before = _notebook(reader) if how & 4 else reader.rest()
    if how & 24 == 8:
        before = before.decode("utf-8", "replace").encode("utf-16")
    path.write_bytes(before)
    try:
        found, _ = scan_file(path, SECRETS)
    except NotScanned:
        return
    text = content_of(path).text
    end = 0
    for finding in found.findings:
        hit = finding.hit
        assert end <= hit.start < hit.end <= len(text)
        end = hit.end
        assert 1 <= finding.place.line <= text.count(b"\n") + 1
        assert finding.place.cell is None or finding.place.cell >= 1
        assert SECRET not in f"{finding.place} {hit.kind} {finding!r}"
    assert SECRET.encode() not in text or found.findings
    if found.findings and how & 32:
        _take_out(path, before, found)


def _take_out(path: Path, before: bytes, found: scanning.Found) -> None:
    try:
        rewrite(found, SECRETS)
    except NotRewritten:
        assert path.read_bytes() == before
        return
    after = content_of(path).text
    assert not hits_in(after, SECRETS)
    assert SECRET.encode() not in after
    if path.suffix == ".ipynb" and _is_json(before):
        assert _is_json(after)


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _notebook(reader: Reader) -> bytes:
    value = reader.value()
    source = reader.rest().decode("utf-8", "replace")
    text = text_of({"cells": [{"source": [source, value], "outputs": value}], "metadata": value})
    # The longest word is for who must refuse it; here it costs time alone.
    return text.replace("x" * 1_000, "").encode()


TARGETS = {
    "scan": Target(
        check=check_scan,
        seeds=(
            *(b"\40" + line.encode() for line in FOUND.values()),
            *(b"\2" + line.encode() for line in list(PLAIN.values())[:12]),
            b"\4" + bytes_of({"source": SECRET}) + f'api_key = "{KEY}"'.encode(),
            b"\4" + bytes_of([1]) + SECRET.encode(),
            b"\14" + bytes_of({"cells": ["(nested 900)"]}) + SECRET.encode(),
            b'\0{"cells": [{"source": "' + SECRET.encode() + b'"',
        ),
        words=(
            "api_key",
            "Bearer ",
            "Authorization",
            "influencers.club",
            "https://",
            SECRET,
            KEY,
            *"\"'\\{}[],:=",
            "\\u0022",
        ),
        longest=512,
        defect=breaks(scanning, "without_overlaps", lambda hits: hits),
    )
}
