"""Locks, configuration and jobs through Dapr's SDK, as a program uses them. Exits 0 if all is as it should be."""

import os
import queue
import time
import urllib.request

from dapr.clients import DaprClient
from dapr.clients.grpc._response import UnlockResponseStatus
from dapr.clients.grpc._jobs import ConstantFailurePolicy, Job
from google.protobuf.any_pb2 import Any as GrpcAny

PATIENCE = 30


def written(items):
    """Configuration is set over HTTP: the SDK only reads it."""
    url = f"http://127.0.0.1:{os.environ['DAPR_HTTP_PORT']}/v1.0/configuration/limits"
    request = urllib.request.Request(url, data=('{"items":' + items + "}").encode(), method="POST")
    assert urllib.request.urlopen(request).status == 200


with DaprClient() as client:
    with client.try_lock("locks", "stock", "ada", expiry_in_seconds=60) as lock:
        assert lock.success
        with client.try_lock("locks", "stock", "bob", expiry_in_seconds=60) as other:
            assert not other
        assert client.unlock("locks", "stock", "bob").status == UnlockResponseStatus.lock_belongs_to_others
    assert client.unlock("locks", "stock", "ada").status == UnlockResponseStatus.lock_does_not_exist

    written('[{"key":"carts","value":"100","version":"v1"},{"key":"orders","value":"20"}]')
    items = client.get_configuration(store_name="limits", keys=["carts"]).items
    assert (items["carts"].value, items["carts"].version) == ("100", "v1")

    told = queue.Queue()
    subscription = client.subscribe_configuration(
        store_name="limits", keys=["carts"], handler=lambda _, response: told.put(response.items)
    )
    deadline = time.monotonic() + PATIENCE
    value = 100
    # The subscription begins when its thread does.
    while True:
        value += 1
        written(f'[{{"key":"carts","value":"{value}"}}]')
        try:
            items = told.get(timeout=0.5)
            if "carts" in items:
                break
        except queue.Empty:
            assert time.monotonic() < deadline
    assert int(items["carts"].value) > 100
    assert client.unsubscribe_configuration(store_name="limits", id=subscription)

    data = GrpcAny(type_url="type.googleapis.com/mine", value=b"x")
    policy = ConstantFailurePolicy(max_retries=2, interval_seconds=5)
    job = Job(name="report", schedule="@daily", repeats=3, data=data, failure_policy=policy)
    client.schedule_job(job)
    told = client.get_job("report")
    assert (told.name, told.schedule, told.repeats, told.data.value) == ("report", "@daily", 3, b"x")
    client.schedule_job(Job(name="report", due_time="1h"), overwrite=True)
    client.delete_job("report")
    try:
        client.get_job("report")
        raise AssertionError("it is gone")
    except Exception as error:
        assert "job not found" in str(error), error

    client.shutdown()
