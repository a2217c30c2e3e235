"""Notebooks that a real kernel has run with a secret in them: found wherever it got to, and taken out."""

from __future__ import annotations

import json

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter, PythonExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from ic_notebook.oauth.secret import Secret
from ic_notebook.scan.known import Known
from ic_notebook.scan.rewriting import rewrite
from ic_notebook.scan.scanning import scan_file

pytestmark = pytest.mark.kernel

TOKEN = 'Zt4-kQ_9vXw2Lr7nBc8Md3+yHs5/Fp1="x'
SECRETS = [Known(text=Secret(TOKEN), kind="the token")]
CELLS = {
    "print": "print(T)",
    "repr": "{'Authorization': 'Bearer ' + T, 'n': [T]}",
    "json": "import json; print(json.dumps({'answer': json.dumps({'access_token': T})}, indent=2))",
    "base64": "import base64; print(base64.encodebytes(b'key:' + T.encode() + b'.' * 90).decode())",
    "url": "from urllib.parse import quote; print('https://example.org/?token=' + quote(T, safe=''))",
    "stderr": "import sys; print(T, file=sys.stderr)",
    "table": "import pandas as pd; pd.DataFrame({'name': ['a', 'b'], 'token': [T, 'x']})",
    "markup": 'from IPython.display import HTML; HTML(f\'<b title="x">{__import__("html").escape(T)}</b>\')',
    "data": "from IPython.display import JSON; JSON({'deep': [{'token': T}]})",
    "markdown": "from IPython.display import Markdown; Markdown(f'`{T}`')",
    "script": "from IPython.display import Javascript; Javascript('var t = ' + json.dumps(T))",
    "picture": 'from IPython.display import SVG; SVG(f\'<svg xmlns="http://www.w3.org/2000/svg"><text>{__import__("html").escape(T)}</text></svg>\')',
    "bytes in a picture": "from IPython.display import Image; Image(b'\\x89PNG' + T.encode() + b'tail', format='png', embed=True)",
    "error": "raise ValueError(T)",
    "traceback": "def call(token):\n    return 1 / 0\ncall(T)",
    "widget": "import ipywidgets; ipywidgets.Text(value=T)",
}
CARRYING = [name for name in CELLS if name not in {"traceback", "widget"}]


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebook as nbclient leaves it, widget state included."""
    hidden = new_code_cell("import os, base64\nT = os.environ['CANARY']\n%xmode Verbose")
    written = new_code_cell(f"token = {TOKEN!r}")
    document = new_notebook(
        cells=[hidden, written, new_markdown_cell(f"My token is {TOKEN} today.")]
        + [new_code_cell(source, metadata={"name": name}) for name, source in CELLS.items()],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    import os

    folder = tmp_path_factory.mktemp("executed")
    os.environ["CANARY"] = TOKEN
    try:
        NotebookClient(document, allow_errors=True, timeout=60, store_widget_state=True).execute(
            cwd=str(folder)
        )
    finally:
        del os.environ["CANARY"]
    path = folder / "executed.ipynb"
    nbformat.write(document, path)
    return path


def test_it_is_found_in_every_cell_that_carries_it(executed):
    found, _ = scan_file(executed, SECRETS)
    places = [str(finding.place) for finding in found.findings]
    assert "cell 1, source" not in places
    assert {"cell 2, source", "cell 3, source", "widget state"} <= set(places)
    for number, name in enumerate(CELLS, start=4):
        if name in CARRYING:
            assert f"cell {number}, output" in places, name


def test_it_is_gone_from_every_encoding_and_the_notebook_is_otherwise_the_same(executed, tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_bytes(executed.read_bytes())
    before = nbformat.read(path, 4)
    found, _ = scan_file(path, SECRETS)
    rewrite(found, SECRETS)
    text = path.read_text("utf-8")
    for piece in ("kQ_9vXw2", "vXw2Lr7nBc8", "yHs5"):
        assert piece not in text
    after = nbformat.read(path, 4)
    nbformat.validate(after)
    assert [cell.source for cell in after.cells if "Zt4" not in cell.source][3:] == [
        cell.source for cell in before.cells if "Zt4" not in cell.source
    ][1:]
    assert json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n" == text
    assert scan_file(path, SECRETS)[0].findings == []


@pytest.mark.parametrize("exporter", [HTMLExporter, PythonExporter])
def test_it_is_found_in_an_export_and_gone_from_it(executed, tmp_path, exporter):
    body, resources = exporter().from_filename(str(executed))
    path = tmp_path / f"a{resources['output_extension']}"
    path.write_text(body, encoding="utf-8")
    found, _ = scan_file(path, SECRETS)
    assert len(found.findings) >= (15 if exporter is HTMLExporter else 2)
    rewrite(found, SECRETS)
    text = path.read_text("utf-8")
    for piece in ("kQ_9vXw2", "vXw2Lr7nBc8", "yHs5"):
        assert piece not in text
