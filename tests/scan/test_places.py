"""Where a finding is, for a person who opens the notebook."""

from __future__ import annotations

import json

import pytest

from ic_notebook.scan.scanning import scan
from tests.scan.conftest import notebook, written
from tests.scan.samples import KEY

LINE = f'api_key = "{KEY}"\n'
OUTPUTS = {
    "stream": {"output_type": "stream", "name": "stdout", "text": ["one\n", LINE]},
    "plain": {
        "output_type": "execute_result",
        "data": {"text/plain": LINE},
        "metadata": {},
        "execution_count": 1,
    },
    "html": {
        "output_type": "display_data",
        "data": {"text/html": [f"<p>api_key: {KEY}</p>"]},
        "metadata": {},
    },
    "json": {
        "output_type": "display_data",
        "data": {"application/json": {"a": {"api_key": KEY}}},
        "metadata": {},
    },
    "vendor": {
        "output_type": "display_data",
        "data": {"application/vnd.x+json": [{"api_key": KEY}]},
        "metadata": {},
    },
    "svg": {
        "output_type": "display_data",
        "data": {"image/svg+xml": f"<svg><text>api_key={KEY}</text></svg>"},
        "metadata": {},
    },
    "javascript": {
        "output_type": "display_data",
        "data": {"application/javascript": [f"f({{apikey: '{KEY}'}})"]},
        "metadata": {},
    },
    "error": {
        "output_type": "error",
        "ename": "E",
        "evalue": "x",
        "traceback": [f"\x1b[32mapi_key\x1b[39m = '{KEY}'"],
    },
    "of an output's metadata": {
        "output_type": "display_data",
        "data": {},
        "metadata": {"x": {"api_key": KEY}},
    },
}


def places(path) -> list[str]:
    return [str(finding.place) for finding in scan([path], []).findings]


@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)
@pytest.mark.parametrize("indent", [None, 1, 4])
def test_an_output_of_every_kind(tree, output, indent):
    document = notebook("1", "[2, {}]", "3")
    document["cells"][1]["outputs"] = [OUTPUTS["stream"] | {"text": "}{]["}, output]
    path = tree / "a.ipynb"
    path.write_text(json.dumps(document, indent=indent))
    assert places(path) == ["cell 2, output"]


def test_a_source(tree):
    assert places(written(tree / "a.ipynb", notebook("1", "2", f"x = 1\n{LINE}y = 2"))) == ["cell 3, source"]


def test_metadata_of_a_cell_and_of_the_notebook_widget_state_and_attachments(tree):
    document = notebook("1", metadata={"a": {"api_key": KEY}, "widgets": {"state": {"x": {"api_key": KEY}}}})
    document["cells"][0]["metadata"] = {"tags": ["a", f"api_key={KEY}"]}
    document["cells"].append(
        {
            "cell_type": "markdown",
            "metadata": {},
            "source": [],
            "attachments": {"a.txt": {"text/plain": LINE}},
        }
    )
    assert places(written(tree / "a.ipynb", document)) == [
        "cell 1, metadata",
        "cell 2, attachment",
        "the notebook's metadata",
        "widget state",
    ]


def test_a_notebook_of_format_3(tree):
    document = {"worksheets": [{"cells": [{"cell_type": "code", "input": [LINE]}]}], "nbformat": 3}
    assert places(written(tree / "a.ipynb", document)) == ["cell 1, source"]


def test_a_line_elsewhere(tree):
    (tree / "a.py").write_text(f"# 1\n# 2\n{LINE}")
    assert places(tree / "a.py") == ["line 3"]


def test_a_notebook_that_is_no_notebook_gives_lines(tree):
    (tree / "a.ipynb").write_text(f"\n{LINE}")
    assert places(tree / "a.ipynb") == ["line 2"]
