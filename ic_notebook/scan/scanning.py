"""Scans files, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ic_notebook.scan.finding import Finding, Found, Hit, Unscanned, without_overlaps
from ic_notebook.scan.known import Known
from ic_notebook.scan.literals import literals_in
from ic_notebook.scan.places import places_of
from ic_notebook.scan.tree import NoText, NotScanned, TooLarge, content_of, files_under

_EXPECTED = {".ipynb", ".html", ".htm"}


@dataclass(kw_only=True)
class Scan:
    """What a scan has come to.

    Attributes:
        found: the files with findings.
        unscanned: what could not be scanned.
        no_text: how many files were passed over because they are no text.
        too_large: data that was passed over because of its size; a notebook or a named file is `unscanned`.
        files: how many were scanned.
        size: their bytes.
    """

    found: list[Found] = field(default_factory=list)
    unscanned: list[Unscanned] = field(default_factory=list)
    no_text: int = 0
    too_large: list[Path] = field(default_factory=list)
    files: int = 0
    size: int = 0

    @property
    def findings(self) -> list[Finding]:
        """All of them."""
        return [finding for found in self.found for finding in found.findings]


def hits_in(text: bytes, secrets: Sequence[Known]) -> list[Hit]:
    """The secrets in a text, in their order, none overlapping another."""
    hits = [hit for secret in secrets for hit in secret.hits(text)]
    return without_overlaps([*hits, *literals_in(text)])


def scan_file(path: Path, secrets: Sequence[Known]) -> tuple[Found, int]:
    """What is found in one file, and how many bytes were looked at.

    Raises:
        NotScanned: it cannot be read, is too large, or is not text.
    """
    content = content_of(path)
    hits = hits_in(content.text, secrets)
    places = places_of(content.text, [hit.start for hit in hits], notebook=path.suffix.lower() == ".ipynb")
    findings = [Finding(path=path, place=place, hit=hit) for place, hit in zip(places, hits, strict=True)]
    return Found(path=path, digest=content.digest, findings=findings), len(content.text)


def scan(
    paths: Sequence[Path], secrets: Sequence[Known], *, progress: Callable[[Scan], None] = lambda _: None
) -> Scan:
    """Scan files and folders; `progress` is called after each file."""
    result = Scan()
    for path in files_under(paths):
        if isinstance(path, Unscanned):
            result.unscanned.append(path)
            continue
        try:
            found, size = scan_file(path, secrets)
        except NotScanned as why:
            if isinstance(why, NoText):
                result.no_text += 1
            elif isinstance(why, TooLarge) and path not in paths and path.suffix.lower() not in _EXPECTED:
                result.too_large.append(path)
            else:
                result.unscanned.append(Unscanned(path=path, why=str(why)))
            continue
        result.files += 1
        result.size += size
        if found.findings:
            result.found.append(found)
        progress(result)
    return result
