"""Service invocation: sends orders to the processor by its application's id."""

import json
import sys

from web import until_answered

for number in range(1, 11):
    order = {"orderId": number}
    status, _ = until_answered("POST", "/orders", order, dapr_app_id=sys.argv[1])
    assert status == 200, status
    print(f"Order passed: {json.dumps(order)}", flush=True)
