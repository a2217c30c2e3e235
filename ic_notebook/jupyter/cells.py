"""The helper cells: what a person runs after signing in. None spends or revokes anything as it stands."""

from __future__ import annotations

from dataclasses import dataclass

from ic_notebook.errors import ConfigurationError

NEXT = "import ic_notebook as ic; ic.apps()"
"""What the panel names as the next step: one line that runs as it stands and costs nothing."""


@dataclass(frozen=True)
class HelperCell:
    """One cell: the name that `%ic_cells` takes, a title, and its code."""

    name: str
    title: str
    code: str


CELLS = (
    HelperCell(
        "first-call",
        "First call",
        "import ic_notebook as ic\n\n"
        'ic.client().get("/public/v1/accounts/credits/").raise_for_status().json()',
    ),
    HelperCell("apps", "Connected apps", "import ic_notebook as ic\n\nic.apps()"),
    HelperCell(
        "revoke",
        "Revoke an app",
        "import ic_notebook as ic\n\n"
        'app_id = ""  # put the id of an app from ic.apps() here\n'
        'if app_id:\n    ic.revoke(app_id)\n    print("Revoked.")',
    ),
    HelperCell(
        "pandas",
        "A table in pandas",
        "import ic_notebook as ic\nimport pandas as pd\n\n"
        'answer = ic.client().get("/public/v1/discovery/classifier/languages/")\n'
        "pd.DataFrame(answer.raise_for_status().json())",
    ),
)


def find_cell(name: str) -> HelperCell:
    """The helper cell of this name.

    Raises:
        ConfigurationError: there is none; the message lists those that are.
    """
    for cell in CELLS:
        if cell.name == name:
            return cell
    names = ", ".join(cell.name for cell in CELLS)
    raise ConfigurationError(f"There is no helper cell of that name. There are: {names}.")
