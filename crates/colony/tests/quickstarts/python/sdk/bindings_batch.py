"""Bindings: at the first tick of a schedule writes all orders into a database."""

import json
import os
import pathlib

from dapr.clients import DaprClient
from dapr.ext.grpc import App, BindingRequest

ORDERS = json.loads(pathlib.Path("../../orders.json").read_text())["orders"]
app = App()
done = []


@app.binding("cron")
def tick(_: BindingRequest):
    if done:
        return
    done.append(True)
    with DaprClient() as client:
        for order in ORDERS:
            sql = (
                "insert into orders (orderid, customer, price) "
                f"values({order['orderid']}, '{order['customer']}', {order['price']})"
            )
            client.invoke_binding("sqldb", "exec", binding_metadata={"sql": sql})
            print(sql, flush=True)
    print("Finished processing batch", flush=True)


app.run(int(os.environ["APP_PORT"]), "127.0.0.1")
