"""Pub/sub: publishes orders."""

import json

from web import ask

for number in range(1, 11):
    order = {"orderId": number}
    status, text = ask("POST", "/v1.0/publish/orderpubsub/orders", order)
    assert status == 204, (status, text)
    print(f"Published data: {json.dumps(order)}", flush=True)
