"""Subscribing through Dapr's SDK: an application that speaks gRPC, and streams. Exits 0 if all is as it should be."""

import json
import os
import queue
import threading

from dapr.clients import DaprClient
from dapr.clients.grpc._response import TopicEventResponse
from dapr.common.pubsub.subscription import SubscriptionMessage
from dapr.ext.grpc import App, Rule

PUBSUB = "pubsub"
PATIENCE = 30

app = App()
had = queue.Queue()
attempts = {}


# Without this the SDK names no default route beside a rule, and what no rule holds for goes nowhere.
@app.subscribe(pubsub_name=PUBSUB, topic="orders", dead_letter_topic="dead", disable_topic_validation=True)
def orders(message: SubscriptionMessage):
    had.put(("orders", message.data()))
    if message.data() == {"n": 2}:
        return TopicEventResponse("drop")
    return TopicEventResponse("success")


@app.subscribe(pubsub_name=PUBSUB, topic="orders", rule=Rule('event.type == "large"', 1))
def large(message: SubscriptionMessage):
    had.put(("large", message.data()))


@app.subscribe(pubsub_name=PUBSUB, topic="dead")
def dead(message: SubscriptionMessage):
    had.put(("dead", message.data()))


@app.subscribe(pubsub_name=PUBSUB, topic="flaky")
def flaky(message: SubscriptionMessage):
    count = attempts["flaky"] = attempts.get("flaky", 0) + 1
    had.put(("flaky", count))
    return TopicEventResponse("retry" if count == 1 else "success")


serving = threading.Thread(target=app.run, args=(int(os.environ["APP_PORT"]), "127.0.0.1"), daemon=True)
serving.start()


def publish(client, topic, data, **metadata):
    client.publish_event(
        PUBSUB, topic, json.dumps(data), data_content_type="application/json", publish_metadata=metadata
    )


def expect(*expected):
    found = [had.get(timeout=PATIENCE) for _ in expected]
    assert sorted(map(str, found)) == sorted(map(str, expected)), (found, expected)


with DaprClient() as client:
    publish(client, "orders", {"n": 1})
    expect(("orders", {"n": 1}))
    publish(client, "orders", {"n": 2})
    expect(("orders", {"n": 2}), ("dead", {"n": 2}))
    publish(client, "orders", {"n": 3}, **{"cloudevent.type": "large"})
    expect(("large", {"n": 3}))
    publish(client, "flaky", {})
    expect(("flaky", 1), ("flaky", 2))

    stream = client.subscribe(PUBSUB, "streamed", dead_letter_topic="dead")
    publish(client, "streamed", {"n": 4})
    message = stream.next_message()
    assert message.data() == {"n": 4} and message.topic() == "streamed", message
    stream.respond_success(message)
    publish(client, "streamed", {"n": 5})
    stream.respond_drop(stream.next_message())
    expect(("dead", {"n": 5}))
    told = client.get_metadata()
    assert told.application_id == "shop"
    stream.close()

    handled = queue.Queue()

    def handler(message):
        handled.put(message.data())
        return TopicEventResponse("success")

    close = client.subscribe_with_handler(PUBSUB, "handled", handler)
    for n in range(20):
        publish(client, "handled", {"n": n})
    numbers = sorted(handled.get(timeout=PATIENCE)["n"] for _ in range(20))
    assert numbers == list(range(20)), numbers
    close()

    assert had.empty(), had.get()
    client.shutdown()
