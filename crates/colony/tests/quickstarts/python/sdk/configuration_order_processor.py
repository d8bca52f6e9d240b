"""Configuration: gets items, and is told of their changes until it has seen one of each."""

import threading

from dapr.clients import DaprClient

STORE = "configstore"
KEYS = ["orderId1", "orderId2"]
changed = {key: threading.Event() for key in KEYS}


def handler(_, update):
    for key, item in update.items.items():
        print(f"Configuration update {key}: {item.value}", flush=True)
        changed[key].set()


with DaprClient() as client:
    items = client.get_configuration(store_name=STORE, keys=KEYS).items
    for key in KEYS:
        print(f"Configuration for {key}: {items[key].value}", flush=True)
    subscription = client.subscribe_configuration(store_name=STORE, keys=KEYS, handler=handler)
    print("App subscribed to config changes", flush=True)
    for event in changed.values():
        event.wait()
    assert client.unsubscribe_configuration(store_name=STORE, id=subscription)
    print("App unsubscribed from config changes", flush=True)
