"""A sign-in that a cluster shares: who can call, whose refresh it is, and when it ends."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import time
from collections import Counter

import pytest
from distributed import Client, LocalCluster

import ic_notebook as ic
from ic_notebook.cluster import share
from ic_notebook.cluster.sharing import Shared
from ic_notebook.errors import ConfigurationError, ServiceUnavailable, SignInRequired
from ic_notebook.sessions.session import Session
from tests.cluster.clusters import call, name, person, running, until
from tests.sessions.people import CREDITS, seen, signed_in


def everywhere(client: Client, task=call, count: int = 8, **options):
    """What a task came to, run often enough that every worker has some of it."""
    return client.gather(client.map(task, range(count), pure=False, **options))


def tokens_of(session: Session) -> tuple[str, str]:
    tokens = session._source.current()
    return tokens.access_token, tokens.refresh_token


def test_tasks_on_every_worker_call_as_the_notebook_does(sandbox, client, shares):
    def who(_):
        return os.getpid(), ic.client().get(CREDITS).json()["credits_available"], repr(ic.status())

    person(sandbox)
    shares(client)
    answers = everywhere(client, who, 32)
    assert len({pid for pid, _, _ in answers} - {os.getpid()}) == 2
    assert {left for _, left, _ in answers} == {627.13}
    status = answers[0][2]
    assert status.startswith(f"Connected to {sandbox.url}\n  kept           with the notebook that shares it")
    assert "ic_notebook on a test" in status


def test_an_async_task_calls_too_and_the_apps_are_listed_with_our_own(sandbox, client, shares):
    async def task():
        async with ic.async_client() as http:
            return (await http.get(CREDITS)).status_code

    person(sandbox)
    shares(client)
    assert client.submit(task).result(timeout=20) == 200
    own = client.submit(lambda: ic.apps().own.name, pure=False).result(timeout=20)
    assert own == "ic_notebook on a test"


def test_sixty_four_tasks_that_hit_an_ended_token_make_one_refresh_and_none_fails(sandbox, client, shares):
    person(sandbox)
    shares(client, rate_limit=None)
    assert set(everywhere(client)) == {200}
    sandbox.store.end_access_tokens()
    before = len(sandbox.store.refreshes())
    assert Counter(everywhere(client, count=64)) == {200: 64}
    assert len(sandbox.store.refreshes()) - before == 1


def test_what_the_notebook_has_pickled_works_on_a_worker_as_there(sandbox, client, shares):
    session = person(sandbox)
    shares(client)

    def use(session, http, auth):
        import httpx

        mine = ic.session()
        answers = http.get(CREDITS), httpx.get(session.base_url + CREDITS, auth=auth)
        return session is mine, http is mine.client(), [answer.status_code for answer in answers]

    task = client.submit(use, session, session.client(), session.auth, pure=False)
    assert task.result(timeout=20) == (True, True, [200, 200])
    back = client.submit(lambda: ic.session(), pure=False).result(timeout=20)
    assert back is session


def test_no_refresh_token_reaches_a_worker_and_no_secret_a_pickled_plugin(sandbox, client, shares):
    access_token, refresh_token = tokens_of(person(sandbox))
    shares(client)
    everywhere(client)

    def kept():
        tokens = ic.session()._source.current()
        return tokens.access_token, tokens.refresh_token, repr(vars(ic.session()._source))

    theirs, none, shown = client.submit(kept, pure=False).result(timeout=20)
    assert (theirs, none) == (access_token, None)
    assert access_token not in shown
    scheduler = client.cluster.scheduler
    plugins = [
        *scheduler.worker_plugins.values(),
        pickle.dumps({k: repr(v) for k, v in scheduler.plugins.items()}),
    ]
    assert not [token for token in (access_token, refresh_token) if token.encode() in b"".join(plugins)]


def test_a_worker_neither_disconnects_nor_forgets_what_is_the_notebooks(sandbox, client, shares):
    session = person(sandbox)
    shares(client)
    for end in ("disconnect", "forget"):
        failure = client.submit(lambda end: getattr(ic, end)(), end, pure=False).exception(timeout=20)
        assert name(failure).startswith("ConfigurationError: This sign-in is the notebook's")
    assert session.credits() == 627.13


def held() -> bool:
    """On a worker: whether it holds a token."""
    from ic_notebook.cluster.worker import _sessions

    return any(session.source._tokens.access_token for session in _sessions.values())


@pytest.mark.parametrize("end", ["disconnect", "forget", "close"])
def test_the_end_in_the_notebook_is_the_workers_within_a_second(sandbox, client, shares, end):
    session = person(sandbox)
    shared = shares(client)
    everywhere(client)
    assert all(client.run(held).values())
    began = time.monotonic()
    getattr(shared if end == "close" else session, end)()
    until(lambda: not any(client.run(held).values()), within=1.0)
    assert time.monotonic() - began < 1.0
    failure = client.submit(call, pure=False).exception(timeout=20)
    assert name(failure).startswith("SignInRequired: ")
    assert "call ic_notebook.cluster.share(client) again" in str(failure)
    assert repr(shared).endswith("closed>" if end == "close" else "the sign-in has ended>")


def test_an_end_at_the_service_ends_the_workers_access_and_says_why(sandbox, client, shares):
    session = person(sandbox)
    shares(client)
    everywhere(client)
    sandbox.store.end_access_tokens()
    sandbox.store.end_refresh_tokens()
    failures = [future.exception(timeout=20) for future in client.map(call, range(4), pure=False)]
    assert {type(failure) for failure in failures} == {SignInRequired}
    assert "This sign-in has ended." in str(failures[0])
    assert session.state.value == "ended"


def test_after_connecting_again_it_is_shared_again(sandbox, client, shares):
    session = person(sandbox)
    shares(client)
    everywhere(client)
    session.forget()
    person(sandbox)
    shares(client)
    assert set(everywhere(client)) == {200}


def test_sharing_twice_replaces_and_a_tasks_old_client_goes_on(sandbox, client, shares):
    def keep(_):
        import builtins

        builtins.kept = ic.client()
        return builtins.kept.get(CREDITS).status_code

    def again(_):
        import builtins

        return builtins.kept.get(CREDITS).status_code

    person(sandbox)
    first = shares(client)
    assert set(everywhere(client, keep)) == {200}
    second = shares(client, rate_limit=100)
    assert (repr(first).endswith("closed>"), "100 calls a minute" in repr(second)) == (True, True)
    assert set(everywhere(client, again)) == {200}
    assert len([op for op in client.cluster.scheduler.handlers if op.startswith("ic-notebook")]) == 4


def test_profiles_stand_side_by_side(sandbox, client, shares):
    from ic_notebook.sessions.current import current

    one = signed_in(sandbox)
    one.profile = "agency-a"
    current.add(one)
    person(sandbox)
    shares(client, profile="agency-a")
    shares(client)

    def tokens():
        return [ic.session(profile=profile).access_token() for profile in ("agency-a", "default", None)]

    theirs = client.submit(tokens, pure=False).result(timeout=20)
    ours = [session.access_token() for session in (one, ic.session(profile="default"), ic.session())]
    assert theirs == ours


def test_another_programs_sharing_is_respected_until_it_is_gone(sandbox, client, shares):
    person(sandbox)
    with Client(client.cluster.scheduler_address, set_as_default=False) as other:
        theirs = share(other)
        with pytest.raises(ConfigurationError, match="Another program shares a sign-in on this cluster"):
            share(client)
        assert client.submit(call, pure=False).result(timeout=20) == 200
    began = time.monotonic()
    failure = client.submit(call, pure=False).exception(timeout=20)
    assert time.monotonic() - began < 2
    assert type(failure) is ServiceUnavailable
    assert "is gone, or has lost the scheduler" in str(failure)
    assert isinstance(theirs, Shared)
    shares(client)
    assert set(everywhere(client)) == {200}
    assert len([op for op in client.cluster.scheduler.handlers if op.startswith("ic-notebook")]) == 4


def test_a_notebook_that_loses_the_scheduler_for_a_moment_goes_on_sharing(sandbox, client, shares):
    person(sandbox)
    with Client(client.cluster.scheduler_address, set_as_default=False) as own:
        shares(own)
        assert own.submit(call, pure=False).result(timeout=20) == 200
        comm = own.scheduler_comm
        own.loop.add_callback(comm.abort)
        until(lambda: own.scheduler_comm not in {None, comm} and own.status == "running")
        until(lambda: not any(client.run(held).values()))
        assert own.submit(call, pure=False).result(timeout=20) == 200


def test_a_task_that_forks_uses_the_token_to_its_end_and_is_then_refused(sandbox, client, shares):
    def forked():
        reading, writing = os.pipe()
        ic.client().get(CREDITS)
        if not (child := os.fork()):
            with contextlib.suppress(BaseException):
                http = ic.client()
                first = http.get(CREDITS).status_code
                ic.session()._source.drop()
                os.write(writing, f"{first} {failure_of(http)}".encode())
            os._exit(0)
        os.waitpid(child, 0)
        return os.read(reading, 1000).decode()

    person(sandbox)
    shares(client, rate_limit=None)
    said = client.submit(forked, pure=False).result(timeout=30)
    assert said.startswith("200 ServiceUnavailable: The notebook's sign-in is not shared with this")


def failure_of(http) -> str:
    try:
        return str(http.get(CREDITS).status_code)
    except Exception as failure:
        return name(failure)


def test_a_token_in_the_environment_is_shared_as_well(sandbox, client, shares, monkeypatch):
    monkeypatch.setenv("IC_BASE_URL", sandbox.url)
    monkeypatch.setenv("IC_ACCESS_TOKEN", sandbox.store.issue_token())
    shares(client)
    assert set(everywhere(client)) == {200}
    sandbox.store.end_access_tokens()
    failure = client.submit(call, pure=False).exception(timeout=20)
    assert name(failure).startswith("SignInRequired: The service refused the token in IC_ACCESS_TOKEN")


@pytest.mark.timeout(150)
def test_workers_that_come_late_and_those_that_are_started_anew_call_too(sandbox, client, shares):
    person(sandbox)
    shares(client)
    before = set(client.run(os.getpid))
    client.cluster.scale(3)
    client.wait_for_workers(3, timeout=60)
    late = set(client.run(os.getpid)) - before
    assert client.submit(call, workers=[*late], pure=False).result(timeout=20) == 200
    client.cluster.scale(2)
    # One that is going can close its connection in the middle of the question.
    until(lambda: len(client.run(os.getpid, on_error="ignore")) == 2, within=30)
    client.restart(timeout=90)
    assert set(everywhere(client)) == {200}


def test_in_a_cluster_of_threads_tasks_use_the_notebooks_own_session(sandbox, shares, caplog):
    session = person(sandbox)
    options = {
        "n_workers": 1,
        "threads_per_worker": 2,
        "dashboard_address": "127.0.0.1:0",
        "silence_logs": False,
    }
    with LocalCluster(processes=False, **options) as cluster, Client(cluster) as client:
        shares(client, rate_limit=100)
        assert client.submit(lambda: ic.session() is session, pure=False).result(timeout=20)
        assert client.submit(call, pure=False).result(timeout=20) == 200
        assert session.turns.limiter.left == 99
    assert "TLS" not in caplog.text


@pytest.mark.anyio
async def test_an_asynchronous_client_awaits_it(sandbox, client, anyio_backend):
    person(sandbox)
    async with Client(client.cluster.scheduler_address, asynchronous=True, set_as_default=False) as own:
        shared = await share(own)
        assert await own.submit(call, pure=False) == 200
        assert "300 calls a minute, 29" in repr(shared)
        await shared.close()
        assert repr(shared).endswith("closed>")
        with pytest.raises(SignInRequired):
            await own.submit(call, pure=False)


def test_a_client_whose_scheduler_is_gone_is_told_so(sandbox, tmp_path):
    person(sandbox)
    with running(tmp_path, workers=0) as client:
        client.cluster.close()
        until(lambda: client.scheduler is None)
        with pytest.raises(ServiceUnavailable, match="connected to no scheduler"):
            share(client)


def test_what_cannot_be_shared_is_refused(sandbox, client, monkeypatch):
    with pytest.raises(SignInRequired):
        share(client)
    person(sandbox)
    for limit in (0, -1, 2.5, "300"):
        with pytest.raises(ConfigurationError, match="rate_limit is a whole number"):
            share(client, rate_limit=limit)
    with pytest.raises(ConfigurationError, match=r"takes a distributed\.Client"):
        share("tcp://127.0.0.1:8786")
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(ConfigurationError, match=r'pip install "ic-notebook\[dask\]"'):
        share(client)
    assert seen(sandbox) == []


def test_a_cluster_without_tls_beyond_this_computer_is_warned_of(sandbox, client, caplog, monkeypatch):
    person(sandbox)
    with share(client):
        assert "TLS" not in caplog.text
    monkeypatch.setattr("ic_notebook.cluster.sharing.is_loopback", lambda host: False)
    with share(client):
        (record,) = [record for record in caplog.records if "TLS" in record.message]
    assert record.levelno == logging.WARNING
    assert f"in clear to {client.scheduler.address}: this cluster has no TLS" in record.message
