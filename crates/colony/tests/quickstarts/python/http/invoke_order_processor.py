"""Service invocation: takes orders."""

import json

from web import serve


def answer(method, path, order):
    if (method, path) == ("POST", "/orders"):
        print(f"Order received : {json.dumps(order)}", flush=True)
        return {"success": True}


serve(answer)
