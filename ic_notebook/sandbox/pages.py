"""What a person sees: the consent page, and the pages that say why there is none."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from html import escape

from starlette.responses import HTMLResponse

from ic_notebook.sandbox.redirect_uris import destination

_STYLE = """
:root { color-scheme: light dark; --page:#f3f4f6; --card:#fff; --line:#d5d9df; --text:#1a1f27; --soft:#545d6b;
  --go:#1558b0; --go-hover:#114a95; --go-text:#fff; --note:#eef4fd; }
@media (prefers-color-scheme: dark) { :root { --page:#111418; --card:#1b1f25; --line:#3a414b; --text:#f1f3f6;
  --soft:#adb5c1; --go:#7db4f7; --go-hover:#9cc6fa; --go-text:#0a1b30; --note:#1d2a3b; } }
* { box-sizing: border-box; }
body { margin:0; min-height:100vh; display:grid; place-items:center; padding:16px; background:var(--page);
  color:var(--text); font:16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { width:100%; max-width:460px; background:var(--card); border:1px solid var(--line); border-radius:12px;
  padding:clamp(20px, 6vw, 36px); overflow-wrap:anywhere; }
.mark { margin:0 0 16px; font-size:13px; font-weight:600; color:var(--soft); letter-spacing:.02em; }
.mark b { border:1px solid var(--line); border-radius:999px; padding:2px 10px; margin-left:6px; }
h1 { margin:0 0 12px; font-size:clamp(20px, 6vw, 25px); line-height:1.25; font-weight:650; }
p { margin:0 0 14px; }
dl { margin:20px 0; border-top:1px solid var(--line); }
dl div { display:grid; grid-template-columns:7.5rem 1fr; gap:2px 12px; padding:11px 0;
  border-bottom:1px solid var(--line); }
dt { color:var(--soft); }
dd { margin:0; }
@media (max-width: 420px) { dl div { grid-template-columns:1fr; } }
.note { background:var(--note); border-radius:8px; padding:10px 14px; font-size:14px; }
form { display:flex; flex-wrap:wrap; gap:12px; margin:22px 0 0; }
button { flex:1 1 130px; min-height:46px; padding:10px 18px; border-radius:8px; font:inherit; font-weight:600;
  cursor:pointer; border:1px solid var(--line); background:transparent; color:var(--text); }
button.go { background:var(--go); border-color:var(--go); color:var(--go-text); }
button.go:hover { background:var(--go-hover); border-color:var(--go-hover); }
button:not(.go):hover { background:var(--page); }
button:focus-visible { outline:3px solid var(--go); outline-offset:3px; }
"""

# Chromium holds form-action against every hop of the redirects that follow the form. Where the app's redirect
# URI leads on to is the app's business, so the directive is left out; it has no fallback in default-src.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src 'sha256-{b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def consent(*, app: str, account: str, redirect_uri: str, scope: str, csrf_token: str) -> HTMLResponse:
    """The question: which app asks for what, on whose account, and where the answer goes."""
    host, here = destination(redirect_uri)
    asks = (
        "Full access: every call of the API, and spending credits"
        if scope
        else "Nothing that this server knows, so each of its calls will be refused"
    )
    # a name may be in any script, or try to turn the text around it: bdi keeps it in its place
    name = f"<bdi>{escape(app)}</bdi>"
    body = f"""
<p>Approve only if you have just clicked Connect yourself.</p>
<dl>
<div><dt>App</dt><dd>{name}</dd></div>
<div><dt>Account</dt><dd><bdi>{escape(account)}</bdi></dd></div>
<div><dt>It asks for</dt><dd>{asks}</dd></div>
<div><dt>You return to</dt><dd>{escape(host)}{" (this computer)" if here else ""}</dd></div>
</dl>
<p class="note">This is the sandbox: no real account, and no credits are spent.</p>
<form method="post">
<input type="hidden" name="csrf_token" value="{escape(csrf_token)}">
<button class="go" name="decision" value="approve">Approve</button>
<button name="decision" value="deny">Deny</button>
</form>"""
    return _page(f"{name} wants to use your account", body, title="Approve access?")


def consent_over() -> HTMLResponse:
    """For a consent that was answered, or not in time."""
    return _message(
        "This request is over",
        "It was answered already, or waited too long.",
        "Go back to where you came from and click Connect again.",
        status=410,
    )


def answer_refused() -> HTMLResponse:
    """For an answer that did not come from the page itself."""
    return _message(
        "This answer cannot be taken",
        "It did not come from the approval page itself, so nothing was approved.",
        "Go back to where you came from and click Connect again.",
        status=403,
    )


def unknown_client() -> HTMLResponse:
    """For an authorization request of a client that is not registered."""
    return _message(
        "This app is not known here",
        "It is not registered with this server, or no longer. Nothing was approved.",
        "Go back to the app and let it register again.",
        status=400,
    )


def bad_redirect_uri() -> HTMLResponse:
    """For an authorization request that names no place to return to, or one that is not registered."""
    return _message(
        "This app wants to return to an address it has not registered",
        "To protect you, nothing was approved and you are not sent on.",
        "Go back to the app and click Connect again.",
        status=400,
    )


def _message(heading: str, what: str, then: str, *, status: int) -> HTMLResponse:
    return _page(heading, f"\n<p>{what}</p>\n<p>{then}</p>", title=heading, status=status)


def _page(heading: str, body: str, *, title: str, status: int = 200) -> HTMLResponse:
    html = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Sandbox</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<p class="mark">influencers.club <b>Sandbox</b></p>
<h1>{heading}</h1>{body}
</main>
</body>
</html>
"""
    return HTMLResponse(html, status_code=status, headers=_HEADERS)
