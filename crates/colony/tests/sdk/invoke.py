"""Calls through Dapr's SDK and through grpcio, from one application to others that this program is as well."""

import os
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from dapr.clients import DaprClient


class Orders(BaseHTTPRequestHandler):
    """Says what it was asked."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        status = 418 if self.path.startswith("/fail") else 200
        said = f"{self.command} {self.path} {self.headers['x-own']} ".encode() + body
        self.send_response(status)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_PUT = do_POST

    def log_message(self, *_):
        pass


def echo(requests, context):
    """All four kinds of calls at once: every message comes back, with what it was called with."""
    for request in requests:
        if request == b"fail":
            context.set_trailing_metadata((("x-trailer", "last"),))
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now")
        caller = dict(context.invocation_metadata())["dapr-caller-app-id"]
        yield caller.encode() + b": " + request


class Streams(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.stream_stream_rpc_method_handler(echo) if details.method == "/shop.Talk/Echo" else None


http = ThreadingHTTPServer(("127.0.0.1", int(os.environ["HTTP_APP_PORT"])), Orders)
threading.Thread(target=http.serve_forever, daemon=True).start()
server = grpc.server(futures.ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((Streams(),))
server.add_insecure_port(f"127.0.0.1:{os.environ['GRPC_APP_PORT']}")
server.start()

with DaprClient() as client:
    answer = client.invoke_method(
        "orders", "place", data=b"3 apples", http_verb="POST", metadata=(("x-own", "1"),), http_querystring=(("fast", "1"),)
    )
    assert answer.text() == "POST /place?fast=1 1 3 apples", answer.text()
    assert answer.content_type == "text/plain", answer.content_type
    try:
        client.invoke_method("orders", "fail", http_verb="GET")
        raise AssertionError("not refused")
    except Exception as error:
        assert "418" in repr(error) or "418" in str(getattr(error, "as_dict", lambda: "")()), repr(error)

with grpc.insecure_channel(f"127.0.0.1:{os.environ['DAPR_GRPC_PORT']}") as channel:
    talk = channel.stream_stream("/shop.Talk/Echo")
    said = (("dapr-app-id", "talk"),)
    heard = [answer for answer in talk(iter([b"one", b"two"]), metadata=said)]
    assert heard == [b"shop: one", b"shop: two"], heard
    unary = channel.unary_unary("/shop.Talk/Echo")
    assert unary(b"alone", metadata=said) == b"shop: alone"
    try:
        unary(b"fail", metadata=said)
        raise AssertionError("not refused")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.FAILED_PRECONDITION and error.details() == "not now", error
        assert dict(error.trailing_metadata())["x-trailer"] == "last"
    try:
        unary(b"x", metadata=(("dapr-app-id", "nobody"),))
        raise AssertionError("not refused")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNKNOWN and "no host found" in error.details(), error

server.stop(None)
http.shutdown()
