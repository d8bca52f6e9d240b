"""The marketplace's recommendations in Python, on Dapr's published SDK: what is bought together goes together.

What it learns is state: for each product how often another was bought with it. That an order was counted is written down in the
same transaction, so an event that comes twice counts once.
"""

import json
import os
from collections import Counter

import uvicorn
from dapr.clients import DaprClient
from dapr.clients.grpc._request import TransactionalStateOperation
from dapr.ext.fastapi import DaprApp
from fastapi import Body, FastAPI, HTTPException
from grpc import RpcError

STORE = "bought-together"
LOCKS = "locks"
SUGGESTIONS = 4

app = FastAPI()
dapr = DaprApp(app)
client = DaprClient()


@app.get("/healthz")
def healthz():
    return {"status": "ok"}


@dapr.subscribe(pubsub="events", topic="order-paid")
def learn(event: dict = Body()):
    order = event["data"]["order"]
    # One at a time, over all instances: two orders may have the same products.
    with client.try_lock(LOCKS, STORE, order["order_id"], expiry_in_seconds=30) as lock:
        if not lock.success:
            return {"status": "RETRY"}
        count(order["order_id"], {item["product"] for item in order["items"]})
    return {"status": "SUCCESS"}


def count(order: str, products: set[str]):
    mark = f"order {order}"
    found = {row.key: row.data for row in client.get_bulk_state(STORE, [mark, *products]).items}
    if found.get(mark):
        return
    rows = {mark: True}
    for one in products:
        together = Counter(json.loads(found.get(one) or "{}"))
        together.update(products - {one})
        rows[one] = together
    operations = [TransactionalStateOperation(key=key, data=json.dumps(row)) for key, row in rows.items()]
    client.execute_state_transaction(STORE, operations)


@app.get("/{customer}")
def suggest(customer: str, product: str | None = None):
    present = [item["product"] for item in ask("cart", customer)["items"]] + ([product] if product else [])
    scores = Counter()
    if present:
        for row in client.get_bulk_state(STORE, sorted(set(present))).items:
            scores.update(json.loads(row.data) if row.data else {})
    assortment = [one for one in ask("catalog", "products?limit=100")["products"] if one["id"] not in present]
    return sorted(assortment, key=lambda one: -scores[one["id"]])[:SUGGESTIONS]


def ask(service: str, path: str) -> dict:
    """By way of Colony's sidecar, with the policies that the manifest has for this call."""
    try:
        return json.loads(client.invoke_method(service, path, http_verb="GET").data)
    except RpcError as error:
        raise HTTPException(503, f"{service} is unavailable: {error.details()}") from error


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
