"""Service invocation: sends orders to the processor, over HTTP and over gRPC."""

import json
import sys
import time

from dapr.clients import DaprClient
from dapr.conf import settings


def placed(client, order):
    """The answer, as soon as the processor is there."""
    while True:
        try:
            return client.invoke_method(sys.argv[1], "orders", data=json.dumps(order), http_verb="POST")
        except Exception as error:
            print(f"not yet: {error}", flush=True)
            time.sleep(0.1)


for protocol in ["http", "grpc"]:
    settings.DAPR_API_METHOD_INVOCATION_PROTOCOL = protocol
    with DaprClient() as client:
        for number in range(1, 6):
            order = {"orderId": number, "over": protocol}
            answer = placed(client, order)
            assert json.loads(answer.data) == {"success": True}, answer.data
            print(f"Order passed: {json.dumps(order)}", flush=True)
