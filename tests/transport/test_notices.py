from __future__ import annotations

import logging
import os
import threading
from contextlib import ExitStack

import pytest

from ic_notebook.notices import Notices


@pytest.fixture
def notices() -> Notices:
    return Notices()


@pytest.fixture
def heard(notices: Notices) -> list[str | None]:
    """What a face that watches has shown, one after the other."""
    shown: list[str | None] = []
    notices.watch(lambda: shown.append(notices.latest))
    return shown


def test_sentence_is_shown_for_as_long_as_it_lasts(notices, heard):
    assert notices.latest is None
    with notices.showing("Wait."):
        assert notices.latest == "Wait."
    assert notices.latest is None
    assert heard == ["Wait.", None]


def test_latest_is_shown_and_the_earlier_one_again_after_it(notices, heard):
    with notices.showing("One."), notices.showing("Two."):
        assert notices.latest == "Two."
    assert heard == ["One.", "Two.", "One.", None]


def test_earlier_one_may_end_first(notices, heard):
    first = notices.showing("One.")
    first.__enter__()
    with notices.showing("Two."):
        first.__exit__(None, None, None)
        assert notices.latest == "Two."
    assert heard == ["One.", "Two.", None]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_failure_within_goes_through_and_ends_it(notices, failure):
    with pytest.raises(failure), notices.showing("Wait."):
        raise failure
    assert notices.latest is None


def test_same_sentence_of_many_is_logged_and_told_once(notices, heard, caplog):
    with ExitStack() as many:
        for _ in range(50):
            many.enter_context(notices.showing("Wait."))
    assert caplog.messages == ["Wait."]
    assert heard == ["Wait.", None]


def test_one_topic_is_logged_once_whatever_its_sentences(notices, heard, caplog):
    with (
        notices.showing("Limit. 12 s.", topic="limit"),
        notices.showing("Limit. 13 s.", topic="limit"),
        notices.showing("Keyring."),
    ):
        pass
    with notices.showing("Limit. 3 s.", topic="limit"):
        pass
    assert caplog.messages == ["Limit. 12 s.", "Keyring.", "Limit. 3 s."]
    assert heard[:3] == ["Limit. 12 s.", "Limit. 13 s.", "Keyring."]


def test_it_is_a_warning_of_the_package(notices, caplog):
    with notices.showing("100 % {done}"):
        pass
    (record,) = caplog.records
    assert (record.name, record.levelno, record.getMessage()) == (
        "ic_notebook",
        logging.WARNING,
        "100 % {done}",
    )


def test_face_that_fails_spoils_neither_the_call_nor_the_other_faces(notices):
    shown = []
    notices.watch(lambda: 1 / 0)
    notices.watch(lambda: shown.append(notices.latest))
    with notices.showing("Wait."):
        pass
    assert shown == ["Wait.", None]


def test_face_that_stopped_watching_hears_no_more(notices):
    shown = []
    stop = notices.watch(lambda: shown.append(notices.latest))
    with notices.showing("Wait."):
        stop()
        stop()
    assert shown == ["Wait."]


def test_face_may_stop_watching_while_it_is_told(notices):
    stops = []
    stops.append(notices.watch(lambda: stops[0]()))
    with notices.showing("Wait."):
        assert notices.latest == "Wait."


def test_many_threads_leave_nothing_shown(notices):
    start = threading.Barrier(16)

    def show(number: int) -> None:
        start.wait(timeout=10)
        for turn in range(100):
            with notices.showing(f"{number} {turn % 3}", topic="all"):
                assert notices.latest is not None

    threads = [threading.Thread(target=show, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert notices.latest is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_child_shows_nothing_and_ends_the_parents_notice_quietly(notices, heard):
    child, status = None, 1
    try:
        with notices.showing("Wait."):
            child = os.fork()
            shown = notices.latest
        # In the child its parent's face must have heard of nothing.
        status = 0 if shown is None and notices.latest is None and heard == ["Wait."] else 2
    finally:
        if child == 0:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert (shown, heard) == ("Wait.", ["Wait.", None])
