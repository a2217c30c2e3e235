"""A script in which somebody signs in, and which tells how that goes: a line of JSON a step.

python -m tests.redirect.signing_in URL
"""

from __future__ import annotations

import json
import sys
from functools import partial

import httpx

import ic_notebook as ic
from ic_notebook import background, signed_in
from ic_notebook.login import login
from ic_notebook.login.options import LoginOptions
from tests.sessions.people import free_ports


def tell(**words: object) -> None:
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    signed_in.LoginOptions = partial(LoginOptions, ports=free_ports())
    login.LINGER, background.LINGER = 1.0, 0.1
    session = ic.connect(
        base_url=sys.argv[1], storage="memory", timeout=240, open_url=lambda url: tell(url=url)
    )
    answer = httpx.get(f"{sys.argv[1]}/public/v1/accounts/credits/", auth=session.auth)
    tell(status=answer.status_code)
    # Somebody looks at this process before it ends.
    sys.stdin.read()
