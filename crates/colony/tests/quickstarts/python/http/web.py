"""What the programs without an SDK need of HTTP: to ask their sidecar, and to serve."""

import json
import os
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SIDECAR = f"http://localhost:{os.getenv('DAPR_HTTP_PORT', '3500')}"


def ask(method, path, body=None, **headers):
    """Asks the sidecar: its answer's status and text."""
    data = None if body is None else json.dumps(body).encode()
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(
        SIDECAR + path, data, {"content-type": "application/json", **headers}, method=method
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def until_answered(*args, **headers):
    """The same, again while the one that is called is not there yet."""
    while True:
        status, text = ask(*args, **headers)
        if status < 500:
            return status, text
        time.sleep(0.1)


def serve(answer):
    """Serves for ever. `answer` has method, path and JSON body, and gives what is answered, or None for 404."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            said = answer(self.command, self.path, json.loads(body) if body else None)
            text = b"" if said is None else json.dumps(said).encode()
            self.send_response(404 if said is None else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_DELETE = do_OPTIONS = do_POST

        def log_message(self, *_):
            pass

    ThreadingHTTPServer(("127.0.0.1", int(os.getenv("APP_PORT"))), Handler).serve_forever()
