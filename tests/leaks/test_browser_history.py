"""What a browser keeps of a sign-in in its own folder: what is no use any more, and nothing else."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import BrowserContext, expect

import ic_notebook as ic
from ic_notebook import sign_in
from ic_notebook.background import background
from ic_notebook.oauth.authorization import AuthorizationResponse
from ic_notebook.oauth.tokens import exchange_code
from ic_notebook.transport import Transport
from tests.browser.conftest import persistent
from tests.leaks.hunt import files_below
from tests.leaks.life import searched
from tests.sessions.people import nobody_else

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch) -> Iterator[None]:
    with nobody_else(tmp_path / "home", monkeypatch):
        yield


def goes_through_it(context: BrowserContext, url: str) -> tuple[str, list[str]]:
    """Approve, reload, Back and Forward; gives the redirect, and what the address bar held from then on."""
    page = context.new_page()
    page.goto(url)
    with page.expect_request(lambda request: "/callback?" in request.url) as redirect:
        page.get_by_role("button", name="Approve").click()
    heading = page.get_by_role("heading")
    expect(heading).to_have_text("Connected")
    bar = [page.url]
    page.reload()
    bar.append(page.url)
    page.go_back()
    before = page.url
    page.go_forward()
    bar.append(page.url)
    # Back is the service's page: its address is the link that was opened.
    assert urlsplit(before).path != "/callback"
    assert "code=" not in before
    return redirect.value.url, bar


def test_a_browser_keeps_no_token_and_no_verifier_and_what_it_keeps_is_spent(
    playwright_loop, sandbox, tmp_path, record_property
):
    profile, urls = tmp_path / "profile", queue.SimpleQueue()
    with ThreadPoolExecutor(1) as cell:
        waiting = cell.submit(
            ic.connect, base_url=sandbox.url, storage="memory", open_url=urls.put, timeout=60
        )
        url = urls.get(timeout=30)
        (face,) = sign_in._sign_ins.values()
        request = face.login.request
        with closing(persistent(playwright_loop[0], profile)) as context:
            redirect, bar = goes_through_it(context, url)
        session = waiting.result(30)
    held = session.auth._source.current()
    query = urlsplit(redirect).query
    response = AuthorizationResponse.from_redirect(query, to=request)
    secrets = {
        "access token": held.access_token,
        "refresh token": held.refresh_token,
        "verifier": request.code_verifier,
        "code": response.code,
        "state": request.state,
    }
    places = {f"browser/{name}": content for name, content in files_below(profile).items()}
    places |= {f"address bar {n}": address.encode() for n, address in enumerate(bar)}
    hits = searched(
        "a browser's own folder", {k: str(v) for k, v in secrets.items()}, places, record_property
    )
    assert len(places) > 20
    assert {hit.secret for hit in hits} <= {"code", "state"}
    assert not [hit for hit in hits if "address bar" in hit.place]

    # The code is spent, even for somebody who has the verifier too.
    with pytest.raises(ic.OAuthError) as refused:
        background().run(Transport().drive, exchange_code(response, to=request, now=time.time()))
    assert refused.value.error == "invalid_grant"
    # The whole redirect once more: it is over, and changes nothing.
    again = httpx.get(redirect, trust_env=False)
    assert (again.status_code, "This sign-in is over" in again.text) == (410, True)
