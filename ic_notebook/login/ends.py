"""What a person is told at the end of an attempt."""

from __future__ import annotations

from ic_notebook.errors import ICNotebookError, SignInDeclined
from ic_notebook.login.states import LoginState
from ic_notebook.redirect import pages
from ic_notebook.redirect.pages import Page


def last_page(state: LoginState, failure: ICNotebookError | None) -> Page:
    """The page on which the browser that brought the answer ends."""
    if state is LoginState.CONNECTED:
        return pages.CONNECTED
    if isinstance(failure, SignInDeclined):
        return pages.DECLINED
    if failure is not None:
        return pages.failed(str(failure))
    return pages.FINISHING
