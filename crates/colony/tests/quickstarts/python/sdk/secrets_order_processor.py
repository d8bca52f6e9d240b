"""Secrets: gets one of a file."""

from dapr.clients import DaprClient

with DaprClient() as client:
    secret = client.get_secret("localsecretstore", "secret").secret
    print(f"Fetched Secret: {secret}", flush=True)
