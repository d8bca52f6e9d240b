"""Pub/sub: takes events over gRPC."""

import os

from dapr.clients.grpc._response import TopicEventResponse
from dapr.common.pubsub.subscription import SubscriptionMessage
from dapr.ext.grpc import App

app = App()


@app.subscribe(pubsub_name="orderpubsub", topic="orders")
def orders(message: SubscriptionMessage) -> TopicEventResponse:
    print(f"Subscriber received : {message.data()['orderId']}", flush=True)
    return TopicEventResponse("success")


app.run(int(os.environ["APP_PORT"]), "127.0.0.1")
