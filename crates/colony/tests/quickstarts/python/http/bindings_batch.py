"""Bindings: at the first tick of a schedule writes all orders into a database."""

import json
import pathlib

from web import ask, serve

ORDERS = json.loads(pathlib.Path("../../orders.json").read_text())["orders"]
done = []


def answer(method, path, _):
    if path != "/cron":
        return None
    if method == "POST" and not done:
        done.append(True)
        for order in ORDERS:
            insert(order)
        print("Finished processing batch", flush=True)
    return {"success": True}


def insert(order):
    sql = (
        "insert into orders (orderid, customer, price) "
        f"values({order['orderid']}, '{order['customer']}', {order['price']})"
    )
    status, text = ask("POST", "/v1.0/bindings/sqldb", {"operation": "exec", "metadata": {"sql": sql}})
    assert status in (200, 204), (status, text)
    print(sql, flush=True)


serve(answer)
