"""Publishing through Dapr's SDK, read back by a stream. Exits 0 if all is as it should be."""

import json
import threading

import grpc
from dapr.clients import DaprClient
from dapr.clients.grpc._request import BulkPublishEntry

PUBSUB = "messages"


def refused(call, code):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, (error.code(), error.details())
        return
    raise AssertionError(f"not refused with {code}")


with DaprClient() as client:
    # A stream that has nothing to read would wait for ever.
    patience = threading.Timer(60, client.shutdown)
    patience.daemon = True
    patience.start()

    client.publish_event(PUBSUB, "orders", json.dumps({"n": 1}), data_content_type="application/json")
    client.publish_event(
        PUBSUB, "orders", "two", publish_metadata={"cloudevent.id": "2", "cloudevent.type": "order"}
    )
    client.publish_event(PUBSUB, "orders", b"\x00\xff", data_content_type="application/octet-stream")
    answer = client.publish_events(
        PUBSUB,
        "orders",
        [BulkPublishEntry("four", metadata={"partitionKey": "a"}), BulkPublishEntry("five", entry_id="5")],
        data_content_type="text/plain",
    )
    assert not answer.failed_entries, answer.failed_entries

    odd = {"rawPayload": "perhaps"}
    refused(
        lambda: client.publish_event(PUBSUB, "orders", "x", publish_metadata=odd),
        grpc.StatusCode.INVALID_ARGUMENT,
    )
    event = "application/cloudevents+json"
    refused(
        lambda: client.publish_event(PUBSUB, "orders", "[]", data_content_type=event),
        grpc.StatusCode.INVALID_ARGUMENT,
    )

    had = {}
    stream = client.subscribe(PUBSUB, "orders")
    for message in stream:
        had[message.raw_data()] = (message.id(), message.type(), message.source())
        stream.respond_success(message)
        if len(had) == 5:
            break
    stream.close()
    assert set(had) == {b'{"n": 1}', b"two", b"\x00\xff", b"four", b"five"}, had
    assert had[b"two"][:2] == ("2", "order"), had
    assert all(source == "shop" for _, _, source in had.values()), had

    client.shutdown()
