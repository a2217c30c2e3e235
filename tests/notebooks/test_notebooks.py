"""Every notebook in ``notebooks/``, executed as it is by nbclient, which papermill and nbconvert are built on."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from ic_notebook.sandbox import RunningSandbox, SandboxSettings, serve_in_thread
from tests.jupyter.kernels import clean_environment
from tests.sizes import needs_time

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

pytestmark = pytest.mark.kernel
every = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with serve_in_thread(SandboxSettings(rate_limit=0)) as running:
        running.store.seed_app("Claude")
        running.store.seed_app("Zapier")
        yield running


def executed(path: Path, sandbox: RunningSandbox, **variables: str) -> nbformat.NotebookNode:
    """The notebook with the outputs of a run of all its cells; raises where one failed, and keeps them then too."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory(prefix="ic-n-") as folder:
        client = NotebookClient(
            notebook, kernel_name="python3", timeout=60, resources={"metadata": {"path": folder}}
        )
        manager = client.create_kernel_manager()
        manager.kernel_spec_manager = KernelSpecManager(kernel_dirs=[])
        manager.transport, manager.ip = "ipc", f"{folder}/socket"
        manager.connection_file = f"{folder}/connection.json"
        try:
            client.execute(env=clean_environment(Path(folder), IC_BASE_URL=sandbox.url, **variables))
        except CellExecutionError as error:
            error.notebook = notebook
            raise
    return notebook


def outputs(notebook: nbformat.NotebookNode) -> dict[str, str]:
    """What the cells show, by cell id, as text."""
    return {
        cell["id"]: "".join(
            str(output.get("text", "")) + str(output.get("data", {}).get("text/plain", ""))
            for output in cell["outputs"]
        )
        for cell in notebook.cells
        if cell.cell_type == "code"
    }


def test_there_are_notebooks():
    assert [path.name for path in NOTEBOOKS if path.name == "quickstart.ipynb"]


@every
def test_it_is_valid_and_committed_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert [cell for cell in code if cell.outputs or cell.execution_count is not None] == []
    assert "widgets" not in notebook.metadata
    assert notebook.metadata.kernelspec.name == "python3"


# The cluster's cells are all run by the test of what it spends.
@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=needs_time if path.name == "cluster.ipynb" else ()) for path in NOTEBOOKS],
    ids=lambda path: path.name,
)
def test_it_runs_to_its_end_with_a_token_and_changes_nothing(path, sandbox):
    token = sandbox.store.issue_token()
    notebook = executed(path, sandbox, IC_ACCESS_TOKEN=token)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert {request.method for request in sandbox.requests} == {"GET"}
    assert all(request.status == 200 for request in sandbox.requests)
    assert [app.name for app in sandbox.store.apps()] == ["Claude", "Zapier"]
    assert token not in nbformat.writes(notebook)


def test_the_quickstart_shows_the_credits_and_the_apps(sandbox):
    notebook = executed(FOLDER / "quickstart.ipynb", sandbox, IC_ACCESS_TOKEN=sandbox.store.issue_token())
    shown = outputs(notebook)
    assert "627.13" in shown["first-call"]
    assert "Claude" in shown["apps"]
    assert "Zapier" in shown["apps"]
    assert shown["revoke"] == shown["disconnect"] == ""


@every
def test_without_a_sign_in_it_stops_with_one_line_at_the_first_call(path, sandbox):
    began_at = time.monotonic()
    with pytest.raises(CellExecutionError) as stopped:
        executed(path, sandbox)
    assert time.monotonic() - began_at < 30
    assert stopped.value.ename == "SignInRequired"
    (error,) = [
        output
        for cell in stopped.value.notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "error"
    ]
    assert error.traceback == [
        "SignInRequired: Nobody is signed in. Connect first: %load_ext ic_notebook, or ic_notebook.connect()."
    ]
    assert sandbox.requests == []
