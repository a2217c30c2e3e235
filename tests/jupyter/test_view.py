"""What the panel says of a sign-in in each state, and that it holds no secret but the link."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from ic_notebook.errors import (
    ConfigurationError,
    NobodyThere,
    OAuthError,
    ServiceUnavailable,
    SignInDeclined,
    SignInTimeout,
    UnexpectedAnswer,
)
from ic_notebook.jupyter import presenter as presenter_module
from ic_notebook.jupyter.cells import CELLS, NEXT, find_cell
from ic_notebook.jupyter.panel import ConnectPanel
from ic_notebook.jupyter.presenter import Presenter
from ic_notebook.jupyter.view import (
    BY_PASTE,
    INSTALL_BESIDE,
    INVITATION,
    NO_KEYRING,
    RESTART,
    WAYS,
    apps_view,
    view_of,
)
from ic_notebook.login.states import LoginState
from ic_notebook.notices import notices
from ic_notebook.oauth.connected_apps import ConnectedApp
from ic_notebook.oauth.metadata import SERVICE
from ic_notebook.redirect.doors import Door
from ic_notebook.redirect.routes import ORDER, Findings, loopback
from ic_notebook.sessions.apps import ConnectedApps
from ic_notebook.sessions.status import SessionState, Status
from ic_notebook.sessions.token_source import CUT_SHORT, ENDED

URL = "https://api-dashboard.influencers.club/public/v1/oauth/authorize/?state=STATE"
NOON = datetime(2026, 11, 3, 12, 34, tzinfo=timezone.utc)


def session(
    state: SessionState = SessionState.CONNECTED, *, environment: bool = False, store: Any = None
) -> Any:
    status = Status(
        connected=state is SessionState.CONNECTED,
        base_url=SERVICE,
        kept="from the environment, not renewed here" if environment else "this kernel only",
        since=None if environment else NOON,
        registered_as=None if environment else "ic_notebook on laptop",
    )
    return SimpleNamespace(state=state, status=status, is_from_environment=environment, store=store)


def keeping(**parts: Any) -> Any:
    """What of the sign-in outlives the process, as the panel asks for it."""
    given = {
        "offered": True,
        "remember": False,
        "impossible": None,
        "failure": None,
        "busy": False,
        "profile": "default",
    }
    return SimpleNamespace(**(given | parts))


def sign_in(phase: LoginState | None = None, **parts: Any) -> Any:
    """A SignIn as it stands in the middle of something."""
    login = None
    if phase:
        login = SimpleNamespace(
            problem=None, notice=None, one_click=True, port=None, route=loopback(), request=None
        )
    given: dict[str, Any] = {
        "session": None,
        "phase": phase,
        "login": login,
        "url": URL if phase in {LoginState.READY, LoginState.WAITING} else None,
        "failure": None,
        "note": None,
        "misconfigured": None,
        "blocked": False,
        "unheard": parts.get("blocked", False),
        "findings": None,
        "waited_for": parts.get("blocked", False),
        "credits": None,
        "looking": False,
        "keeping": keeping(),
        "options": SimpleNamespace(base_url=SERVICE),
    }
    return SimpleNamespace(**(given | parts))


def view(
    face: Any, *, apps: Any = None, busy: str | None = None, notice: str | None = None
) -> dict[str, Any]:
    shown = view_of(face, apps=apps, busy=busy, notice=notice)
    assert json.loads(json.dumps(shown)) == shown
    return shown


def failed(failure: Exception, **parts: Any) -> Any:
    return sign_in(failure=failure, **parts)


@pytest.mark.parametrize(
    ("face", "state", "title", "text", "action"),
    [
        (sign_in(), "idle", "influencers.club", INVITATION, "Connect"),
        (sign_in(LoginState.NEW), "preparing", "influencers.club", "Getting ready…", "Connect"),
        (sign_in(LoginState.PREPARING), "preparing", "influencers.club", "Getting ready…", "Connect"),
        (sign_in(LoginState.READY), "ready", "influencers.club", INVITATION, "Connect"),
        (sign_in(note="Forgotten here only."), "idle", "influencers.club", "Forgotten here only.", "Connect"),
        (
            sign_in(LoginState.WAITING),
            "waiting",
            "Approve in the other tab",
            "This panel notices by itself, also while a cell is running.",
            None,
        ),
        (sign_in(LoginState.FINISHING), "finishing", "Approved, finishing…", "", None),
        (
            sign_in(session=session(SessionState.ENDED)),
            "ended",
            "This sign-in has ended",
            "It was disconnected in the dashboard or in another notebook.",
            "Connect again",
        ),
        (
            failed(SignInDeclined("Access was declined.")),
            "failed",
            "Not connected: access was declined",
            "Nobody is signed in. Connect again and choose Approve on the page.",
            "Try again",
        ),
        (
            failed(SignInTimeout("Nobody approved within 10 minutes.")),
            "failed",
            "Not connected: nobody approved in time",
            "Nobody approved within 10 minutes.",
            "Try again",
        ),
        (
            failed(ServiceUnavailable("No connection.")),
            "failed",
            "influencers.club cannot be reached",
            "No connection.",
            "Try again",
        ),
        (
            failed(ServiceUnavailable("A fault of its own (503).", status_code=503)),
            "failed",
            "Not connected",
            "A fault of its own (503).",
            "Try again",
        ),
        *[
            (failed(error), "failed", "Not connected", str(error), "Try again")
            for error in (
                UnexpectedAnswer("No client_id."),
                ConfigurationError("IC_ACCESS_TOKEN holds something."),
                OAuthError("Refused.", error="invalid_grant"),
                NobodyThere("Nobody."),
            )
        ],
    ],
)
def test_each_state_has_its_words(face, state, title, text, action):
    shown = view(face)
    assert (shown["state"], shown["title"], shown["text"], shown.get("action")) == (
        state,
        title,
        text,
        action,
    )


def test_another_server_that_cannot_be_reached_is_named():
    face = failed(ServiceUnavailable("No."), options=SimpleNamespace(base_url="http://127.0.0.1:9"))
    assert view(face)["title"] == "127.0.0.1:9 cannot be reached"


@pytest.mark.parametrize("phase", [LoginState.READY, LoginState.WAITING])
def test_a_link_is_shown_while_it_is_of_use(phase):
    assert view(sign_in(phase))["url"] == URL


def test_a_link_names_where_it_leads():
    assert view(sign_in(LoginState.READY))["host"] == "dashboard.influencers.club"


@pytest.mark.parametrize("failure", [SignInDeclined("No."), None])
def test_a_failed_or_ended_sign_in_offers_the_next_link_once_it_is_ready(failure):
    face = sign_in(LoginState.READY, failure=failure, session=session(SessionState.ENDED))
    assert view(face)["url"] == URL
    assert view(face)["state"] == ("failed" if failure else "ended")


@pytest.mark.parametrize("state", [LoginState.FINISHING, None])
def test_no_link_is_left_when_it_is_of_no_use(state):
    assert view(sign_in(state)).get("url") is None


@pytest.mark.parametrize("why", [ENDED, CUT_SHORT])
def test_an_end_with_a_reason_of_its_own_is_said_with_it(why):
    face = sign_in(session=session(SessionState.ENDED))
    face.session.status = replace(face.session.status, problem=why)
    assert (view(face)["text"] == why) is (why == CUT_SHORT)


def test_what_was_wrong_with_pasted_text_is_said_while_waiting():
    face = sign_in(LoginState.WAITING)
    face.login.problem = "There is no code in that."
    assert view(face)["problem"] == "There is no code in that."


def test_where_no_answer_is_known_to_come_by_itself_the_field_is_open():
    face = sign_in(LoginState.WAITING)
    assert view(face)["paste_only"] is False
    face.login.one_click = False
    assert view(face)["paste_only"] is True


@pytest.mark.parametrize("phase", [LoginState.READY, LoginState.WAITING])
def test_a_cell_that_waits_says_how_to_stop_it(phase):
    assert "interrupt the kernel" in view(sign_in(phase, blocked=True))["text"]


def test_a_notice_of_the_registration_is_shown_before_the_invitation():
    face = sign_in(LoginState.READY, note="Forgotten.")
    face.login.notice = "The service may show an error page."
    assert view(face)["text"] == "The service may show an error page."


@pytest.mark.parametrize(
    ("credits_left", "words"),
    [
        (None, ""),
        (627.13, "627.13 credits · "),
        (0.0, "0 credits · "),
        (10.0, "10 credits · "),
        (100.5, "100.5 credits · "),
        (1_234_567.0, "1,234,567 credits · "),
        (1000.0, "1,000 credits · "),
    ],
)
def test_connected_tells_credits_where_the_token_is_since_when_and_as_what(credits_left, words):
    shown = view(sign_in(session=session(), credits=credits_left))
    assert shown["state"] == "connected"
    assert shown["title"] == "Connected"
    since = f"since {NOON.astimezone():%H:%M}"
    assert shown["text"] == f"{words}this kernel only · {since} · as ic_notebook on laptop"
    assert shown["next"] == NEXT
    assert shown["can_disconnect"] is True
    assert [cell["name"] for cell in shown["cells"]] == [cell.name for cell in CELLS]


def test_a_token_of_the_environment_is_named_and_cannot_be_disconnected():
    shown = view(sign_in(session=session(environment=True)))
    assert shown["title"] == "Connected with IC_ACCESS_TOKEN"
    assert shown["text"] == "from the environment, not renewed here"
    assert shown["can_disconnect"] is False


def test_a_cell_that_waits_for_another_sign_in_shows_its_link_though_one_stands():
    shown = view(sign_in(LoginState.READY, session=session(), blocked=True))
    assert (shown["state"], shown["url"]) == ("ready", URL)
    assert view(sign_in(None, session=session(), blocked=True))["state"] == "connected"


def test_connected_outweighs_an_attempt_and_a_failure_of_before():
    face = sign_in(LoginState.WAITING, session=session(), failure=SignInDeclined("No."))
    assert view(face)["state"] == "connected"
    assert "url" not in view(face)


def test_apps_are_shown_with_what_is_known_of_them():
    own = ConnectedApp(id="2", name="ic_notebook", client_id="c", created=NOON, extra={"secret": "x"})
    apps = ConnectedApps((ConnectedApp(id=None, name=None, client_id=None, created=None, extra={}), own), own)
    local = NOON.astimezone()
    shown = view(sign_in(session=session()), apps=apps_view(apps), busy="Disconnecting…")
    assert shown["busy"] == "Disconnecting…"
    assert shown["apps"]["rows"] == [
        {"id": "", "name": "without a name", "connected": "", "own": False, "can_revoke": False},
        {
            "id": "2",
            "name": "ic_notebook",
            "connected": f"{local.day} {local:%b %Y}",
            "own": True,
            "can_revoke": True,
        },
    ]


@pytest.mark.parametrize(
    "face",
    [
        sign_in(),
        sign_in(LoginState.PREPARING),
        sign_in(LoginState.READY),
        sign_in(LoginState.WAITING),
        sign_in(looking=True),
        sign_in(LoginState.READY, session=session(SessionState.ENDED)),
        failed(SignInDeclined("No.")),
    ],
)
def test_a_person_who_is_not_connected_may_choose_to_be_remembered(face):
    assert view(face)["remember"] == {"on": False, "problem": None, "reason": None}
    face.keeping = keeping(remember=True)
    assert view(face)["remember"]["on"] is True
    face.keeping = keeping(impossible="No keyring: keyring.backends.fail.")
    assert view(face)["remember"] == {
        "on": False,
        "problem": NO_KEYRING,
        "reason": "No keyring: keyring.backends.fail.",
    }
    face.keeping = keeping(offered=False)
    assert view(face)["remember"] is None


@pytest.mark.parametrize(
    "face",
    [
        sign_in(LoginState.READY, blocked=True),
        sign_in(LoginState.WAITING, blocked=True),
        sign_in(LoginState.FINISHING),
        sign_in(session=session()),
        sign_in(session=session(environment=True)),
    ],
)
def test_no_box_where_a_tick_would_not_be_heard_in_time(face):
    assert view(face).get("remember") is None


SLOW = "Your keyring does not answer yet."


@pytest.mark.parametrize(
    ("parts", "state"),
    [({"phase": LoginState.FINISHING}, "finishing"), ({"phase": None, "looking": True}, "looking")],
)
def test_a_storage_that_is_slow_is_said_and_can_be_gone_on_without(parts, state):
    face = sign_in(**parts, keeping=keeping(busy=True))
    quick = view(face)
    assert (quick["state"], quick.get("can_go_on")) == (state, None)
    slow = view(face, notice=SLOW)
    assert (slow["state"], slow["text"], slow["can_go_on"], slow["notice"]) == (state, SLOW, True, None)
    face.blocked = True
    assert view(face, notice=SLOW)["can_go_on"] is False
    face.keeping = keeping()
    assert "can_go_on" not in view(face, notice=SLOW)


@pytest.mark.parametrize(
    "face", [sign_in(), sign_in(LoginState.READY), sign_in(LoginState.WAITING), sign_in(session=session())]
)
def test_what_takes_its_time_is_said_in_every_state(face):
    assert view(face, notice="Going on in 12 s.")["notice"] == "Going on in 12 s."
    assert view(face)["notice"] is None


def test_a_sign_in_that_could_not_be_kept_says_so_as_long_as_it_is_the_one_shown():
    face = sign_in(session=session(), keeping=keeping(failure="Your keyring is locked."))
    assert view(face)["remark"] == "Your keyring is locked."
    face.session = session(store=object())
    assert view(face)["remark"] is None
    face.session = session(environment=True)
    assert view(face)["remark"] is None


def test_an_account_that_has_a_name_is_named():
    assert view(sign_in(keeping=keeping(profile="agency-a")))["profile"] == "agency-a"
    assert view(sign_in())["profile"] is None
    assert view(sign_in(session=session(environment=True), keeping=keeping(profile="b")))["profile"] is None


def test_what_came_of_registering_again_is_said_beside_the_link():
    face = sign_in(LoginState.WAITING)
    face.login.notice = "This program has been registered again already."
    assert view(face)["remark"] == face.login.notice
    face = sign_in(LoginState.READY)
    face.login.problem = "No answer. The link that you have stays as it is."
    assert view(face)["remark"] == face.login.problem


def test_helper_cells_compile_and_no_one_spends_or_revokes_as_it_stands():
    for cell in CELLS:
        compile(cell.code, cell.name, "exec")
        assert find_cell(cell.name) is cell
        assert "POST" not in cell.code
        assert ".post(" not in cell.code
        assert "disconnect" not in cell.code
    assert 'app_id = ""' in find_cell("revoke").code


@pytest.mark.parametrize("name", ["", "First-Call", "first_call", "revoke "])
def test_an_unknown_cell_is_refused_with_the_names(name):
    with pytest.raises(ConfigurationError, match="first-call, apps, revoke, pandas"):
        find_cell(name)


class Scripted(SimpleNamespace):
    """A SignIn that a slow thread (one with `slow.saw`) sees as it was, until it may go on."""

    def __init__(self) -> None:
        super().__init__(**vars(sign_in()))
        self.asked, self.go_on = threading.Event(), threading.Event()
        self.slow = threading.local()
        self.now: LoginState | None = LoginState.PREPARING
        self.watchers: list[Any] = []

    @property
    def phase(self) -> LoginState | None:
        if not hasattr(self.slow, "saw"):
            return self.now
        if not self.asked.is_set():
            self.slow.saw = self.now
            self.asked.set()
            assert self.go_on.wait(10)
        return self.slow.saw

    @phase.setter
    def phase(self, value: LoginState | None) -> None:
        self.now = value

    def watch(self, callback: Any) -> Any:
        self.watchers.append(callback)
        return lambda: self.watchers.remove(callback) if callback in self.watchers else None


@pytest.fixture
def scripted():
    """A scripted sign-in, what presents it, and the views that it sent."""
    face, sent = Scripted(), []
    shown = Presenter(face, lambda content: sent.append(content["view"]["state"]))  # type: ignore[arg-type]
    yield face, shown, sent
    shown.close()
    assert face.watchers == []


def test_the_last_picture_sent_is_of_how_things_stand_last(scripted):
    face, shown, sent = scripted

    def tell_slowly() -> None:
        face.slow.saw = None
        shown.tell()

    slow = threading.Thread(target=tell_slowly)
    slow.start()
    assert face.asked.wait(10)
    face.now = LoginState.FINISHING
    quick = threading.Thread(target=shown.tell)
    quick.start()
    quick.join(0.2)
    face.go_on.set()
    for thread in (slow, quick):
        thread.join(10)
    assert sent[-1] == "finishing"


def test_a_notice_that_ends_in_the_middle_of_telling_is_told_and_locks_nothing(scripted, monkeypatch):
    face, shown, sent = scripted
    collected = []

    class Given:
        offered = False
        failure = None
        profile = "default"

        @property
        def busy(self) -> bool:
            if not collected:
                collected.append(True)
                face.now = LoginState.WAITING
                shown.tell()  # as from a finalizer that a garbage collection runs here
            return False

    face.now, face.keeping = LoginState.FINISHING, Given()
    monkeypatch.setattr(type(notices), "latest", property(lambda _: "A sentence."))
    teller = threading.Thread(target=shown.tell, daemon=True)
    teller.start()
    teller.join(10)
    assert not teller.is_alive()
    assert sent == ["finishing", "waiting"]


def test_a_closed_panel_hears_of_no_notice(scripted):
    _, shown, sent = scripted
    with notices.showing("One."):
        assert len(sent) == 1
    shown.close()
    told = len(sent)
    with notices.showing("Two."):
        assert len(sent) == told


def test_a_panel_prints_how_it_stands_and_nothing_else():
    face = Scripted()
    shown = ConnectPanel(face)  # type: ignore[arg-type]
    face.connected = False
    assert repr(shown) == "<ConnectPanel: not connected>"
    face.connected = True
    assert repr(shown) == "<ConnectPanel: connected>"
    shown.close()


def test_a_refused_token_of_the_environment_is_said_with_a_link_to_connect_instead():
    shown = view(sign_in(LoginState.READY, session=session(SessionState.ENDED, environment=True)))
    assert (shown["state"], shown["title"], shown["url"]) == ("ended", "IC_ACCESS_TOKEN was refused", URL)


def test_a_variable_that_cannot_be_used_is_said_as_long_as_it_is_so():
    problem = ConfigurationError("IC_ACCESS_TOKEN holds something that is not a token.")
    assert view(sign_in(misconfigured=problem))["text"] == str(problem)
    assert view(sign_in())["state"] == "idle"


def found(*reached: str, why: str = "not there") -> Findings:
    return Findings.of({"tried": [{"name": name, "ok": name in reached, "why": why} for name in ORDER]})


def by(name: str, **parts: Any) -> Any:
    """A login whose link comes back by this route, proven."""
    route = SimpleNamespace(name=name, proven=True, start=None, redirect_uris=("https://hub.example/cb",))
    given = {
        "problem": None,
        "notice": None,
        "one_click": True,
        "port": 1001,
        "route": route,
        "request": None,
    }
    return SimpleNamespace(**(given | {"door": Door()} | parts))


@pytest.mark.parametrize("name", ORDER)
def test_a_link_says_by_which_way_the_browser_comes_back_where_it_is_not_straight(name):
    face = sign_in(LoginState.READY, login=by(name), findings=found(name))
    assert view(face)["way"] == WAYS.get(name)
    assert (name in WAYS) is (name != "loopback")


def test_a_link_that_takes_a_paste_says_so_once_the_ways_were_tried():
    face = sign_in(LoginState.READY)
    assert view(face)["way"] is None
    face.findings = found()
    assert view(face)["way"] == BY_PASTE


@pytest.mark.parametrize(("shared", "hint"), [(True, RESTART), (False, INSTALL_BESIDE)])
def test_where_the_extension_is_not_there_a_person_is_told_what_to_do_for_one_click(
    monkeypatch, shared, hint
):
    monkeypatch.setattr("ic_notebook.environment.shares_jupyter", lambda: shared)
    face = sign_in(LoginState.WAITING, findings=found())
    face.login.one_click = False
    assert view(face)["remark"] == hint
    face.findings = found(why="refused")
    assert view(face)["remark"] is None


def test_the_page_is_told_of_the_door_in_every_state_of_an_attempt_and_of_the_state_for_a_hand_over_alone():
    login = by("loopback", request=SimpleNamespace(state="the state", url=URL))
    for phase in (LoginState.PREPARING, LoginState.READY, LoginState.WAITING, LoginState.FINISHING):
        door = view(sign_in(phase, login=login, findings=found("loopback")))["door"]
        assert (door["key"], door["answer"], door["port"]) == (login.door.key, login.door.answer, 1001)
        assert door["state"] is None
    for way in ("page", "extension"):
        handed = by(way, request=login.request)
        shown = view(sign_in(LoginState.READY, login=handed, findings=found(way)))
        assert shown["door"]["state"] == "the state"
    assert view(sign_in())["door"] is None


def test_a_hosted_proxy_leaves_a_way_around_it():
    route = SimpleNamespace(
        name="hosted", proven=True, start="https://p.example", redirect_uris=("https://p.example/cb",)
    )
    login = by("hosted", route=route, request=SimpleNamespace(state="s", url=URL))
    assert view(sign_in(LoginState.WAITING, login=login))["direct_url"] == URL
    assert view(sign_in(LoginState.WAITING))["direct_url"] is None


def test_visitors_of_voila_do_not_see_the_apps_of_whoever_set_the_token(monkeypatch):
    operators, visitors_own = session(environment=True), session()
    assert view(sign_in(session=operators))["can_list"] is True
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.13")
    assert view(sign_in(session=operators))["can_list"] is False
    assert view(sign_in(session=visitors_own))["can_list"] is True


@pytest.mark.parametrize("intent", ["apps", "revoke", "disconnect"])
def test_nor_does_a_page_that_asks_all_the_same(monkeypatch, intent):
    asked = []
    shown = Presenter(sign_in(session=session(environment=True), watch=lambda _: lambda: None), asked.append)
    monkeypatch.setattr(
        presenter_module, "background", lambda: SimpleNamespace(submit=lambda *call: asked.append(call))
    )
    shown.heard({"type": intent})
    assert len(asked) == 1
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.13")
    shown.heard({"type": intent})
    assert len(asked) == 1
    shown.close()
