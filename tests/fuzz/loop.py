"""Fuzzes one target until it fails or has run often enough; `run` starts it as a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

from tests.fuzz.targets import target

NOT_READING = ("h11._state", "h11._events", "h11._connection", "h11._util", "h11._writers")
"""What takes time at every request, and tells nothing of what was read."""


def fuzz(name: str, folder: Path, flags: list[str], *, planted: bool) -> None:
    """Never returns: libFuzzer ends the process."""
    with atheris.instrument_imports(include=["ic_notebook", "h11"], exclude=list(NOT_READING)):
        tried = target(name)
    if planted:
        tried.defect()
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(tried.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = folder / "words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in tried.words))
    options = [f"-dict={words}", f"-max_len={tried.longest}", f"-artifact_prefix={folder}/", "-reload=0"]
    atheris.Setup([name, *options, *flags, str(corpus)], tried.check)
    atheris.Fuzz()


def _escaped(word: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word.encode())


if __name__ == "__main__":
    fuzz(sys.argv[1], Path(sys.argv[2]), sys.argv[4:], planted=sys.argv[3] == "planted")
