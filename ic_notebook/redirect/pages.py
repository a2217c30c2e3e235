"""The pages that a browser ends on: what happened, in plain words."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from dataclasses import asdict, dataclass

_STYLE = """
:root { color-scheme: light dark; --ground: #f5f6f8; --card: #fff; --line: #e0e3e8;
  --ink: #1c2330; --soft: #566074; --good: #2e7d32; --bad: #c62828; --warn: #b45309; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #111418; --card: #1b2027; --line: #333b46; --ink: #f2f4f7; --soft: #aab4c3;
    --good: #81c784; --bad: #ef9a9a; --warn: #ffb74d; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 16px;
  background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
main { background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: clamp(20px, 7vw, 32px); max-width: 460px; width: 100%; overflow-wrap: anywhere; }
main::before { display: grid; place-items: center; width: 36px; height: 36px; border-radius: 50%;
  margin-bottom: 16px; color: var(--card); font-weight: 700; line-height: 1; }
main.good::before { content: "✓"; content: "✓" / ""; background: var(--good); }
main.bad::before { content: "✕"; content: "✕" / ""; background: var(--bad); }
main.warn::before { content: "!"; content: "!" / ""; background: var(--warn); }
h1 { font-size: 22px; line-height: 1.3; margin: 0 0 8px; } p { margin: 0; color: var(--soft); }
p.mark { font-size: 13px; margin: 20px 0 0; padding-top: 14px; border-top: 1px solid var(--line); }
"""
_SCRIPT = 'history.replaceState(null, "", location.pathname);'
# The panel listens on a channel that is named by the state, which no other page of this origin knows. The
# address is the browser's own: what reached the server may have been cut by a proxy.
_HAND_OVER = """
const main = document.querySelector("main");
const show = ({ tone, heading, text }) => {
  main.className = tone;
  main.querySelector("h1").textContent = document.title = heading;
  main.querySelector("p").textContent = text;
};
const query = location.search;
const state = new URLSearchParams(query).get("state");
if (!state) show(JSON.parse(main.dataset.lost));
else {
  const channel = new BroadcastChannel("ic-notebook " + state);
  channel.onmessage = ({ data }) => {
    if (data && data.listening === true) channel.postMessage({ query });
    if (!data || data.taken !== true) return;
    channel.close();
    history.replaceState(null, "", location.pathname);
    show(JSON.parse(main.dataset.taken));
  };
  channel.postMessage({ query });
}
"""
JSON = "application/json"
_TONES = ("good", "bad", "warn")
_MAX_TEXT = 2_000


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def headers(*, script: str = _SCRIPT) -> tuple[tuple[str, str], ...]:
    """What every page is sent with; its policy lets in our style and this script, and nothing else."""
    policy = (
        f"default-src 'none'; style-src 'sha256-{_hash(_STYLE)}'; script-src 'sha256-{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return (
        ("Content-Type", "text/html; charset=utf-8"),
        ("Cache-Control", "no-store"),
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", policy),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    )


def _writable(text: object) -> str:
    """Text of elsewhere, bounded; half of a surrogate pair could not be written."""
    return str(text)[:_MAX_TEXT].encode("utf-8", "replace").decode()


HEADERS = headers()
HAND_OVER_HEADERS = headers(script=_HAND_OVER)


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page: an HTTP status, a tone (`good`, `bad`, `warn`), a heading and a sentence.

    Its address holds the code, and is taken out of the address bar unless a person may have to copy it.
    """

    status: int
    tone: str
    heading: str
    text: str
    keeps_address: bool = False

    def to_json(self) -> bytes:
        """The page as JSON, for who shows it elsewhere and takes no HTML from here."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Page | None:
        """A page that another version of this package may have written; None where it is none."""
        try:
            given = json.loads(text)
            page = cls(
                status=given["status"],
                tone=str(given["tone"]),
                heading=_writable(given["heading"]),
                text=_writable(given["text"]),
                keeps_address=given.get("keeps_address") is True,
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        # Others have no body, and a server that is made to send one fails, with the query in its log.
        shown = type(page.status) is int and (page.status == 200 or 400 <= page.status < 600)
        return page if shown and page.tone in _TONES else None

    def to_bytes(self, *, hands_over: bool = False) -> bytes:
        """The page as UTF-8 HTML; heading and text are escaped.

        Args:
            hands_over: it gives its address to the panel of this origin, and says so once that has taken it.
        """
        heading, text = html.escape(self.heading), html.escape(self.text)
        script = _HAND_OVER if hands_over else "" if self.keeps_address else _SCRIPT
        others = {"taken": HANDED_OVER, "lost": LOST} if hands_over else {}
        data = "".join(
            f' data-{name}="{html.escape(page.to_json().decode())}"' for name, page in others.items()
        )
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{heading}</title><style>{_STYLE}</style>"
            f'<main class="{self.tone}"{data}><h1>{heading}</h1><p>{text}</p>'
            '<p class="mark">The influencers.club sign-in of a notebook</p></main>'
            f"{f'<script>{script}</script>' if script else ''}</html>"
        ).encode()


CONNECTED = Page(
    status=200,
    tone="good",
    heading="Connected",
    text="Your notebook can now use your account. You can close this tab and go back to it.",
)
FINISHING = Page(
    status=200,
    tone="good",
    heading="Approved",
    text="Your notebook is finishing the sign-in. You can close this tab and go back to it.",
)
DECLINED = Page(
    status=200,
    tone="bad",
    heading="Access was declined",
    text="Nobody is signed in. You can close this tab. To connect after all, try again in your notebook.",
)
OVER = Page(
    status=410,
    tone="warn",
    heading="This sign-in is over",
    text="It was finished or cancelled. You can close this tab; your notebook shows how things stand.",
)
NOT_THIS_ONE = Page(
    status=400,
    tone="warn",
    heading="This page belongs to another sign-in",
    text="Your notebook still waits for the right one. Use the newest tab, or connect again there. If your "
    "notebook asks for the address of this page, copy it from the address bar and paste it there.",
    keeps_address=True,
)
HANDED_OVER = Page(
    status=200,
    tone="good",
    heading="Handed to your notebook",
    text="Its panel finishes the sign-in and shows how it went. You can close this tab.",
)
NOBODY_WAITS = Page(
    status=200,
    tone="warn",
    heading="One more step",
    text="Your notebook does not hear this page. Leave it open and show the panel in your notebook again, "
    "which then goes on. Or copy the address of this page and paste it there, under “Paste its address”. "
    "Where the panel does not wait any more, connect again.",
    keeps_address=True,
)
LOST = Page(
    status=200,
    tone="warn",
    heading="This page came without an answer",
    text="Go back to your notebook and connect again there. If it ends here once more, a proxy between this "
    "browser and Jupyter cuts off what follows the “?” of an address: tell whoever looks after it.",
)
NOT_LOGGED_IN = Page(
    status=403,
    tone="warn",
    heading="Log in to Jupyter first",
    text="This browser is not logged in to the Jupyter server of this notebook. Where it is yours, log in to "
    "it in another tab, then reload this page.",
    keeps_address=True,
)
NOTHING_HERE = Page(status=404, tone="warn", heading="Nothing is here", text="You can close this tab.")


def failed(reason: str) -> Page:
    """The page for an approval that could not be turned into a sign-in."""
    return Page(status=200, tone="bad", heading="Not connected", text=reason)
