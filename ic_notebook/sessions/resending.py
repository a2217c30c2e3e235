"""When a call's access token is renewed and the call sent again: one rule for every HTTP library.

The rule is a generator. It yields a renewal to wait for, and is sent what came of it; or a token set to send
the call with, and is sent whether the service refused it. When it ends, the last answer is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from ic_notebook.background import background, until_done
from ic_notebook.errors import ForeignOrigin, ICNotebookError, NotResent, ServiceUnavailable, SignInRequired
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.sessions.token_source import Renewal, Renewed, TokenSource

Step = TokenSet | Renewal
Steps = Generator[Step, "bool | Renewed", None]


@dataclass(slots=True)
class Attempt:
    """With what a call is sent.

    Attributes:
        tokens: the token set.
        refreshed: whether this call has had them refreshed, which it may once.
        failure: why they could not be renewed ahead of their end, or None.
    """

    tokens: TokenSet
    refreshed: bool = False
    failure: ICNotebookError | None = None


def steps(source: TokenSource, *, replayable: Callable[[], bool], refused: TokenSet | None = None) -> Steps:
    """One call: renew ahead, send, and send again: three sends at most.

    And one refresh, unless what it gave was overtaken before it could be used.

    Args:
        source: of the tokens.
        replayable: whether the call can be sent again.
        refused: the tokens that it was sent with already; None where they have to be renewed ahead.
    """
    attempt = (yield from _ahead(source)) if refused is None else Attempt(refused)
    if refused is not None or (yield attempt.tokens):
        yield from again(source, attempt, replayable=replayable)


def _ahead(source: TokenSource) -> Generator[Step, bool | Renewed, Attempt]:
    tokens = source.current()
    try:
        return Attempt(*_renewed((yield source.renew(tokens))))
    except ICNotebookError as failure:
        return not_renewed(source, tokens, failure)


def not_renewed(source: TokenSource, tokens: TokenSet, failure: ICNotebookError) -> Attempt:
    """Go on with tokens that still live.

    Raises:
        ICNotebookError: `failure`, where they do not, or where the sign-in has ended.
    """
    if isinstance(failure, SignInRequired) or source.expired(tokens):
        raise failure
    return Attempt(tokens, failure=failure)


def again(source: TokenSource, attempt: Attempt, *, replayable: Callable[[], bool]) -> Steps:
    """What follows once the tokens of this attempt were refused; it is kept up to date."""
    for _resend in range(2):
        # A 401 to a token that this call has just had refreshed is the endpoint's own answer, unless the
        # token has ended since: a busy computer can take as long to store it as it lives.
        if attempt.refreshed and not overtaken(source, attempt.tokens):
            return
        if attempt.failure is not None and source.current().access_token == attempt.tokens.access_token:
            raise attempt.failure
        attempt.tokens, attempt.refreshed = _renewed((yield source.replace(attempt.tokens)))
        if not replayable():
            raise NotResent(
                "The access token was renewed while this request was under way, and its body cannot be read "
                "a second time. Send the request again, with its body from the start."
            )
        if not (yield attempt.tokens):
            return


def overtaken(source: TokenSource, tokens: TokenSet) -> bool:
    """Whether these tokens may be good no more: others took their place, or their time is over.

    Raises:
        SignInRequired: there are none any more.
    """
    return source.current().access_token != tokens.access_token or source.due(tokens)


def waited(under_way: Steps, renewal: Renewal, patience: float | None) -> Step:
    """The step that follows a renewal; waits on this thread.

    Args:
        under_way: the steps.
        renewal: the last that they yielded; it goes on where the caller's patience does not suffice.
        patience: seconds, or None for ever.
    """
    try:
        renewed = background().wait(renewal, timeout=patience)
    except TimeoutError:
        return under_way.throw(_too_slow(patience))
    except Exception as failure:  # noqa: BLE001 - handed to the steps, which decide
        return under_way.throw(failure)
    return under_way.send(renewed)


async def awaited(under_way: Steps, renewal: Renewal, patience: float | None) -> Step:
    """As `waited`, in the caller's task, whose end never cancels a renewal."""
    await until_done(renewal, timeout=patience)
    if not renewal.done():
        return under_way.throw(_too_slow(patience))
    try:
        renewed = renewal.result()
    except Exception as failure:  # noqa: BLE001 - handed to the steps, which decide
        return under_way.throw(failure)
    return under_way.send(renewed)


def foreign(origin: str, theirs: str) -> ForeignOrigin:
    """The error for a request to another origin than ours."""
    return ForeignOrigin(
        f"This session's token is for {origin} alone, so it was not sent to {theirs}. Use a client of your "
        "own there."
    )


def _too_slow(patience: float | None) -> ServiceUnavailable:
    limit = "" if patience is None else f" of {patience:g} s"
    return ServiceUnavailable(
        f"Renewing the sign-in takes longer than this call's time limit{limit}. It goes on: send the call "
        "again."
    )


def _renewed(answer: bool | Renewed) -> Renewed:  # noqa: FBT001 - what a step was sent
    assert isinstance(answer, Renewed)
    return answer
