"""`python -m ic_notebook` is `ic-notebook`."""

import sys

from ic_notebook.cli import main

sys.exit(main())
