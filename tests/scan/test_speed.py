"""How long a thousand notebooks take; `make test` runs it small, `make test-long` in full."""

from __future__ import annotations

import base64
import json
import os
import random
import secrets
import time

from ic_notebook.oauth.secret import Secret
from ic_notebook.scan.known import Known
from ic_notebook.scan.scanning import scan
from tests.scan.conftest import notebook
from tests.scan.samples import KEY
from tests.sizes import LONG

NOTEBOOKS = 1_000 if LONG else 40
SECONDS = 30.0


def megabyte(number: int) -> str:
    """A notebook as analysts have them: code, tables, a picture, and answers of the service."""
    chance = random.Random(number)
    words = ["creator", "followers", "df.groupby", "engagement", "plot", "x =", "\n"] * 10
    words += ["bearer", "api_key=os.environ['K']"]
    table = "".join(
        f"<tr><td>{chance.random()}</td><td>{chance.choice(words)}</td></tr>\n" for _ in range(4_000)
    )
    answer = [
        {
            "user_id": chance.getrandbits(60),
            "profile": {"url": f"https://dashboard.influencers.club/c/{n}", "name": "é"},
        }
        for n in range(600)
    ]
    document = notebook(*(" ".join(chance.choices(words, k=400)) for _ in range(40)))
    picture = base64.encodebytes(os.urandom(300_000)).decode()
    document["cells"][1]["outputs"] = [
        {
            "output_type": "display_data",
            "metadata": {},
            "data": {"text/html": table.splitlines(keepends=True), "image/png": picture},
        },
        {"output_type": "stream", "name": "stdout", "text": json.dumps(answer)},
    ]
    text = json.dumps(document, indent=1)
    return text + " " * (1_000_000 - len(text))


def test_a_thousand_notebooks_of_a_megabyte_take_less_than_30_seconds(tree, record_property):
    texts = [megabyte(number) for number in range(5)]
    assert all(len(text) == 1_000_000 for text in texts)
    for number in range(NOTEBOOKS):
        (tree / f"{number}.ipynb").write_text(texts[number % len(texts)])
    planted = texts[0].replace("groupby", f"x; api_key = '{KEY}'", 1)
    (tree / "0.ipynb").write_text(planted)
    known = [Known(text=Secret(secrets.token_urlsafe(32)), kind="a token") for _ in range(3)]
    began = time.perf_counter(), time.process_time()
    result = scan([tree], known)
    wall, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
    figure = (
        f"{result.files} notebooks, {result.size / 1e6:.0f} MB: {wall:.1f} s, of the processor {cpu:.1f} s"
    )
    print(figure)
    record_property("scan", figure)
    assert result.files == NOTEBOOKS
    assert len(result.findings) == 1
    # The processor's: others may be at work on this computer.
    assert not LONG or cpu < SECONDS
