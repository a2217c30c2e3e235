"""The panel of a real kernel, its page played by messages on the kernel's own channels."""

from __future__ import annotations

import os
from dataclasses import replace
from urllib.parse import urlsplit

import httpx
import pytest

from ic_notebook.sandbox import Faults
from ic_notebook.sessions import status
from tests.jupyter.conftest import SETTINGS
from tests.jupyter.kernels import WIDGET, Kernel, Page
from tests.jupyter.people import CREDITS, approve, connect, deny, last_address, paths, query

pytestmark = pytest.mark.kernel

REGISTER, TOKEN = ("POST", "/public/v1/oauth/register/"), ("POST", "/public/v1/oauth/token/")
APPS = "/public/v1/oauth/apps/"


def ready(kernel: Kernel) -> tuple[Page, str]:
    page = kernel.load()
    page.say("hello")
    return page, page.shows("ready")["url"]


def test_loading_shows_a_panel_and_asks_for_nothing_before_it_is_seen(kernel, sandbox):
    listening = kernel.listening
    ran = kernel.run("%load_ext ic_notebook")
    (shown,) = ran.contents("display_data")
    assert WIDGET in shown["data"]
    assert "%ic_connect --paste" in shown["data"]["text/plain"]
    assert not ran.printed
    page = kernel.displayed(ran)
    assert kernel.run("1 + 1").text == "2"
    assert page.views == []
    assert sandbox.requests == []
    assert kernel.listening == listening
    assert not kernel.ask("'ic_notebook' in [t.name for t in __import__('threading').enumerate()]")


def test_a_panel_that_is_seen_gets_a_link_ready(kernel, sandbox):
    listening = kernel.listening
    page = kernel.load()
    page.say("hello")
    view = page.shows("ready")
    url = urlsplit(view["url"])
    assert view["action"] == "Connect"
    assert f"{url.scheme}://{url.netloc}" == sandbox.url
    assert view["host"] == url.netloc
    assert view["url"].isascii()
    assert len(view["url"]) < 2000
    redirect_uri = urlsplit(query(view["url"])["redirect_uri"])
    assert redirect_uri.hostname == "127.0.0.1"
    assert kernel.listening - listening == {redirect_uri.port}
    assert paths(sandbox) == [REGISTER]


def test_running_the_cell_again_shows_the_panel_again(kernel, sandbox):
    first = connect(kernel)
    again = kernel.load()
    assert again is not first
    again.say("hello")
    again.shows("connected", title="Connected")
    assert paths(sandbox).count(TOKEN) == 1


def test_reloading_the_extension_shows_the_panel_again(kernel):
    connect(kernel)
    again = kernel.displayed(kernel.run("%reload_ext ic_notebook"))
    again.say("hello")
    again.shows("connected")


def test_a_person_clicks_approves_and_every_cell_can_call(kernel, sandbox):
    page, url = ready(kernel)
    page.say("opened")
    waiting = page.shows("waiting")
    assert waiting["url"] == url
    assert not waiting["blocked"]
    answer = approve(url)
    assert answer.status_code == 200
    assert "Connected" in answer.text
    view = page.shows(
        "connected", text=lambda text: text.startswith("627.13 credits · this kernel only · since ")
    )
    assert view["can_disconnect"] is True
    assert view.get("url") is None
    assert "'credits_available': 627.13" in kernel.run(f"import ic_notebook as ic\n{CREDITS}").text
    assert paths(sandbox).count(REGISTER) == 1
    assert paths(sandbox).count(TOKEN) == 1


def test_what_the_panel_names_as_next_runs_as_it_is(kernel):
    page = connect(kernel)
    ran = kernel.run(page.views[-1]["next"])
    assert "(this one)" in ran.text


def test_an_approval_before_the_click_was_heard_of_connects_too(kernel):
    page, url = ready(kernel)
    approve(url)
    page.shows("connected")


@pytest.mark.parametrize("wrapped", ["{}", '  "{}"\n'])
def test_a_pasted_address_connects(kernel, wrapped):
    page, url = ready(kernel)
    page.say("opened")
    page.shows("waiting")
    page.paste("https://example.com/?code=abcdefgh&state=x")
    assert "not of this sign-in" in page.shows("waiting", problem=bool)["problem"]
    page.paste(wrapped.format(last_address(url)))
    page.shows("connected")


def test_cancelling_gives_a_new_link_and_the_old_one_is_over(kernel):
    page, url = ready(kernel)
    page.say("opened")
    page.shows("waiting")
    page.say("cancel")
    view = page.shows("ready", url=lambda new: new and new != url)
    assert view["title"] == "influencers.club"
    assert "over" in approve(url).text
    assert not kernel.ask("__import__('ic_notebook').status().connected")
    approve(view["url"])
    page.shows("connected")


def test_registering_again_gives_a_fresh_link_once(kernel, sandbox):
    page, url = ready(kernel)
    page.say("opened")
    page.shows("waiting")
    page.say("register")
    view = page.shows("ready", url=lambda new: new and new != url)
    assert query(view["url"])["client_id"] != query(url)["client_id"]
    assert paths(sandbox).count(REGISTER) == 2
    page.say("opened")
    page.shows("waiting", remark=None)
    page.say("register")
    assert "registered again already" in page.shows("waiting", remark=bool, url=view["url"])["remark"]
    assert paths(sandbox).count(REGISTER) == 2
    approve(view["url"])
    page.shows("connected")


def test_without_a_keyring_the_panel_says_so_and_goes_on_in_memory(kernel):
    page, _ = ready(kernel)
    box = page.shows("ready", remember=lambda box: box["problem"])["remember"]
    assert box["problem"] == "no system keyring here: the sign-in ends with this kernel"
    assert "keyring.backends.fail" in box["reason"]
    page.say("remember", on=True)
    page.say("opened")
    url = page.shows("waiting", remember=box)["url"]
    approve(url)
    view = page.shows("connected", text=lambda text: "627.13 credits · this kernel only" in text)
    assert view["remark"] is None


def test_what_takes_its_time_in_a_cell_is_shown_as_long_as_it_takes(kernel):
    page = connect(kernel)
    gate = kernel.folder / "gate"
    os.mkfifo(gate)
    limit = "The account's limit of 300 calls a minute is reached. Going on in 12 s."
    cell = kernel.start(
        "from ic_notebook.notices import notices\n"
        f"with notices.showing({limit!r}):\n    open({str(gate)!r}).read()"
    )
    page.shows("connected", notice=limit)
    gate.write_text("")
    kernel.finish(cell)
    page.shows("connected", notice=None)
    gate.unlink()


def test_declining_is_said_and_can_be_tried_again(kernel, sandbox):
    sandbox.settings = replace(SETTINGS, auto_approve=False)
    page, url = ready(kernel)
    page.say("opened")
    page.shows("waiting")
    assert deny(url).status_code == 200
    view = page.shows("failed", url=bool)
    assert view["title"] == "Not connected: access was declined"
    assert view["action"] == "Try again"
    sandbox.settings = SETTINGS
    page.say("opened")
    approve(view["url"])
    page.shows("connected")


def test_an_unreachable_service_is_said_and_tried_again_only_when_asked(kernel):
    kernel.run("import os; os.environ['IC_BASE_URL'] = 'http://127.0.0.1:9'")
    page = kernel.load()
    page.say("hello")
    view = page.shows("failed")
    assert view["title"] == "127.0.0.1:9 cannot be reached"
    assert view["url"] is None
    told = len(page.views)
    page.say("retry")
    assert kernel.until(
        lambda: "preparing" in [view["state"] for view in page.views[told:]] or len(page.views) > told
    )
    page.shows("failed")


def test_disconnecting_ends_the_sign_in_at_the_service(kernel, sandbox):
    page = connect(kernel)
    page.say("disconnect")
    view = page.shows("ready")
    assert view["text"] == "Disconnected. The service confirmed it: no token of this app works any more."
    assert [v["busy"] for v in page.views if v.get("busy")] == ["Disconnecting…"]
    assert sandbox.store.apps() == []
    assert kernel.run("import ic_notebook as ic\nic.client()").error == [
        "SignInRequired: Nobody is signed in. Connect first: %load_ext ic_notebook, or ic_notebook.connect()."
    ]


def test_a_sign_in_that_cannot_be_told_apart_is_only_forgotten_and_the_panel_says_so(kernel, sandbox):
    sandbox.settings = replace(SETTINGS, without=frozenset({"client_id"}))
    page = connect(kernel)
    sandbox.store.seed_app(sandbox.store.apps()[0].name)
    page.say("disconnect")
    assert page.shows("ready", text=status.FORGOTTEN_ONLY)
    assert len(sandbox.store.apps()) == 2
    approve(page.views[-1]["url"])
    page.shows("connected", text=lambda text: "Forgotten" not in text)


def test_a_disconnect_that_fails_is_said_and_the_sign_in_stands(kernel, sandbox):
    page = connect(kernel)
    sandbox.settings = replace(SETTINGS, faults=Faults(fraction=1.0, paths=(APPS,)))
    page.say("disconnect")
    page.shows("connected", busy=None, text=lambda text: "credits ·" not in text)
    sandbox.settings = SETTINGS
    assert kernel.run(f"import ic_notebook as ic\n{CREDITS}").error == []
    # What was said of the old sign-in is not said of the next.
    kernel.run("%ic_forget")
    approve(page.shows("ready")["url"])
    page.shows("connected", text=lambda text: text.startswith("627.13 credits"))


def test_apps_are_listed_and_one_is_revoked(kernel, sandbox):
    app = sandbox.store.seed_app("Claude")
    page = connect(kernel)
    page.say("apps")
    rows = page.shows("connected", apps=lambda apps: apps and "rows" in apps)["apps"]["rows"]
    assert [(row["name"], row["own"]) for row in rows] == [("Claude", False), (rows[1]["name"], True)]
    page.say("revoke", id=str(app))
    page.shows("connected", busy=None, apps=lambda apps: len(apps["rows"]) == 1)
    assert app not in [listed.id for listed in sandbox.store.apps()]
    page.say("revoke", id=str(app))
    page.shows(
        "connected", busy=None, apps=lambda apps: "No connected app has this id" in apps.get("problem", "")
    )


def test_a_table_of_apps_does_not_outlive_its_sign_in(kernel, sandbox):
    page = connect(kernel)
    page.say("apps")
    page.shows("connected", apps=lambda apps: apps and "rows" in apps)
    kernel.run("%ic_forget")
    approve(page.shows("ready")["url"])
    page.shows("connected", apps=None)


def test_revoking_this_app_ends_the_sign_in_here(kernel, sandbox):
    page = connect(kernel)
    page.say("apps")
    (row,) = page.shows("connected", apps=lambda apps: apps and "rows" in apps)["apps"]["rows"]
    page.say("revoke", id=row["id"])
    page.shows("ready", url=bool)
    assert not kernel.ask("__import__('ic_notebook').status().connected")


def test_a_sign_in_that_the_service_ended_is_shown_with_a_new_link(kernel, sandbox):
    page = connect(kernel)
    sandbox.store.end_access_tokens()
    sandbox.store.end_refresh_tokens()
    (error,) = kernel.run(f"import ic_notebook as ic\n{CREDITS}").error
    assert error.startswith("SignInRequired: This sign-in has ended.")
    view = page.shows("ended", url=bool)
    assert view["action"] == "Connect again"
    approve(view["url"])
    page.shows("connected")


SENSELESS = [
    None,
    7,
    "hello",
    ["hello"],
    {},
    {"type": None},
    {"type": ["hello"]},
    {"type": {"hello": 1}},
    {"type": "__class__"},
    {"type": "_disconnect"},
    {"type": "disconnected" * 100_000},
    {"type": "paste"},
    {"type": "paste", "text": None},
    {"type": "paste", "text": {"code": "abcdefgh"}},
    {"type": "paste", "text": "\ud800"},
    {"type": "paste", "text": "code=" + "x" * 2_000_000},
    {"type": "paste", "veil": 1, "text": "x" * 2_000_000},
    {"type": "paste", "veil": 1, "text": "no base64"},
    {"type": "paste", "veil": True, "text": "eA=="},
    {"type": "paste", "veil": 10**30, "text": "eA=="},
    {"type": "answer"},
    {"type": "answer", "veil": 1, "text": "eA=="},
    {"type": "revoke"},
    {"type": "revoke", "id": None},
    {"type": "revoke", "id": {"id": 1}},
    {"type": "revoke", "id": "../../accounts/credits"},
    {"type": "revoke", "id": "\ud800"},
    {"type": "revoke", "id": "x" * 2_000_000},
    {"type": "opened", "text": [1]},
    {"type": "near", "url": "https://example.com"},
    {"type": "remember"},
    {"type": "remember", "on": "yes"},
    {"type": "remember", "on": {"on": True}},
    {"type": "without", "on": 1},
]


def test_messages_that_make_no_sense_break_nothing_while_a_link_waits(kernel):
    page, url = ready(kernel)
    for content in [*SENSELESS, {"type": "disconnect"}, {"type": "apps"}]:
        page.send(content)
    assert kernel.run("1 + 1").text == "2"
    page.shows("waiting", url=url)
    approve(url)
    page.shows("connected")
    assert "Traceback" not in kernel.log.read_text()


def test_messages_that_make_no_sense_break_nothing_while_connected(kernel, sandbox):
    page = connect(kernel)
    sandbox.requests.clear()
    for content in [*SENSELESS, {"type": "retry"}, {"type": "cancel"}]:
        page.send(content)
    assert kernel.run("1 + 1").text == "2"
    page.say("apps")
    page.shows("connected", busy=None, apps=lambda apps: apps and len(apps.get("rows", ())) == 1)
    assert kernel.run(f"import ic_notebook as ic\n{CREDITS}").error == []
    assert len(sandbox.store.apps()) == 1
    assert TOKEN not in paths(sandbox)
    assert "Traceback" not in kernel.log.read_text()


def test_two_panels_show_one_truth(kernel, sandbox):
    first, second = kernel.load(), kernel.load()
    for page in (first, second):
        page.say("hello")
    url = first.shows("ready")["url"]
    assert second.shows("ready")["url"] == url
    first.say("opened")
    second.shows("waiting", url=url)
    second.say("cancel")
    url = first.shows("ready", url=lambda new: new != url)["url"]
    approve(url)
    for page in (first, second):
        page.shows("connected", text=lambda text: "credits" in text)
    assert paths(sandbox).count(TOKEN) == 1
    second.say("disconnect")
    for page in (first, second):
        page.shows("ready")


def test_a_page_that_is_loaded_anew_is_shown_how_things_stand(kernel, sandbox):
    page = connect(kernel)
    page.say("goodbye")
    page.say("hello")
    kernel.run("None")
    page.shows("connected", text=lambda text: "credits" in text)
    assert paths(sandbox).count(TOKEN) == 1


def test_a_page_is_told_while_a_cell_holds_the_kernel(kernel):
    page, url = ready(kernel)
    page.say("opened")
    page.shows("waiting")
    gate = kernel.folder / "gate"
    os.mkfifo(gate)
    cell = kernel.start(f"open({str(gate)!r}).read()")
    approve(url)
    page.shows("connected", text=lambda text: "credits" in text)
    gate.write_text("")
    assert kernel.finish(cell).text == "''"
    gate.unlink()


def test_no_trait_of_the_panel_holds_anything_of_the_sign_in(kernel):
    page, url = ready(kernel)
    traits = "next(w for w in __import__('gc').get_objects() if type(w).__name__ == 'ConnectPanel' and w.comm.comm_id == {!r}).get_state()"
    before = kernel.ask(f"repr({traits.format(page.comm_id)})")
    approve(url)
    page.shows("connected")
    assert kernel.ask(f"repr({traits.format(page.comm_id)})") == before
    assert query(url)["state"] not in before
    told = [
        m for m in kernel.messages if m["msg_type"] == "comm_msg" and m["content"]["comm_id"] == page.comm_id
    ]
    assert {m["content"]["data"]["method"] for m in told} == {"custom"}


def test_the_listener_refuses_a_foreign_answer_and_the_wait_goes_on(kernel):
    page, url = ready(kernel)
    redirect_uri = query(url)["redirect_uri"]
    assert httpx.get(f"{redirect_uri}?code=abcdefgh&state=wrong").status_code >= 400
    approve(url)
    page.shows("connected")
