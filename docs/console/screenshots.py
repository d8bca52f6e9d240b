"""Takes the pictures of the console that are kept beside this file, from a system that runs.

    colony up examples/marketplace &
    colony load --rate 40 --duration 5m --scenario shopping &
    python3 docs/console/screenshots.py "$(colony console)" [FOLDER]

Needs Debian's chromium and chromium-driver, which it speaks WebDriver with, and nothing else. What the browser's console says of
errors is printed, and fails.
"""

import base64
import json
import pathlib
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request

PAGES = {
    "map": "/map",
    "services": "/services",
    "service": "/services/checkout",
    "traces": "/traces",
    "logs": "/logs",
    "metrics": "/graphs",
    "slos": "/slos",
    "messages": "/messages",
    "state": "/state",
    "policies": "/policies",
    "call": "/policies/" + urllib.parse.quote("checkout -> payments", safe=""),
    "break": "/break",
    "manifest": "/manifest",
}
LOOKS = {"": ("light", 1280, 860), "-dark": ("dark", 1280, 860), "-phone": ("light", 390, 844)}
# Where the project lies is nobody's matter.
ROOT = str(pathlib.Path(__file__).resolve().parents[2])
SHORTEN = """const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll(arguments[0], '~/colony');"""
# Until rates are there.
SETTLE_SECONDS = 4


class Driver:
    def __init__(self, scheme):
        self.process = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if found := re.search(r"successfully on port (\d+)", line):
                self.base = f"http://127.0.0.1:{found[1]}"
                break
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        if scheme == "dark":
            arguments.append("--force-dark-mode")
        options = {"args": arguments, "prefs": {}}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.session = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def ask(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.base + path, data, {"content-type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def do(self, method, path, body=None):
        return self.ask(method, f"/session/{self.session}{path}", body)

    def command(self, name, parameters):
        return self.do("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def end(self):
        self.do("DELETE", "")
        self.process.terminate()
        self.process.wait()


def traces(link):
    """Pages of traces: of the last purchases that with the most failures, and beside it one without."""
    origin, token = link.split("/?token=")
    url = origin + "/api/traces?" + urllib.parse.urlencode({"name": "/api/checkout", "since": "10m", "limit": 200})
    request = urllib.request.Request(url, headers={"authorization": "Bearer " + token})
    with urllib.request.urlopen(request, timeout=60) as answer:
        found = json.load(answer)["traces"]
    if not found:
        return {}
    worst = max(found, key=lambda one: (one["error_count"], one["span_count"]))["trace_id"]
    best = min(found, key=lambda one: (one["error_count"], one["first_duration_ns"]))["trace_id"]
    return {"trace": f"/traces/{worst}", "compare": f"/traces/{best}?with={worst}"}


def main(link, folder):
    origin = link.split("/?")[0]
    pages = PAGES | traces(link)
    wrong = []
    for look, (scheme, width, height) in LOOKS.items():
        driver = Driver(scheme)
        try:
            size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 720}
            driver.command("Emulation.setDeviceMetricsOverride", size)
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            driver.command("Emulation.setEmulatedMedia", {"features": features})
            driver.do("POST", "/url", {"url": link})
            for name, path in pages.items():
                driver.do("POST", "/url", {"url": origin + path})
                time.sleep(SETTLE_SECONDS)
                driver.do("POST", "/execute/sync", {"script": SHORTEN, "args": [ROOT]})
                picture = base64.b64decode(driver.do("GET", "/screenshot"))
                (folder / f"{name}{look}.png").write_bytes(picture)
                said = driver.do("POST", "/se/log", {"type": "browser"})
                wrong += [f"{name}{look}: {one['message']}" for one in said if one["level"] == "SEVERE"]
        finally:
            driver.end()
    print("\n".join(wrong) or "no errors")
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else pathlib.Path(__file__).parent)))
