"""State: saves, gets and deletes orders."""

import json

from web import ask

STORE = "/v1.0/state/statestore"
for number in range(1, 11):
    order = {"orderId": str(number)}
    status, text = ask("POST", STORE, [{"key": f"http-{number}", "value": order}])
    assert status == 204, (status, text)
    print(f"Saving Order: {order}", flush=True)
    status, text = ask("GET", f"{STORE}/http-{number}")
    assert (status, json.loads(text)) == (200, order), (status, text)
    print(f"Getting Order: {text}", flush=True)
    status, text = ask("DELETE", f"{STORE}/http-{number}")
    assert status == 204, (status, text)
    assert ask("GET", f"{STORE}/http-{number}") == (204, "")
    print(f"Deleted Order: {order}", flush=True)
