"""Every exception of this package, one tree.

ICNotebookError
├── ConfigurationError (ValueError)          an argument or environment variable that cannot be used
├── SignInRequired (LookupError)             nobody is signed in here, or the sign-in has ended
├── SignInError                              an attempt to sign in that came to nothing
│   ├── SignInDeclined                       the person chose Deny
│   ├── SignInCancelled                      the person chose Cancel, or interrupted
│   ├── SignInTimeout (TimeoutError)         nobody approved in time
│   └── NobodyThere                          there is nobody who could approve
├── AuthorizationResponseError (ValueError)  a redirect or pasted text that does not belong to this sign-in
├── OAuthError                               an error answer of the authorization server (RFC 6749 §5.2)
├── UnexpectedAnswer (ValueError)            an answer that breaks its specification
├── ServiceUnavailable (ConnectionError)     no usable answer: network, TLS, time, 5xx
├── APIError                                 an API call that the service refused
├── ForeignOrigin (ValueError)               a request that would carry the token to another origin
├── NotResent                                a request whose body cannot be sent a second time
└── StorageError (OSError)                   a file of ours that cannot be read or written

Each message says what happened and what to do next. None holds a token, a code, a state or a body.
"""

from __future__ import annotations


class ICNotebookError(Exception):
    """The base of every exception that this package raises on purpose."""

    def __reduce__(self) -> tuple[object, ...]:
        # Python would call the class with the message alone, and a pool of processes would break on that.
        return _rebuilt, (type(self), self.args), self.__dict__

    def _render_traceback_(self) -> list[str]:
        """What IPython shows of it: the line that says what to do, not fifty frames of other code."""
        return [f"{type(self).__name__}: {self}"]


def _rebuilt(kind: type[ICNotebookError], args: tuple[object, ...]) -> ICNotebookError:
    error = kind.__new__(kind, *args)
    error.args = args
    return error


class ConfigurationError(ICNotebookError, ValueError):
    """An argument or environment variable cannot be used as it is."""


class SignInRequired(ICNotebookError, LookupError):
    """Nobody is signed in here, or the sign-in has ended: connect, then run the cell again."""


class SignInError(ICNotebookError):
    """An attempt to sign in came to nothing. Nothing of it is left behind."""


class SignInDeclined(SignInError):
    """The person chose Deny on the consent page (RFC 6749 §4.1.2.1, `access_denied`)."""


class SignInCancelled(SignInError):
    """The person ended the attempt: Cancel, an interrupt, or a new attempt in its place."""


class SignInTimeout(SignInError, TimeoutError):
    """Nobody approved within `timeout` seconds."""


class NobodyThere(SignInError):
    """No person can be asked: no browser and no terminal, or a run that is declared unattended."""


class AuthorizationResponseError(ICNotebookError, ValueError):
    """A redirect or a pasted text does not belong to this sign-in; the wait for the right one goes on."""


class OAuthError(ICNotebookError):
    """The authorization server answered with an error.

    Attributes:
        error: the error code, such as `invalid_grant` (RFC 6749 §4.1.2.1, §5.2; RFC 7591 §3.2.2).
        error_description: the server's own words, cleaned for display, or None.
        status_code: the HTTP status, or None where the error came by a redirect.
        after_lost_answer: True where the same request had been sent before and its answer did not arrive.
    """

    after_lost_answer = False

    def __init__(
        self,
        message: str,
        *,
        error: str,
        error_description: str | None = None,
        status_code: int | None = None,
    ) -> None:
        super().__init__(message)
        self.error = error
        self.error_description = error_description
        self.status_code = status_code


class UnexpectedAnswer(ICNotebookError, ValueError):
    """A server's answer breaks its specification, so nothing of it was used."""


class ServiceUnavailable(ICNotebookError, ConnectionError):
    """The service gave no usable answer: network, proxy, TLS, a time limit, 429 or 5xx.

    Attributes:
        answer_lost: True where the request may have been carried out although no answer arrived.
        status_code: the HTTP status, or None where there was no answer at all.
        retry_after: seconds that the server asked to wait (RFC 9110 §10.2.3), or None.
    """

    def __init__(
        self,
        message: str,
        *,
        answer_lost: bool = False,
        status_code: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.answer_lost = answer_lost
        self.status_code = status_code
        self.retry_after = retry_after


class APIError(ICNotebookError):
    """The service refused an API call.

    Attributes:
        status_code: the HTTP status.
        reason: the service's own words in one line, or None where it gave none that can be shown.
    """

    def __init__(self, message: str, *, status_code: int, reason: str | None = None) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.reason = reason


class ForeignOrigin(ICNotebookError, ValueError):
    """The request goes to another origin than the session's own, so the token was not sent."""


class NotResent(ICNotebookError):
    """The token was renewed, but this request's body cannot be read twice: send the request again."""


class StorageError(ICNotebookError, OSError):
    """A file of this package cannot be read or written."""


def own_fault(error: BaseException) -> ICNotebookError:
    """What a person is told of an exception not raised on purpose; its own words may hold anything."""
    return ICNotebookError(f"A fault of ic_notebook itself ({type(error).__name__}). Connect again.")
