"""``python -m ic_notebook.sandbox``: the same as ``ic-notebook sandbox``."""

from __future__ import annotations

import sys

from ic_notebook.sandbox.command import main

if __name__ == "__main__":
    sys.exit(main())
