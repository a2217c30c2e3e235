"""A known secret is found in every encoding, and taken out of it whole."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from urllib.parse import quote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ic_notebook.oauth.secret import Secret
from ic_notebook.scan.finding import PLACEHOLDER
from ic_notebook.scan.known import Known
from ic_notebook.scan.rewriting import replaced
from ic_notebook.scan.scanning import hits_in
from tests.sizes import EXAMPLES

VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
SECRETS = st.one_of(
    st.text(VISIBLE, min_size=16, max_size=80),
    st.text("ABCDEFghijkl0123456789-_", min_size=16, max_size=120),
    st.text("+/=\\\"'<>&%", min_size=12, max_size=24),
)


def in_json(text: str) -> str:
    """As it stands between the quotes of a JSON string."""
    return json.dumps(text)[1:-1]


ENCODINGS = {
    "plain": lambda text: text,
    "percent": lambda text: quote(text, safe=""),
    "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
    "JSON": lambda text: in_json(text),
    "JSON in JSON": lambda text: in_json(in_json(text)),
    "JSON in JSON in JSON": lambda text: in_json(in_json(in_json(text))),
    "JSON, slashes escaped": lambda text: in_json(text).replace("/", "\\/"),
    "JSON for a script element": lambda text: re.sub(
        "[<>&'+]", lambda found: f"\\u{ord(found[0]):04x}", in_json(text)
    ),
    "HTML": html.escape,
    "HTML twice": lambda text: html.escape(html.escape(text)),
    "HTML in JSON": lambda text: json.dumps(html.escape(text))[1:-1],
    "JSON in HTML": lambda text: html.escape(in_json(text)),
    "HTML by number": lambda text: "".join(c if c.isalnum() else f"&#{ord(c)};" for c in text),
    "HTML by hexadecimal number": lambda text: "".join(c if c.isalnum() else f"&#x{ord(c):X};" for c in text),
    "repr": lambda text: repr(text)[1:-1],
}


def known(secret: str) -> Known:
    return Known(text=Secret(secret), kind="the token")


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
@given(secret=SECRETS, before=st.sampled_from(["", "x", '"', " = ", "a/", "é"]), after=st.text(max_size=4))
@settings(max_examples=EXAMPLES // 8, deadline=None)
def test_every_encoding_is_found_and_nothing_of_it_stays(encode, secret, before, after):
    text = f"{before}{encode(secret)} {after}".encode("utf-8", "surrogatepass")
    hits = hits_in(text, [known(secret)])
    assert hits
    assert all(hit.own for hit in hits)
    left = replaced(text, hits).decode("utf-8", "surrogatepass")
    rest = left.replace(PLACEHOLDER.decode(), "", 1)
    assert PLACEHOLDER.decode() in left
    assert rest == f"{before} {after}"


@given(
    secret=st.text(VISIBLE, min_size=12, max_size=120),
    before=st.binary(max_size=70),
    after=st.binary(max_size=70),
    form=st.sampled_from(["standard", "URL-safe", "lines", "JSON lines", "percent", "JSON slashes"]),
)
@settings(max_examples=EXAMPLES, deadline=None)
def test_base64_is_found_at_every_alignment_and_the_rest_of_its_bytes_stay(secret, before, after, form):
    # A notebook's attachments and images, a header's value, a mail's lines.
    whole = before + secret.encode() + after
    assume(whole.find(secret.encode()) == whole.rfind(secret.encode()) == len(before))
    encoded = {
        "standard": base64.b64encode,
        "URL-safe": base64.urlsafe_b64encode,
        "lines": base64.encodebytes,
        "JSON lines": lambda octets: json.dumps(base64.encodebytes(octets).decode())[1:-1].encode(),
        "percent": lambda octets: quote(base64.b64encode(octets), safe="").encode(),
        "JSON slashes": lambda octets: base64.b64encode(octets).replace(b"/", b"\\/"),
    }[form](whole)
    hits = [hit for hit in hits_in(encoded, [known(secret)]) if hit.own]
    assert hits
    left = replaced(encoded, hits)
    for ours, plain in [(b"\\n", b""), (b"\\/", b"/"), (b"%2F", b"/"), (b"%2B", b"+"), (b"%3D", b"=")]:
        left = left.replace(ours, plain)
    decoded = base64.urlsafe_b64decode(left.replace(b"+", b"-").replace(b"/", b"_").replace(b"\n", b""))
    assert len(decoded) == len(whole)
    inside = decoded[len(before) : len(before) + len(secret)]
    assert not any(inside)
    if form not in {"percent", "JSON slashes"}:
        assert decoded[: len(before)] == before
        assert decoded[len(before) + len(secret) :] == after


@given(secret=st.text("ABCdef012-_", min_size=16, max_size=60), text=st.binary(max_size=300))
@settings(max_examples=EXAMPLES, deadline=None)
def test_what_is_not_the_secret_is_no_finding(secret, text):
    assert [hit for hit in hits_in(text, [known(secret)]) if hit.own] == []


def test_markup_and_colours_between_its_characters_stay():
    secret = "Zt4-kQ_9vXw2Lr7nBc8Md3"
    coloured = b"\\u001b[32mZt4\\u001b[39m-kQ_9vXw2Lr7nBc8Md3."
    (hit,) = hits_in(coloured, [known(secret)])
    assert replaced(coloured, [hit]) == b"\\u001b[32m" + PLACEHOLDER + b"\\u001b[39m."
    marked = b'<i class="n">Zt4</i><b>-</b>kQ_9vXw2Lr7nBc8Md3'
    (hit,) = hits_in(marked, [known(secret)])
    assert replaced(marked, [hit]) == b'<i class="n">' + PLACEHOLDER + b"</i><b></b>"


def test_a_secret_that_looks_like_markup_leaves_nothing():
    secret = "q7Rw2vKz<b9Tn4xLm>8PjD5sHf"
    (hit,) = hits_in(secret.encode(), [known(secret)])
    assert replaced(secret.encode(), [hit]) == PLACEHOLDER


def test_no_repr_shows_a_secret():
    secret = "Zt4-kQ_9vXw2Lr7nBc8Md3"
    one = known(secret)
    (hit,) = hits_in(secret.encode(), [one])
    shown = repr([one, one.forms, hit])
    assert secret not in shown
    assert "kQ_9vXw2" not in shown
    assert binascii.hexlify(secret.encode()).decode() not in shown
    assert "vXw2Lr7nBc8Md3" not in shown
    assert base64.b64encode(secret.encode()).decode()[4:12] not in shown
