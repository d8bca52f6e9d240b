"""Pub/sub: takes events over HTTP, by FastAPI."""

import os

import uvicorn
from dapr.ext.fastapi import DaprApp
from fastapi import Body, FastAPI

app = FastAPI()
dapr_app = DaprApp(app)


@dapr_app.subscribe(pubsub="orderpubsub", topic="orders")
async def orders(event=Body()):
    print(f"Subscriber received : {event['data']['orderId']}", flush=True)
    return {"success": True}


uvicorn.run(app, host="127.0.0.1", port=int(os.environ["APP_PORT"]), log_level="warning")
