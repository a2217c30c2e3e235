"""What of distributed is leaned on without being documented: this fails first where a release changes it."""

from __future__ import annotations

import inspect
from importlib.metadata import requires

import pytest
from distributed import Client, Scheduler, Worker
from distributed.protocol.serialize import Serialized, to_serialize
from packaging.requirements import Requirement


def test_the_extra_bounds_the_version_on_both_sides():
    extras = [
        Requirement(line) for line in requires("ic-notebook") if "extra == 'dask'" in line.replace('"', "'")
    ]
    (bound,) = [requirement.specifier for requirement in extras if requirement.name == "distributed"]
    assert {clause.operator for clause in bound} == {">=", "<"}


@pytest.mark.parametrize(
    ("owner", "method", "parameters"),
    [
        (Scheduler, "client_send", ["client", "msg"]),
        (Scheduler, "broadcast", ["msg", "on_error"]),
        (Scheduler, "unregister_worker_plugin", ["comm", "name"]),
        (Scheduler, "remove_plugin", ["name"]),
        (Client, "subscribe_topic", ["topic", "handler"]),
        (Client, "run_on_scheduler", ["function"]),
        (Client, "register_plugin", ["plugin", "name"]),
    ],
)
def test_the_methods_are_there(owner, method, parameters):
    assert set(parameters) <= set(inspect.signature(getattr(owner, method)).parameters)


def test_a_scheduler_and_a_worker_have_handlers_and_a_client_hears_events(client):
    scheduler = client.cluster.scheduler
    assert {"broadcast", "register-client"} <= scheduler.handlers.keys()
    assert client.id in scheduler.clients
    assert client.id in scheduler.client_comms
    assert isinstance(scheduler.worker_plugins, dict)
    assert "event" in client._stream_handlers
    assert all(client.run(lambda dask_worker: "plugin-add" in dask_worker.handlers).values())
    assert hasattr(Worker, "scheduler") or all(
        client.run(lambda dask_worker: hasattr(dask_worker, "scheduler")).values()
    )


def test_what_is_packed_shows_itself_to_nobody_on_the_way():
    assert "secret" not in repr(Serialized({"serializer": "dask"}, [b"secret"]))
    assert to_serialize(b"x").data == b"x"
