"""Service invocation: takes orders over gRPC."""

import os

from dapr.ext.grpc import App, InvokeMethodRequest, InvokeMethodResponse

app = App()


@app.method(name="orders")
def orders(request: InvokeMethodRequest) -> InvokeMethodResponse:
    print(f"Order received : {request.text()}", flush=True)
    return InvokeMethodResponse(b'{"success": true}', "application/json")


app.run(int(os.environ["APP_PORT"]), "127.0.0.1")
