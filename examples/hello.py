"""Counts the apples of all orders: started by `colony run`, and asked by its sidecar. Nothing but Python's own library."""

import json
import os
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SIDECAR = f"http://127.0.0.1:{os.environ['DAPR_HTTP_PORT']}/v1.0"


class App(BaseHTTPRequestHandler):
    def do_GET(self):
        """What it subscribes to."""
        is_known = self.path == "/dapr/subscribe"
        topics = [{"pubsubname": "messages", "topic": "orders", "route": "/orders"}]
        self.answer(200 if is_known else 404, topics if is_known else {})

    def do_POST(self):
        """An event. It comes until it is answered with 200."""
        event = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with urllib.request.urlopen(f"{SIDECAR}/state/counts/apples") as had:
            apples = json.loads(had.read() or "0")
        items = [{"key": "apples", "value": apples + event["data"]["apples"]}]
        request = urllib.request.Request(f"{SIDECAR}/state/counts", json.dumps(items).encode(), method="POST")
        urllib.request.urlopen(request).close()
        self.answer(200, {})

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


ThreadingHTTPServer(("127.0.0.1", int(os.environ["APP_PORT"])), App).serve_forever()
