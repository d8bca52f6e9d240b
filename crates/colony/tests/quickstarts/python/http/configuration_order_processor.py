"""Configuration: gets items, and is told of their changes until it has seen one of each."""

import json
import os
import threading

from web import ask, serve

STORE = "/v1.0/configuration/configstore"
KEYS = ["orderId1", "orderId2"]
changed = {key: threading.Event() for key in KEYS}


def answer(method, path, update):
    if method == "POST" and path.startswith("/configuration/configstore/"):
        print(f"Configuration update {json.dumps(update['items'])}", flush=True)
        for key in update["items"]:
            changed[key].set()
        return {}


threading.Thread(target=serve, args=(answer,), daemon=True).start()
for key in KEYS:
    status, text = ask("GET", f"{STORE}?key={key}")
    assert status == 200, (status, text)
    print(f"Configuration for {key}: {text}", flush=True)
status, text = ask("GET", f"{STORE}/subscribe?key={KEYS[0]}&key={KEYS[1]}")
assert status == 200, (status, text)
print("App subscribed to config changes", flush=True)
for event in changed.values():
    event.wait()
status, text = ask("GET", f"{STORE}/{json.loads(text)['id']}/unsubscribe")
assert (status, json.loads(text)) == (200, {"ok": True}), (status, text)
print("App unsubscribed from config changes", flush=True)
# What it still answers is answered before it ends.
os._exit(0)
