"""Pub/sub: says what it subscribes to, and takes events."""

from web import serve


def answer(method, path, body):
    if path == "/dapr/subscribe":
        return [{"pubsubname": "orderpubsub", "topic": "orders", "route": "orders"}]
    if (method, path) == ("POST", "/orders"):
        print(f"Subscriber received : {body['data']['orderId']}", flush=True)
        return {"success": True}


serve(answer)
