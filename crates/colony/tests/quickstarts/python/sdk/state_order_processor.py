"""State: saves, gets and deletes orders."""

import json

from dapr.clients import DaprClient

STORE = "statestore"
with DaprClient() as client:
    for number in range(1, 11):
        key, order = f"sdk-{number}", {"orderId": str(number)}
        client.save_state(STORE, key, json.dumps(order))
        print(f"Saving Order: {order}", flush=True)
        data = client.get_state(STORE, key).data
        assert json.loads(data) == order, data
        print(f"Getting Order: {data.decode()}", flush=True)
        client.delete_state(STORE, key)
        assert client.get_state(STORE, key).data == b""
        print(f"Deleted Order: {order}", flush=True)
