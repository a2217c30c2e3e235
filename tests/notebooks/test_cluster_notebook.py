"""The cluster notebook with an amount filled in: what it spends, and that no page is paid for twice."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest

from ic_notebook.sandbox import RunningSandbox
from tests.notebooks.test_notebooks import FOLDER, executed, outputs, sandbox

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(180)]

NOTEBOOK = FOLDER / "cluster.ipynb"
ACCOUNT = "Sandbox account"
__all__ = ["sandbox"]


def filled_in(folder: Path, *, spend: int) -> Path:
    """The notebook as a person leaves it who has put an amount in, and keeps the pages in a folder."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace("spend = 0 ", f"spend = {spend} ").replace(
            'Path("creators").resolve()', f"Path({str(folder / 'creators')!r})"
        )
    path = folder / "cluster.ipynb"
    nbformat.write(notebook, path)
    return path


def posts(sandbox: RunningSandbox) -> list[int]:
    return [request.status for request in sandbox.requests if request.method == "POST"]


def test_as_it_stands_no_cell_asks_for_an_amount_of_anything():
    assert "spend = 0 " in NOTEBOOK.read_text()


def test_it_fetches_each_page_once_over_an_interruption_and_a_new_kernel(sandbox, tmp_path):
    token = sandbox.store.issue_token()
    sandbox.store.credits.grant(ACCOUNT, 5 * 50)
    path = filled_in(tmp_path, spend=5)
    first = outputs(executed(path, sandbox, IC_ACCESS_TOKEN=token))
    assert "5 of 10 pages are missing: POST /public/v1/discovery/: 402" in first["run"]
    assert "250 creators in 5 pages" in first["table"]
    assert "300 calls a minute" in first["cluster"]
    assert sorted(posts(sandbox)) == [200] * 5 + [402] * 5

    sandbox.store.credits.grant(ACCOUNT, 10_000)
    sandbox.requests.clear()
    second = executed(path, sandbox, IC_ACCESS_TOKEN=token)
    assert "missing" not in outputs(second)["run"]
    assert "500 creators in 10 pages" in outputs(second)["table"]
    assert posts(sandbox) == [200] * 5
    assert sandbox.store.credits.used(ACCOUNT) == 10 * 50

    kept = [json.loads(page.read_text()) for page in (tmp_path / "creators").iterdir()]
    assert len({account["user_id"] for page in kept for account in page}) == 500
    assert token not in nbformat.writes(second)
