from __future__ import annotations

from dataclasses import replace

import pytest

from ic_notebook.errors import AuthorizationResponseError, ICNotebookError, OAuthError, SignInDeclined
from ic_notebook.oauth.authorization import AuthorizationResponse
from tests.oauth.flows import SERVER, authorization_request, message_of

CODE = "c0de-4/0Ab_x.~"
QUERY = "code=c0de-4%2F0Ab_x.%7E&state=STATE"
URL = f"http://127.0.0.1:8765/callback?{QUERY}"


def pasted(text: str, **changes: object) -> str:
    return AuthorizationResponse.from_pasted(text, to=authorization_request(**changes)).code


@pytest.mark.parametrize(
    "text",
    [
        URL,
        URL.replace("127.0.0.1", "localhost"),
        URL.replace("127.0.0.1", "LOCALHOST"),
        URL.replace("127.0.0.1", "[::1]"),
        URL.replace("http://", "HTTP://"),
        URL.removeprefix("http://"),
        URL.removeprefix("http://").replace("127.0.0.1", "localhost"),
        URL.replace("callback?", "callback/?"),
        f"{URL}#",
        f"{URL}#_=_",
        f"?{QUERY}",
        QUERY,
        f"&{QUERY}",
        f"state=STATE&code={CODE}",
        f"{QUERY}#_=_",
        f"scope=all&{QUERY}",
        CODE,
        f"code={CODE}",
        "c0de-4%2F0Ab_x.%7E",
        "code=c0de-4%2f0Ab_x.~",
    ],
)
def test_whole_address_its_query_or_only_the_code_give_the_code(text: str) -> None:
    assert pasted(text) == CODE


@pytest.mark.parametrize("text", [URL, f"?{QUERY}", QUERY, CODE])
@pytest.mark.parametrize(
    "around",
    [
        *("  {}  ", "\n{}\n", "\t{}\r\n", "\u00a0{}\u3000", "\u200b{}\ufeff", "\u2066{}\u2069"),
        *('"{}"', "'{}'", "`{}`", "```\n{}\n```", "<{}>", "“{}”", "\u2018{}\u2019", "„{}“", "\u201a{}\u2018"),
        *("«{}»", "»{}«", "\u2039{}\u203a", "「{}」", "『{}』", "\uff02{}\uff02"),
        *(' "{}" ', '“"{}"”', '"\n{}\n"'),
    ],
)
def test_white_space_and_quotes_around_it_are_dropped(text: str, around: str) -> None:
    assert pasted(around.format(text)) == CODE


@pytest.mark.parametrize("wrap", ["\n", "\r\n", "\n    ", " \n"])
@pytest.mark.parametrize("text", [URL, QUERY, CODE])
def test_line_breaks_of_a_terminal_are_dropped(text: str, wrap: str) -> None:
    assert pasted(wrap.join(text[start : start + 5] for start in range(0, len(text), 5))) == CODE


def test_https_route_may_be_pasted_without_its_scheme() -> None:
    hub = "https://hub.example/user/ann/ic-notebook/callback"
    for text in (f"{hub}?{QUERY}", f"{hub.removeprefix('https://')}?{QUERY}"):
        assert pasted(text, redirect_uri=hub) == CODE
    with pytest.raises(AuthorizationResponseError, match="not of this sign-in"):
        pasted(f"http{hub.removeprefix('https')}?{QUERY}", redirect_uri=hub)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Nothing was pasted"),
        ("  \n ", "Nothing was pasted"),
        ('""', "Nothing was pasted"),
        ("\u200b", "Nothing was pasted"),
        ("x" * 20_000, "too long"),
        (URL + "x" * 20_000, "too long"),
        (URL.replace("STATE", "other"), "another sign-in"),
        (QUERY.replace("STATE", "other"), "another sign-in"),
        ("?code=abcdef", "another sign-in"),
        ("http://127.0.0.1:8765/callback?code=abcdef", "another sign-in"),
        (URL.replace("8765", "8766"), "not of this sign-in"),
        (URL.replace("127.0.0.1", "evil.example"), "not of this sign-in"),
        (URL.replace("http:", "https:"), "not of this sign-in"),
        (URL.replace("/callback", "/other"), "not of this sign-in"),
        (URL.replace("8765", "not-a-port"), "not of this sign-in"),
        (URL.replace("127.0.0.1", "[::1"), "not of this sign-in"),
        (URL.replace("127.0.0.1", "evil.example/127.0.0.1"), "not of this sign-in"),
        (f"https://dashboard.influencers.club/consent?{QUERY}", "not of this sign-in"),
        (f"javascript:alert(1)?{QUERY}", "not of this sign-in"),
        (authorization_request().url, "first page"),
        (authorization_request().url.removeprefix("https://"), "first page"),
        ("https://dashboard.influencers.club/consent", "no code"),
        ("http://127.0.0.1:8765/callback", "no code"),
        ("http%3A%2F%2F127.0.0.1%3A8765%2Fcallback", "no code"),
        ("127.0.0.1:8765/callback", "no code"),
        ("localhost:8765/callback/", "no code"),
        ("abc", "no code"),
        ("I have pressed Approve", "no code"),
        ("import ic_notebook\nic_notebook.connect()", "no code"),
        ("cödé-123", "no code"),
        ("%00%01%02%03", "no code"),
        ("%ff%fe%fd%fc", "no code"),
        ("\ud800\udfff\ud800\udfff", "no code"),
    ],
)
def test_anything_else_gets_a_clear_message_and_may_be_pasted_again(text: str, words: str) -> None:
    with pytest.raises(AuthorizationResponseError, match=words) as refusal:
        pasted(text)
    for secret in ("STATE", "c0de", "abcdef"):
        assert secret not in message_of(refusal.value)


@pytest.mark.parametrize("text", ["?{}", "{}", "http://localhost:8765/callback?{}"])
def test_error_response_may_be_pasted_too(text: str) -> None:
    with pytest.raises(SignInDeclined):
        pasted(text.format("error=access_denied&state=STATE"))
    with pytest.raises(OAuthError, match="temporarily_unavailable"):
        pasted(text.format("error=temporarily_unavailable&state=STATE"))


def test_redirect_uri_that_is_no_address_accepts_only_what_has_no_address() -> None:
    nowhere = "urn:ietf:wg:oauth:2.0:oob"
    assert pasted(CODE, redirect_uri=nowhere) == CODE
    with pytest.raises(ICNotebookError):
        pasted(f"http://[::1?{QUERY}", redirect_uri=nowhere)


def test_first_page_on_this_computer_is_known_by_its_path() -> None:
    server = replace(SERVER, authorization_endpoint="http://127.0.0.1:8765/public/v1/oauth/authorize/")
    url = authorization_request(server=server).url
    with pytest.raises(AuthorizationResponseError, match="first page"):
        pasted(url, server=server)
