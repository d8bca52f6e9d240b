"""What the console costs: how soon a page shows something, how long lists scroll, and what the node spends on who looks.

    cargo build --release -p colony -p marketplace
    python3 bench/console.py --out bench/results

Starts the marketplace in a folder of its own, with customers, and a headless Chromium (Debian's chromium and chromium-driver), and ends
both. Written for reading, not for a verdict: nothing fails. `--seconds` is for how long the node's time is taken for each page.
"""

import argparse
import datetime
import itertools
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
SERVICES = ["storefront", "catalog", "cart", "checkout", "payments", "delivery", "notifications", "recommendations"]
LOADS = 9
# The console's files are kept by browsers: who comes for the first time has none of them, who comes again has all.
CACHES = {"first": True, "again": False}
LINES = 10_000
SPANS = 1_000
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
# Pages where nothing lives are of no interest for the node's time.
STILL = {"manifest"}

TALK = """
import os, time
while not os.path.exists("talk"):
    time.sleep(0.05)
for line in range(12000):
    print(f"order {line} is packed, and goes by cart number {line % 7} to where it is wanted", flush=line % 50 == 0)
    # No faster than a page is that follows.
    if line % 50 == 0:
        time.sleep(0.02)
time.sleep(1000)
"""

# Scrolls an element from its beginning to its end and back, a part a frame, and tells of each frame how long it took.
SCROLL = """
const done = arguments[arguments.length - 1];
const box = arguments[0] ? document.querySelector(arguments[0]) : document.scrollingElement;
if (!box) return done(null);
const frames = [];
let [at, last, step] = [0, performance.now(), 0];
const room = () => box.scrollHeight - box.clientHeight;
box.scrollTop = 0;
const next = (now) => {
  frames.push(now - last);
  last = now;
  step += 1;
  if (step > 240) return done({ frames: frames.slice(2), height: box.scrollHeight, rows: document.querySelectorAll('main *').length });
  at = step <= 120 ? step / 120 : (240 - step) / 120;
  box.scrollTop = at * room();
  requestAnimationFrame(next);
};
requestAnimationFrame(next);
"""

PAINT = """
const done = arguments[arguments.length - 1];
let largest = 0;
new PerformanceObserver((list) => { for (const { startTime } of list.getEntries()) largest = startTime; }).observe({ type: 'largest-contentful-paint', buffered: true });
const told = () => {
  const paint = performance.getEntriesByName('first-contentful-paint')[0];
  const heading = document.querySelector('main h1');
  if (!paint || !heading) return setTimeout(told, 10);
  const [load] = performance.getEntriesByType('navigation');
  const files = performance.getEntriesByType('resource').filter(({ name, startTime }) => name.includes('/assets/') && startTime <= paint.startTime);
  done({ paint: paint.startTime, largest, first_byte: load.responseStart, files: files.length });
};
// What is asked of the node when the page is there comes a moment later.
setTimeout(told, 400);
"""


def threads_spent(process):
    total = 0
    for thread in (process / "task").iterdir():
        try:
            total += int((thread / "schedstat").read_text().split()[0])
        except OSError:
            continue
    return total


class Browser:
    """A Chromium by way of chromedriver."""

    def __init__(self, folder):
        self.process = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True, start_new_session=True)
        for line in self.process.stdout:
            if found := re.search(r"successfully on port (\d+)", line):
                self.base = f"http://127.0.0.1:{found[1]}"
                break
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
                 "--disable-component-update", "--disable-sync", "--no-first-run", "--window-size=1280,900", f"--user-data-dir={folder}/chromium"]
        wanted = {"browserName": "chrome", "goog:chromeOptions": {"args": flags}, "timeouts": {"script": 60000}}
        self.session = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.version = self.session["capabilities"]["browserVersion"]
        self.session = self.session["sessionId"]

    def ask(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.base + path, data, {"content-type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=90) as answer:
            return json.load(answer)["value"]

    def open(self, url):
        self.ask("POST", f"/session/{self.session}/url", {"url": url})

    def run(self, script, *arguments, later=False):
        kind = "async" if later else "sync"
        return self.ask("POST", f"/session/{self.session}/execute/{kind}", {"script": script, "args": list(arguments)})

    def command(self, name, **parameters):
        self.ask("POST", f"/session/{self.session}/goog/cdp/execute", {"cmd": name, "params": parameters})

    def until(self, script, seconds=60):
        end = time.time() + seconds
        while time.time() < end:
            if found := self.run(script):
                return found
            time.sleep(0.1)
        raise TimeoutError(script)

    def spent(self):
        """Nanoseconds of processor time of all processes of the browser: those of the driver's session."""
        total = 0
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                session = int((process / "stat").read_text().rpartition(")")[2].split()[3])
                if session == self.process.pid and int(process.name) != self.process.pid:
                    total += threads_spent(process)
            except OSError:
                continue
        return total

    def end(self):
        try:
            self.ask("DELETE", f"/session/{self.session}")
        finally:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Shop:
    """The marketplace with a console, and one more service that talks when it is told to."""

    def __init__(self, folder, colony):
        source = ROOT / "examples/marketplace"
        shutil.copytree(source / "resources", folder / "resources")
        for name in ["colony.yaml", "shopping.yaml"]:
            shutil.copy(source / name, folder)
        (folder / "talk.py").write_text(TALK)
        program = colony.parent / "marketplace"
        runs = "".join(f"  {name}: {{ build: ~, run: {program} {name} }}\n" for name in SERVICES)
        more = "  talker: { run: python3 talk.py, ready: none, api: false }\ntelemetry: { otlp: { grpc: 127.0.0.1:0, http: 127.0.0.1:0 } }\n"
        (folder / "bench.yaml").write_text(f"gateway: {{ listen: 127.0.0.1:0 }}\nservices:\n{runs}{more}")
        self.folder, self.colony = folder, colony
        words = [colony, "up", "--json", "--overlay", "bench.yaml", "--console", "127.0.0.1:0"]
        self.process = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "up":
                self.link = event["console"]
            if event["event"] == "all-ready":
                break
        # Nobody reads what comes further; it must not fill the pipe.
        subprocess.Popen(["cat"], stdin=self.process.stdout, stdout=subprocess.DEVNULL)
        self.origin, self.token = self.link.split("/?token=")

    def get(self, path):
        request = urllib.request.Request(self.origin + path, headers={"authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def customers(self, rate, seconds):
        words = [self.colony, "load", "--json", "--scenario", "shopping", "--rate", str(rate), "--duration", f"{seconds}s"]
        return subprocess.Popen(words, cwd=self.folder, stdout=subprocess.DEVNULL)

    def spent(self):
        """Nanoseconds of processor time of all threads of the node."""
        return threads_spent(pathlib.Path(f"/proc/{self.process.pid}"))

    def spans(self):
        """Sends a trace of many spans, each with some attributes, as services would."""
        now = time.time_ns()
        spans = [{
            "traceId": TRACE, "spanId": f"{n + 1:016x}", "parentSpanId": f"{(n - 1) // 3 + 1:016x}" if n else "",
            "name": f"step {n}", "kind": 1 + n % 3, "startTimeUnixNano": str(now - 2_000_000_000 + n * 1_000_000),
            "endTimeUnixNano": str(now - 1_000_000_000 + n * 500_000),
            "attributes": [{"key": f"shop.key{k}", "value": {"stringValue": f"value {n} {k}"}} for k in range(5)],
        } for n in range(SPANS)]
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "packer"}}]}
        body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}
        to = self.get("/api/status")["otlp"]["http"]
        request = urllib.request.Request(f"http://{to}/v1/traces", json.dumps(body).encode(), {"content-type": "application/json"})
        urllib.request.urlopen(request, timeout=30).read()

    def end(self):
        self.process.terminate()
        self.process.wait(60)


def paints(browser, shop, paths):
    rows = []
    for path, (when, cleared) in itertools.product(paths, CACHES.items()):
        told = []
        for _ in range(LOADS):
            browser.open("about:blank")
            if cleared:
                browser.command("Network.clearBrowserCache")
            browser.open(shop.origin + path)
            told.append(browser.run(PAINT, later=True))
        times = sorted(one["paint"] for one in told)
        rows.append({"case": "paint", "page": path, "when": when, "loads": LOADS,
                     "first_contentful_paint_ms": round(statistics.median(times), 1), "lowest_ms": round(times[0], 1), "highest_ms": round(times[-1], 1),
                     "largest_contentful_paint_ms": round(statistics.median(one["largest"] for one in told), 1),
                     "first_byte_ms": round(statistics.median(one["first_byte"] for one in told), 1), "files": round(statistics.median(one["files"] for one in told))})
    return rows


def scrolled(browser, case, page, css, count):
    told = browser.run(SCROLL, css, later=True)
    if told is None:
        return []
    frames = sorted(told["frames"])
    return [{"case": case, "page": page, "rows": count, "height_px": told["height"], "elements": told["rows"], "frames": len(frames),
             "frame_p50_ms": round(statistics.median(frames), 1), "frame_p99_ms": round(frames[int(len(frames) * 0.99)], 1),
             "frame_max_ms": round(frames[-1], 1), "over_50_ms": sum(frame > 50 for frame in frames)}]


def lists(browser, shop):
    browser.open(f"{shop.origin}/logs?service=talker")
    browser.until("return document.querySelector('.lines')")
    time.sleep(1)
    (shop.folder / "talk").write_text("")
    browser.until(f"return document.querySelector('.lines').scrollHeight >= {LINES * 19}")
    rows = scrolled(browser, "scroll-lines", "/logs", ".lines", LINES)
    shop.spans()
    deadline = time.time() + 60
    while time.time() < deadline:
        try:
            shop.get(f"/api/traces/{TRACE}")
            break
        except OSError:
            time.sleep(0.5)
    begun = time.time()
    browser.open(f"{shop.origin}/traces/{TRACE}")
    browser.until("return /step 0/.test(document.querySelector('main').textContent)")
    took = round((time.time() - begun) * 1000)
    tallest = ("const all = [document.scrollingElement, ...document.querySelectorAll('main *')].filter((one) => one === document.scrollingElement "
               "|| /auto|scroll/.test(getComputedStyle(one).overflowY)); "
               "all.sort((a, b) => (b.scrollHeight - b.clientHeight) - (a.scrollHeight - a.clientHeight)); "
               "all[0].setAttribute('data-scrolled', ''); return all[0].localName")
    browser.run(tallest)
    more = scrolled(browser, "scroll-spans", "/traces/ID", "[data-scrolled]", SPANS)
    return rows + [{**row, "shown_after_ms": took} for row in more]


def costs(browser, shop, pages, seconds):
    def cost(path):
        browser.open(shop.origin + path if path else "about:blank")
        # Until all of it is there, and what other pages need.
        time.sleep(5)
        before, begun = [shop.spent(), browser.spent()], time.monotonic()
        time.sleep(seconds)
        after, took = [shop.spent(), browser.spent()], time.monotonic() - begun
        return [(b - a) / 1e9 / took * 100 for a, b in zip(before, after)]
    # Nobody looks: at the beginning and at the end, for the customers' part is not quite the same all the time.
    alone = [cost(None)]
    found = {page: cost(f"/{page}") for page in pages if page not in STILL}
    alone.append(cost(None))
    nodes, browsers = zip(*alone)
    base, idle = statistics.mean(nodes), statistics.mean(browsers)
    rows = [{"case": "cpu", "page": "none", "seconds": seconds, "percent_of_a_core": round(base, 2), "lowest": round(min(nodes), 2), "highest": round(max(nodes), 2),
             "browser_percent": round(idle, 2)}]
    return rows + [{"case": "cpu", "page": f"/{page}", "seconds": seconds, "percent_of_a_core": round(node, 2), "more_than_none": round(node - base, 2),
                    "browser_percent": round(browser, 2)} for page, (node, browser) in found.items()]


def machine(host):
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())[1])
    return {"host": host, "cpu": " ".join(cpu[1].split()[:2]) if cpu else platform.machine(), "cores": os.cpu_count(),
            "memory_gib": round(memory / 1024 / 1024), "kernel": f"Linux {platform.release()}"}


def page(report):
    of = lambda case: [row for row in report["rows"] if row["case"] == case]
    on = report["machine"]
    lines = [f"# The console, {report['date']}", "",
             f"{on['cpu']} with {on['cores']} cores, {on['memory_gib']} GiB, {on['kernel']}; colony {report['versions']['colony']}, Chromium {report['versions']['chromium']}, headless. "
             f"The marketplace with {report['rate']} customers' steps a second. Browser, node and load share the cores.", "",
             "## First contentful paint", "", "For who comes for the first time, with nothing in the browser's cache, and for who comes again.", "",
             "| page | first, ms | (lowest to highest) | largest contentful paint | until the first byte | files before it | again, ms | (lowest to highest) | largest |", "|---|---|---|---|---|---|---|---|---|"]
    firsts, agains = ([row for row in of("paint") if row["when"] == when] for when in CACHES)
    spread = lambda row: f"{row['first_contentful_paint_ms']} | {row['lowest_ms']} to {row['highest_ms']}"
    lines += [f"| `{first['page']}` | {spread(first)} | {first['largest_contentful_paint_ms']} | {first['first_byte_ms']} | {first['files']} | {spread(again)} | {again['largest_contentful_paint_ms']} |" for first, again in zip(firsts, agains)]
    lines += ["", "## Long lists, scrolled to the end and back in 240 frames", "", "| list | rows | elements in the page | frame p50, ms | p99 | longest | frames over 50 ms |", "|---|---|---|---|---|---|---|"]
    lines += [f"| `{row['page']}` | {row['rows']} | {row['elements']} | {row['frame_p50_ms']} | {row['frame_p99_ms']} | {row['frame_max_ms']} | {row['over_50_ms']} |" for case in ("scroll-lines", "scroll-spans") for row in of(case)]
    lines += [f"\nA trace of {SPANS} spans is shown {row['shown_after_ms']} ms after it was asked for, the loading of the page included." for row in of("scroll-spans")]
    lines += ["", "## Processor time", "", f"Over {of('cpu')[0]['seconds']} s each, in percent of a core: of the node, what of that is more than with nobody looking, and of the browser with all its processes.", "",
              "| open | the node | more | the browser |", "|---|---|---|---|"]
    lines += [f"| {'nothing' if row['page'] == 'none' else '`' + row['page'] + '`'} | {row['percent_of_a_core']:.2f} % | {'' if row['page'] == 'none' else format(row['more_than_none'], '+.2f')} | {row['browser_percent']:.1f} % |" for row in of("cpu")]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--colony", type=pathlib.Path, default=ROOT / "target/release/colony")
    parser.add_argument("--out", type=pathlib.Path, help="the folder that gets the report; without it the page is printed")
    parser.add_argument("--host", default=f"{platform.node()}-{os.cpu_count()}core")
    parser.add_argument("--rate", type=int, default=10, help="customers' steps a second")
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    colony = given.colony.resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shop = Shop(folder, colony)
        try:
            browser = Browser(folder)
            try:
                report = measured(browser, shop, given)
            finally:
                browser.end()
        finally:
            shop.end()
    text = page(report)
    if not given.out:
        return print(text)
    stem = f"{report['date']}-{given.host}-console"
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / f"{stem}.json").write_text(json.dumps(report, indent=2) + "\n")
    (given.out / f"{stem}.md").write_text(text)
    print(given.out / f"{stem}.md")


def measured(browser, shop, given):
    customers = shop.customers(given.rate, 1200)
    try:
        browser.open(shop.link)
        browser.until("return document.querySelectorAll('.node').length > 8")
        pages = browser.run("return [...document.querySelectorAll('#nav a')].map((a) => a.dataset.page)")
        rows = costs(browser, shop, pages, given.seconds)
        rows += paints(browser, shop, ["/", *(f"/{name}" for name in pages)])
        rows += lists(browser, shop)
    finally:
        customers.terminate()
        customers.wait()
    version = subprocess.run([given.colony, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    return {"what": "console", "date": datetime.date.today().isoformat(), "machine": machine(given.host),
            "versions": {"colony": version, "chromium": browser.version}, "rate": given.rate, "rows": rows}


if __name__ == "__main__":
    sys.exit(main())
