"""The pages that a browser ends on: what happened, in plain words."""

from __future__ import annotations

import base64
import hashlib
import html
from dataclasses import dataclass

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


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_hash(_STYLE)}'; script-src 'sha256-{_hash(_SCRIPT)}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", _POLICY),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)


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

    def to_bytes(self) -> bytes:
        """The page as UTF-8 HTML; heading and text are escaped."""
        heading, text = html.escape(self.heading), html.escape(self.text)
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{heading}</title><style>{_STYLE}</style>"
            f'<main class="{self.tone}"><h1>{heading}</h1><p>{text}</p>'
            '<p class="mark">The influencers.club sign-in of a notebook on this computer</p></main>'
            f"{'' if self.keeps_address else f'<script>{_SCRIPT}</script>'}</html>"
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
NOTHING_HERE = Page(status=404, tone="warn", heading="Nothing is here", text="You can close this tab.")


def failed(reason: str) -> Page:
    """The page for an approval that could not be turned into a sign-in."""
    return Page(status=200, tone="bad", heading="Not connected", text=reason)
