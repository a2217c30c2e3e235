"""The authorization request and its response (RFC 6749 §4.1.1, §4.1.2; RFC 7636; RFC 9207)."""

from __future__ import annotations

import hmac
import re
import secrets as chance
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from ic_notebook.errors import AuthorizationResponseError, OAuthError, SignInDeclined
from ic_notebook.oauth.answers import readable, visible
from ic_notebook.oauth.flow import Flow, Repeat, request
from ic_notebook.oauth.loopback import is_loopback
from ic_notebook.oauth.metadata import ServerMetadata
from ic_notebook.oauth.pkce import CODE_CHALLENGE_METHOD, code_challenge, new_code_verifier
from ic_notebook.oauth.secret import Secret

MAX_RESPONSE = 16_384
MIN_CODE = 10
"""Characters of a code that is pasted alone; anything shorter is a word that went astray."""
_QUOTES = (
    "\"'`<>\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a"
    "\u300c\u300d\u300e\u300f\uff02\uff07"
)
_INVISIBLE = "\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
_ONCE = ("code", "state", "error", "error_description", "iss")


@dataclass(frozen=True, kw_only=True)
class AuthorizationRequest:
    """One request for approval: what the browser is sent to, and what its answer is checked against."""

    server: ServerMetadata
    client_id: str
    redirect_uri: str
    scope: str | None
    state: Secret = field(repr=False)
    code_verifier: Secret = field(repr=False)

    @classmethod
    def new(
        cls,
        server: ServerMetadata,
        *,
        client_id: str,
        redirect_uri: str,
        scope: str | None,
        random_bytes: Callable[[int], bytes] = chance.token_bytes,
    ) -> AuthorizationRequest:
        """A request with a state and a code verifier of its own, 256 bits of chance each."""
        return cls(
            server=server,
            client_id=client_id,
            redirect_uri=redirect_uri,
            scope=scope,
            state=new_code_verifier(random_bytes),
            code_verifier=new_code_verifier(random_bytes),
        )

    @property
    def url(self) -> str:
        """The address to open in a browser. Holds the state: a link, never a line in a log."""
        parameters = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            **({"scope": self.scope} if self.scope else {}),
            "state": self.state,
            "code_challenge": code_challenge(self.code_verifier),
            "code_challenge_method": CODE_CHALLENGE_METHOD,
        }
        # The endpoint may have a query of its own, which is kept (RFC 6749 §3.1).
        endpoint = self.server.authorization_endpoint
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(parameters)}"

    def client_is_unknown(self) -> Flow[bool]:
        """Ask, without a person, whether the browser would be shown an error page for this client.

        Returns:
            True only where the server refused the client or redirect URI itself, without redirecting
            (RFC 6749 §4.1.2.1). A redirect, a 429 or a 5xx proves nothing.
        """
        # With a state and a verifier of its own: this URL is logged by HTTP libraries.
        question = AuthorizationRequest.new(
            self.server, client_id=self.client_id, redirect_uri=self.redirect_uri, scope=self.scope
        )
        url = f"{question.url}&prompt=none"
        response = yield request("GET", url, repeat=Repeat.IF_REFUSED, headers={"Accept": "text/html"})
        return response.status_code in {400, 401}


@dataclass(frozen=True, kw_only=True)
class AuthorizationResponse:
    """A successful response: the code, to be sent to the token endpoint once.

    Attributes:
        code: the code.
        state_checked: False for a code that a person pasted alone: whether it is one, the server will tell.
    """

    code: Secret = field(repr=False)
    state_checked: bool = True

    @classmethod
    def from_redirect(cls, query: str, *, to: AuthorizationRequest) -> AuthorizationResponse:
        """Read the query of a redirect.

        Raises:
            AuthorizationResponseError: it is not the response to this request; a right one may still come.
            SignInDeclined: the person chose Deny.
            OAuthError: any other error response (RFC 6749 §4.1.2.1).
        """
        parameters = _parameters(query)
        if not same(parameters.get("state", ""), to.state):
            raise AuthorizationResponseError(
                "This answer belongs to another sign-in (its state differs). Use the newest tab, or connect "
                "again."
            )
        _check_issuer(parameters.get("iss"), to.server)
        if "error" in parameters:
            _raise_error(parameters, to)
        code = visible(parameters.get("code"))
        if code is None:
            raise AuthorizationResponseError("This answer has no code in it. Connect again.")
        return cls(code=Secret(code))

    @classmethod
    def from_pasted(cls, text: str, *, to: AuthorizationRequest) -> AuthorizationResponse:
        """Read what a person pasted: the whole last address, its query, or only the code.

        Surrounding white space and quotes, and line breaks that a terminal put in, are dropped.

        Raises:
            AuthorizationResponseError, SignInDeclined, OAuthError: as `from_redirect`; the message says what
                to paste instead.
        """
        if len(text) > MAX_RESPONSE:
            raise AuthorizationResponseError(f"That is too long to be an address. {_COPY}")
        several_words = re.search(r"\S[^\S\r\n]+\S", text.strip())
        text = re.sub(rf"[\s{_INVISIBLE}]+", "", text).strip(_QUOTES)
        if not text:
            raise AuthorizationResponseError(f"Nothing was pasted. {_COPY}")
        address, question, query = text.partition("?")
        if question:
            _check_address(address, to)
            return cls.from_redirect(query.partition("#")[0], to=to)
        parameters = re.match(r"(?:^|.*&)(?:code|state|error)=", text)
        if parameters and not re.fullmatch(r"code=[^&]*", text):
            return cls.from_redirect(text.lstrip("&").partition("#")[0], to=to)
        code = visible(unquote(text.partition("#")[0].removeprefix("code=")))
        if code is None or several_words or not _may_be_a_code(code, to):
            raise AuthorizationResponseError(f"There is no code in that. {_COPY}")
        return cls(code=Secret(code), state_checked=False)


_COPY = "Copy the whole address of the last page, the one that would not load, and paste it."


def same(received: str, expected: str) -> bool:
    """Whether two secrets are equal, in a time that tells nothing of where they differ."""
    return hmac.compare_digest(received.encode("utf-8", "replace"), expected.encode("utf-8", "replace"))


def _parameters(query: str) -> dict[str, str]:
    if len(query) > MAX_RESPONSE:
        raise AuthorizationResponseError("This answer is too long to be one. Connect again.")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=64)
    except ValueError:
        raise AuthorizationResponseError("This answer cannot be read. Connect again.") from None
    names = [name for name, _ in pairs]
    if any(names.count(name) > 1 for name in _ONCE):
        # RFC 6749 §3.1: a parameter must not be included more than once.
        raise AuthorizationResponseError(
            "This answer says the same thing twice, so it is not used. Connect again."
        )
    return dict(pairs)


def _check_issuer(iss: str | None, server: ServerMetadata) -> None:
    # RFC 9207 §2.4. Without metadata the service's own issuer is not known, so there is nothing to compare.
    if not server.announced:
        return
    missing = iss is None and server.authorization_response_iss_parameter_supported
    if missing or (iss is not None and iss != server.issuer):
        raise AuthorizationResponseError(
            "This answer comes from another server than the one that was asked (RFC 9207), so it is not used."
        )


def _raise_error(parameters: dict[str, str], to: AuthorizationRequest) -> None:
    secrets = (to.state, to.code_verifier)
    error = readable(parameters["error"], secrets=secrets) or "error"
    if error == "access_denied":
        raise SignInDeclined(
            "Access was declined. Nobody is signed in. Connect again and choose Approve on the page."
        )
    description = readable(parameters.get("error_description"), secrets=secrets)
    raise OAuthError(
        f"{to.server.sign_in_host} refused with {error}{': ' + description if description else ''}. "
        "Connect again.",
        error=error,
        error_description=description,
    )


def _check_address(address: str, to: AuthorizationRequest) -> None:
    if not address or _is_at(address, to.redirect_uri):
        return
    if _is_at(address, to.server.authorization_endpoint):
        raise AuthorizationResponseError(
            f"That is the address of the first page. Approve there, then: {_COPY}"
        )
    raise AuthorizationResponseError(f"That address is not of this sign-in. {_COPY}")


def _may_be_a_code(text: str, to: AuthorizationRequest) -> bool:
    """Whether what was pasted alone can be a code: no address, no other parameter, no stray word."""
    return (
        len(text) >= MIN_CODE
        and not same(text, to.state)
        and "://" not in text
        and "&" not in text
        and not re.match(r"[A-Za-z_]+=[^=]", text)
        and not re.match(r"[\w-]+(\.[\w-]+)+[/:]", text)
        and not _is_at(text, to.redirect_uri)
    )


def _is_at(address: str, expected: str) -> bool:
    """Whether both have the same scheme (it may be missing), host, port and path; loopback has many names."""
    scheme = expected.partition("://")[0]
    place = _place(address if "://" in address else f"{scheme}://{address}")
    return place is not None and place == _place(expected)


def _place(address: str) -> tuple[str, str, str] | None:
    try:
        url = urlsplit(address)
        host = "loopback" if is_loopback(url.hostname) else url.hostname
        return url.scheme, f"{host}:{url.port}", url.path.rstrip("/")
    except ValueError:
        return None
