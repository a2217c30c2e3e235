"""SignIn: one truth for every face of a process, whichever thread asks."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import socket
import threading

import httpx
import pytest

from ic_notebook.background import background
from ic_notebook.errors import (
    ConfigurationError,
    SignInCancelled,
    SignInDeclined,
    SignInError,
    SignInRequired,
    SignInTimeout,
)
from ic_notebook.login import login as logins
from ic_notebook.login.options import LoginOptions
from ic_notebook.login.states import LoginState
from ic_notebook.redirect.listener import Listener
from ic_notebook.sandbox import Faults
from ic_notebook.sessions.session import Session
from ic_notebook.sessions.status import SessionState
from ic_notebook.sign_in import MAX_LINGERING, SignIn, require_a_way_back, sign_in

S = LoginState
LONG = 15


@pytest.fixture
def answered(browser, eventually):
    """``answered(face)``: a person approves, as soon as there is a link; gives the last page."""

    def approve(face: SignIn) -> httpx.Response:
        eventually(lambda: face.url)
        return browser.answer(face.url)

    return approve


@pytest.fixture
def connected(face, browser, eventually):
    """A face that is viewed, and signed in."""
    face.viewed()
    eventually(lambda: face.url)
    attempt = face.begin()
    browser.answer(face.url)
    attempt.result(LONG)
    eventually(lambda: face.credits is not None)
    return face


# -- nothing before somebody is there


def test_nothing_is_asked_and_nothing_listens_before_somebody_looks(face, sandbox, our_threads, options):
    face.watch(lambda: None)

    assert (face.session, face.connected, face.phase, face.url, face.login) == (None, False, None, None, None)
    assert sandbox.requests == []
    assert not our_threads()
    for port in options.ports:
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{port}/callback", trust_env=False)


@pytest.mark.parametrize("intent", ["opened", "cancel", "unviewed", "paste"])
def test_an_intent_before_there_is_an_attempt_is_nothing(face, sandbox, intent):
    getattr(face, intent)(*(["text"] if intent == "paste" else []))
    background().run(asyncio.sleep, 0)

    assert (face.login, sandbox.requests) == (None, [])


@pytest.mark.parametrize("first_step", ["viewed", "prepare", "begin"])
def test_a_look_or_a_begin_makes_the_link_ready(face, eventually, paths, first_step):
    getattr(face, first_step)()
    eventually(lambda: face.phase is S.READY)

    assert face.url.startswith(f"{face.options.base_url}/public/v1/oauth/authorize/?")
    assert paths() == ["register"]


# -- one attempt


def test_begin_from_32_threads_is_one_attempt(face, eventually, paths):
    begun = []
    together = threading.Barrier(32)

    def begin() -> None:
        together.wait(LONG)
        begun.append(face.begin())

    threads = [threading.Thread(target=begin) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    eventually(lambda: face.phase is S.READY)

    assert len(begun) == 32
    assert len(set(map(id, begun))) == 1
    assert paths() == ["register"]


def test_begin_twice_is_one_attempt_and_after_its_end_another(face, eventually):
    first = face.begin()
    assert face.begin() is first
    eventually(lambda: face.phase is S.READY)
    face.cancel()
    with pytest.raises(SignInCancelled):
        first.result(LONG)

    assert face.begin() is not first


def test_looks_from_many_threads_are_one_attempt_and_one_call_for_credits(face, browser, eventually, paths):
    together = threading.Barrier(16)

    def look() -> None:
        together.wait(LONG)
        face.viewed()

    threads = [threading.Thread(target=look) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert face._viewers == 16
    eventually(lambda: face.url)
    browser.answer(face.url)
    eventually(lambda: face.credits is not None)

    assert paths() == ["register", "token", "credits"]


def test_two_watchers_see_the_same(face, browser, eventually):
    seen: list[list] = [[], []]
    for one in seen:
        face.watch(lambda one=one: one.append((face.phase, face.connected, face.url)))
    attempt = face.begin()
    eventually(lambda: face.url)
    face.opened()
    browser.answer(face.url)
    attempt.result(LONG)
    eventually(lambda: seen[0] and seen[0][-1][1] and len(seen[0]) == len(seen[1]))

    assert seen[0] == seen[1]
    phases = [phase for phase, _, _ in seen[0]]
    assert [phase for i, phase in enumerate(phases) if i == 0 or phases[i - 1] is not phase] == [
        S.PREPARING,
        S.READY,
        S.WAITING,
        S.FINISHING,
        None,
    ]


def test_no_watcher_is_ever_told_that_nothing_goes_on_during_a_sign_in(face, browser, eventually):
    idle = []
    face.watch(lambda: idle.append(face.phase is None and not face.connected and face.failure is None))
    attempt = face.begin()
    eventually(lambda: face.url)
    browser.answer(face.url)
    attempt.result(LONG)

    assert idle
    assert not any(idle)


def test_a_watcher_that_has_gone_is_not_told(face, eventually):
    told = []
    stop = face.watch(lambda: told.append(1))
    stop()
    stop()
    face.begin()
    eventually(lambda: face.url)

    assert told == []


def test_a_watcher_that_breaks_breaks_neither_the_sign_in_nor_the_others(face, browser, eventually, caplog):
    told = []

    def broken() -> None:
        raise RuntimeError

    face.watch(broken)
    face.watch(lambda: told.append(face.phase))
    attempt = face.begin()
    eventually(lambda: face.url)
    browser.answer(face.url)

    assert attempt.result(LONG).state is SessionState.CONNECTED
    assert S.READY in told
    assert any("A face of the sign-in" in record.getMessage() for record in caplog.records)


# -- from any thread


@pytest.mark.parametrize("intent", ["opened", "paste", "cancel"])
def test_a_persons_intent_counts_from_any_thread(face, browser, eventually, intent):
    attempt = face.begin()
    eventually(lambda: face.url)
    arguments = [browser.address(face.url)] if intent == "paste" else []
    thread = threading.Thread(target=getattr(face, intent), args=arguments)
    thread.start()
    thread.join(LONG)

    if intent == "opened":
        eventually(lambda: face.phase is S.WAITING)
    elif intent == "paste":
        assert attempt.result(LONG) is face.session
    else:
        with pytest.raises(SignInCancelled):
            attempt.result(LONG)


def test_a_pasted_mistake_is_told_to_every_watcher(face, eventually):
    told = []
    face.watch(lambda: told.append(face.login.problem))
    face.begin()
    eventually(lambda: face.url)
    face.paste("not a code")
    eventually(lambda: told[-1])

    assert "Copy the whole address" in told[-1]
    assert face.phase is S.READY


# -- what comes after an end


def test_a_failed_attempt_prepares_the_next_link_while_somebody_views(face, browser, eventually):
    face.viewed()
    eventually(lambda: face.url)
    first, attempt = face.url, face.begin()
    browser.answer(first, "deny")
    with pytest.raises(SignInDeclined):
        attempt.result(LONG)
    eventually(lambda: face.url)

    assert face.url != first
    assert isinstance(face.failure, SignInDeclined)
    browser.answer(face.url)
    eventually(lambda: face.connected)
    assert face.failure is None


@pytest.mark.parametrize("was_viewed", [True, False])
def test_a_failed_attempt_prepares_nothing_when_nobody_views(face, browser, eventually, paths, was_viewed):
    if was_viewed:
        face.viewed()
        face.unviewed()
        face.unviewed()
    attempt = face.begin()
    eventually(lambda: face.url)
    browser.answer(face.url, "deny")
    with pytest.raises(SignInDeclined):
        attempt.result(LONG)
    eventually(lambda: face.failure)

    assert (face.phase, face.url) == (None, None)
    assert face._attempt is attempt


def test_a_failure_before_there_was_a_link_waits_for_a_person(face, turn, eventually, sandbox):
    turn(faults=Faults(fraction=1.0, paths=("/public/v1/oauth/register/",), status=500))
    face.viewed()
    eventually(lambda: face.failure)
    asked = len(sandbox.requests)
    background().run(asyncio.sleep, 0.05)
    assert len(sandbox.requests) == asked

    turn(faults=Faults())
    face.prepare()
    eventually(lambda: face.url)
    assert face.failure is not None
    face.opened()
    eventually(lambda: face.phase is S.WAITING)
    assert face.failure is None


def test_a_cancelled_attempt_shows_no_failure_and_a_new_link(face, eventually):
    face.viewed()
    eventually(lambda: face.url)
    first = face.url
    face.opened()
    face.cancel()
    eventually(lambda: face.url not in {None, first})

    assert face.failure is None


@pytest.fixture
def hurried(options, sessions, quick_ends, our_threads, eventually):
    """A face whose links are released at once."""
    face = SignIn(LoginOptions(**{**vars(options), "release_after": 0.05}), sessions=sessions)
    yield face
    face._viewers = 0
    eventually(lambda: not our_threads())


def test_a_link_that_nobody_opened_is_released_and_prepared_again_when_somebody_comes_near(
    hurried, eventually
):
    hurried.viewed()
    first = hurried.begin()
    with pytest.raises(SignInTimeout):
        first.result(LONG)
    background().run(asyncio.sleep, 0.05)

    assert (hurried.phase, hurried.failure, hurried._attempt) == (None, None, first)
    hurried.prepare()
    assert hurried._attempt is not first


def test_a_link_that_was_opened_and_not_answered_shows_that_time_ran_out(hurried, eventually):
    attempt = hurried.begin()
    eventually(lambda: hurried.url or attempt.done())
    hurried.opened()
    with pytest.raises(SignInTimeout):
        attempt.result(LONG)
    eventually(lambda: isinstance(hurried.failure, SignInTimeout) or hurried.login.state is S.RELEASED)


def test_many_attempts_one_after_another_never_use_up_the_ports(face, eventually, monkeypatch, options):
    with monkeypatch.context() as patched:
        patched.setattr(logins, "LINGER", 60.0)
        for _ in range(len(options.ports) + 3):
            attempt = face.begin()
            eventually(lambda: face.phase is S.READY)
            assert face.login.listening
            face.cancel()
            with pytest.raises(SignInCancelled):
                attempt.result(LONG)
    assert len(options.ports) > MAX_LINGERING

    for login in face._lingering:
        background().run(_close, login)
    background().close()


async def _close(login) -> None:
    login.close()


@pytest.mark.parametrize("where", [(Listener, "open"), (Session, "signed_in")], ids=["early", "late"])
def test_a_fault_of_our_own_is_shown_and_logged_and_not_tried_again(
    face, answered, monkeypatch, caplog, where
):
    words = "what a library quotes"

    def broken(*_arguments, **_options):
        raise ZeroDivisionError(words)

    monkeypatch.setattr(*where, broken)
    face.viewed()
    attempt = face.begin()
    if where[0] is Session:
        answered(face)
    assert isinstance(attempt.exception(LONG), ZeroDivisionError)
    background().run(asyncio.sleep, 0.05)

    assert "A fault of ic_notebook itself (ZeroDivisionError)" in str(face.failure)
    assert (face.phase, face._attempt) == (None, attempt)
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert "ZeroDivisionError" in line
    assert words not in caplog.text


# -- the session


def test_credits_are_asked_for_once_and_only_while_somebody_views(face, browser, eventually, paths):
    attempt = face.begin()
    eventually(lambda: face.url)
    browser.answer(face.url)
    attempt.result(LONG)
    assert "credits" not in paths()
    face.viewed()
    face.viewed()
    eventually(lambda: face.credits is not None)
    face.viewed()
    background().run(asyncio.sleep, 0.05)

    assert paths().count("credits") == 1
    assert isinstance(face.credits, float)


def test_credits_that_cannot_be_had_leave_the_session_standing(face, browser, eventually, turn, paths):
    turn(faults=Faults(fraction=1.0, paths=("/public/v1/accounts/",), status=500))
    face.viewed()
    eventually(lambda: face.url)
    browser.answer(face.url)
    eventually(lambda: "credits" in paths() and face._credits_of is None)
    assert (face.connected, face.credits) == (True, None)

    turn(faults=Faults())
    face.viewed()
    eventually(lambda: face.credits is not None)


def test_a_session_that_the_service_ended_is_shown_and_a_new_link_made_ready(connected, eventually, sandbox):
    session = connected.session
    sandbox.store.end_access_tokens()
    sandbox.store.end_refresh_tokens()
    with pytest.raises(SignInRequired):
        session.credits()
    eventually(lambda: connected.url)

    assert (connected.connected, connected.session, session.state) == (False, session, SessionState.ENDED)


@pytest.mark.parametrize("way", ["disconnect", "forget"])
def test_a_session_that_a_person_ended_is_gone_and_a_new_link_made_ready(connected, eventually, way):
    told = []
    connected.watch(lambda: told.append(connected.connected))
    getattr(connected.session, way)()
    eventually(lambda: connected.url)

    assert connected.session is None
    assert told[0] is False


def test_a_second_sign_in_shows_its_own_credits(connected, browser, eventually, paths):
    connected.session.forget()
    eventually(lambda: connected.url)
    browser.answer(connected.url)
    eventually(lambda: connected.connected and paths().count("credits") == 2)
    eventually(lambda: connected.credits is not None)


def test_a_token_in_the_environment_is_the_session(face, sandbox, monkeypatch, eventually, paths):
    monkeypatch.setenv("IC_BASE_URL", sandbox.url)
    monkeypatch.setenv("IC_ACCESS_TOKEN", sandbox.store.issue_token())
    face.viewed()
    face.prepare()
    eventually(lambda: face.credits is not None)

    assert face.connected
    assert face.session.is_from_environment
    assert paths() == ["credits"]


def test_a_bad_token_in_the_environment_is_a_failure_and_no_reason_to_begin(face, sandbox, monkeypatch):
    monkeypatch.setenv("IC_BASE_URL", sandbox.url)
    monkeypatch.setenv("IC_ACCESS_TOKEN", "not a token")
    face.viewed()

    assert isinstance(face.misconfigured, ConfigurationError)
    assert (face.session, face.login, sandbox.requests) == (None, None, [])

    monkeypatch.delenv("IC_ACCESS_TOKEN")
    assert (face.session, face.misconfigured) == (None, None)


def test_a_refused_token_in_the_environment_is_no_session_and_makes_a_link_ready(
    face, sandbox, monkeypatch, eventually
):
    monkeypatch.setenv("IC_BASE_URL", sandbox.url)
    monkeypatch.setenv("IC_ACCESS_TOKEN", sandbox.store.issue_token())
    sandbox.store.end_access_tokens()
    face.viewed()

    eventually(lambda: face.url)
    assert not face.connected
    assert face.session.is_from_environment
    assert face.failure is None


def test_one_sign_in_per_server_discovery_and_scope(options, tmp_path):
    def of(**changes) -> SignIn:
        return sign_in(LoginOptions(**{**vars(options), **changes}))

    assert of() is of()
    assert of(ports=(1,)) is of()
    assert (
        len({id(of()), id(of(discover=True)), id(of(scope="a")), id(of(base_url="https://a.example"))}) == 4
    )


# -- what is left behind


def test_no_thread_and_no_port_is_left_when_nothing_runs(connected, eventually, our_threads, options):
    eventually(lambda: not our_threads())
    for port in options.ports:
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{port}/callback", trust_env=False)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("lock_is_held", [True, False])
def test_after_a_fork_nothing_hangs_and_the_child_begins_anew(face, eventually, browser, lock_is_held):
    attempt = face.begin()
    eventually(lambda: face.url)
    if lock_is_held:
        face._lock.acquire()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            untouched = (face.login, face.phase, face.url) == (None, None, None)
            face.begin()
            eventually(lambda: face.phase is S.READY)
            # The parent has the first port; its listener is not the child's.
            code = 0 if untouched and face.login.listening else 2
        finally:
            os._exit(code)
    if lock_is_held:
        face._lock.release()
    eventually(lambda: os.waitpid(child, os.WNOHANG) == (child, 0))

    browser.answer(face.url)
    assert attempt.result(LONG).state is SessionState.CONNECTED


# -- somebody waits


def test_the_last_to_give_up_cancels_and_nobody_before(face, eventually):
    with contextlib.ExitStack() as patient:
        attempt = patient.enter_context(face.awaited(timeout=LONG))
        with face.awaited(timeout=0.1) as same:
            assert same is attempt
        eventually(lambda: face.url)
        assert not attempt.done()
    with pytest.raises(SignInCancelled):
        attempt.result(LONG)


def test_somebody_who_waits_has_their_time_whatever_a_link_had_before(
    options, sessions, quick_ends, eventually
):
    face = SignIn(dataclasses.replace(options, release_after=0.2), sessions=sessions)
    with face.awaited(timeout=LONG) as attempt:
        eventually(lambda: face.phase is S.READY)
        background().run(asyncio.sleep, 0.5)
        assert face.phase is S.READY
        face.cancel()
        assert isinstance(attempt.exception(LONG), SignInCancelled)


def test_faces_hear_that_nobody_waits_any_more(face, eventually):
    told = []
    with face.awaited(timeout=LONG) as attempt:
        face.cancel()
        assert isinstance(attempt.exception(LONG), SignInCancelled)
        eventually(lambda: face.phase is None)
        face.watch(lambda: told.append(face.waited_for))
        assert face.waited_for
    assert told == [False]


def test_an_approval_that_is_being_finished_is_no_giving_up(face, monkeypatch):
    monkeypatch.setattr(SignIn, "phase", S.FINISHING)
    assert not face.gave_up(0.0)
    monkeypatch.setattr(SignIn, "phase", S.WAITING)
    assert face.gave_up(0.0)


def test_where_no_port_listens_a_face_that_takes_no_paste_says_so(face, eventually):
    sockets = [socket.create_server(("127.0.0.1", port)) for port in face.options.ports]
    try:
        face.begin()
        eventually(lambda: face.url)
        with pytest.raises(SignInError, match="taken by other programs"):
            require_a_way_back(face)
    finally:
        for each in sockets:
            each.close()
