"""Secrets: gets one of a file."""

import json

from web import ask

status, text = ask("GET", "/v1.0/secrets/localsecretstore/secret")
assert status == 200, (status, text)
print(f"Fetched Secret: {json.loads(text)}", flush=True)
