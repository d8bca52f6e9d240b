"""Pub/sub: publishes orders."""

import json

from dapr.clients import DaprClient

with DaprClient() as client:
    for number in range(1, 11):
        order = {"orderId": number}
        client.publish_event("orderpubsub", "orders", json.dumps(order), data_content_type="application/json")
        print(f"Published data: {json.dumps(order)}", flush=True)
