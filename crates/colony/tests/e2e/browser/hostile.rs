//! What outsiders control is text and nothing else, wherever it is shown: in lines, spans, messages, names, faults, the manifest.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::door::elsewhere;
use super::page::Page;
use super::shop::{MANIFEST, Shop};
use crate::world::{listening, request, try_request, wait};

/// What would run, load or draw if any of it were read as HTML, a link, a style or a script. `AT` is where it would ask.
const FORMS: [&str; 9] = [
    "<img class=pwned src=http://AT/img onerror=\"window.__pwned=1;alert(1)\">",
    "\"><script class=pwned>window.__pwned=1</script>",
    "' autofocus onfocus='window.__pwned=1' onmouseover='window.__pwned=1' class='pwned",
    "</title></pre></textarea></style></script></td><svg class=pwned onload=window.__pwned=1>",
    "<iframe class=pwned srcdoc=\"<script>parent.__pwned=1</script>\"></iframe>",
    "javascript:window.__pwned=1",
    "<a class=pwned href=\"javascript:window.__pwned=1\">x</a><link class=pwned rel=stylesheet href=http://AT/css>",
    "url(http://AT/style);background:url(http://AT/style) ${window.__pwned=1} {{constructor.constructor('window.__pwned=1')()}}",
    "\u{202e}txt.exe\u{2066}\u{200b}\u{feff}\u{1b}[2J\u{7}",
];

/// Who would be asked, and how often it was.
struct Lure {
    at: String,
    asked: Arc<AtomicUsize>,
}

impl Lure {
    fn set() -> Lure {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let at = listening(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        });
        Lure { at: at.to_string(), asked }
    }

    /// All of it, behind a word by which it is found.
    fn long(&self, word: &str) -> String {
        format!("{word} {}", FORMS.join(" ").replace("AT/", &format!("{}/", self.at)))
    }

    /// What fits into a name.
    fn short(&self, word: &str) -> String {
        let at = &self.at;
        format!(
            "{word}'\"><img class=pwned src=http://{at}/n onerror=window.__pwned=1></title><b class=pwned>\u{202e}x"
        )
    }
}

/// What there is in a page that none of ours puts there; the page is as it should be if that is nothing.
const FOREIGN: &str = "\
    const found = []; \
    if (window.__pwned) found.push('a script ran'); \
    const own = (value) => new URL(value, location.href).origin === location.origin; \
    for (const one of document.querySelectorAll('*')) { \
      const name = one.localName; \
      if (one.classList.contains('pwned') || ['iframe', 'object', 'embed', 'base', 'style', 'audio', 'video', 'foreignObject', 'use', 'animate', 'set', 'image'].includes(name)) found.push(one.outerHTML); \
      if (name === 'script' && !/^\\/assets\\/[0-9a-f]+\\/app\\.js$/.test(one.getAttribute('src'))) found.push(one.outerHTML); \
      for (const { name: of, value } of one.attributes) { \
        if (of.startsWith('on') || of === 'srcdoc' || of === 'autofocus' && one.localName !== 'input') found.push(`${name} ${of}`); \
        if (['href', 'src', 'action', 'formaction', 'xlink:href', 'data', 'poster', 'ping'].includes(of) && !(own(value) && /^https?:$/.test(new URL(value, location.href).protocol))) found.push(`${name} ${of}=${value}`); \
        if (of === 'style' && /url|expression|@import/i.test(value)) found.push(`${name} ${of}=${value}`); \
      } \
    } \
    for (const { name } of performance.getEntriesByType('resource')) if (!own(name)) found.push(`asked ${name}`); \
    const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT); \
    while (words.nextNode()) if (/[\\u202a-\\u202e\\u2066-\\u2069\\u0000-\\u0008\\u000e-\\u001f]/.test(words.currentNode.data)) found.push(`turns letters round: ${JSON.stringify(words.currentNode.data.slice(0, 80))}`); \
    return found";

/// Everything that opens without changing anything.
const OPEN_ALL: &str = "\
    for (const one of document.querySelectorAll('main details:not([open]) > summary, main [aria-expanded=false], main [role=button]')) \
      one.dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true })); \
    for (const one of document.querySelectorAll('main *')) one.dispatchEvent(new MouseEvent('mouseover', { bubbles: true })); \
    return true";

/// Looks at a page with these words on it, and into all of it.
fn looked_into(page: &Page, path: &str, words: &[&str]) {
    page.open(path);
    for word in words {
        page.says("main", word);
    }
    page.run(OPEN_ALL, &[]);
    page.is(
        "another frame",
        "return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))",
    );
    assert_eq!(page.run(FOREIGN, &[]), json!([]), "{path}");
    let dialog = page.chrome.get("/alert/text");
    assert!(dialog.is_err_and(|refused| refused.error == "no such alert"), "{path}: a dialog");
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[test]
fn what_is_looked_for_does_harm_where_it_is_taken_for_html() {
    let lure = Lure::set();
    let shop = Shop::open();
    let page = Page::of(&shop.looked);
    page.visit(&format!("http://{}/", elsewhere()));
    for (form, harm) in FORMS.iter().enumerate().filter(|(form, _)| ![5, 7, 8].contains(form)) {
        let harm = harm.replace("AT/", &format!("{}/", lure.at));
        let html = if form == 2 { format!("<input value='{harm}'>") } else { harm };
        page.run(
            "window.alert = () => {}; document.body.replaceChildren(); document.body.append(document.createRange().createContextualFragment(arguments[0]))",
            &[&html],
        );
        let found = page.run(FOREIGN, &[]);
        assert!(found.as_array().is_some_and(|found| !found.is_empty()), "{html}");
    }
    page.is("a script that ran", "return window.__pwned === 1");
    wait("who was asked", || lure.asked.load(Ordering::SeqCst) >= 2);
    page.run("document.body.replaceChildren(); document.body.append('\\u202e')", &[]);
    assert!(page.run(FOREIGN, &[]).to_string().contains("turns letters round"));
    page.forgive(|_| true);
}

#[test]
fn lines_spans_and_records_are_text() {
    let lure = Lure::set();
    let shop = Shop::open();
    let page = Page::logged_in(&shop.looked);
    let plain = lure.long("plain-line");
    let fields = json!({ "level": "error", "msg": lure.long("json-line"), lure.short("json-key"): lure.long("json-value") });
    let logfmt =
        format!("level=warn msg={:?} sku={:?}", lure.short("logfmt-line"), lure.short("logfmt-value"));
    shop.write(&format!("{plain}\n{fields}\n{logfmt}"));
    otlp(&shop, &lure);
    // What a client sends: as much of it as is let through.
    let address = shop.world().gateway();
    let path = format!("/made/{}?q={}", encoded(&lure.short("path")), encoded(&lure.long("query")));
    let agent = lure.short("agent").replace('\u{202e}', "");
    for (name, value) in
        [("user-agent", agent.as_str()), ("baggage", "a=<script>"), ("tracestate", "a=<b>"), ("host", "<x>")]
    {
        let _ = try_request(&address, "GET", &path, &[(name, value)], None);
    }
    for name in ["SCRIPT", "<script>"] {
        let _ = try_request(&address, name, &path, &[], None);
    }
    wait("the trace", || !shop.looked.get(&format!("/api/traces/{TRACE}"))["spans"].is_null());

    let words = ["span-name", "service-name"];
    looked_into(&page, "/traces", &words);
    looked_into(&page, &format!("/traces/{TRACE}"), &words);
    let of_span = ["attribute-key", "event-name", "exception.message", "link-key", "status"];
    looked_into(&page, &format!("/traces/{TRACE}?span=00f067aa0ba902b7"), &of_span);
    looked_into(&page, &format!("/traces/{TRACE}?with={TRACE}"), &["service-name"]);
    looked_into(&page, "/logs", &["plain-line", "json-line", "logfmt-line"]);
    let logs = shop.looked.get(&format!("/api/logs?trace={TRACE}"));
    let record = &logs["logs"][0];
    let opened = format!("/logs?trace={TRACE}&line={}-{}", record["at_us"], record["seq"]);
    looked_into(&page, &opened, &["record-body", "record-key"]);
    let logs = shop.looked.get("/api/logs?text=json-line");
    let record = &logs["logs"][0];
    looked_into(
        &page,
        &format!("/logs?line={}-{}", record["at_us"], record["seq"]),
        &["json-value", "json-key"],
    );
    looked_into(&page, "/services/front", &["plain-line", "json-line", "logfmt-line"]);
    for name in
        ["", "map", "services", "policies", "messages", "graphs", "slos", "state", "break", "manifest"]
    {
        looked_into(&page, &format!("/{name}"), &[]);
    }
    assert_eq!(lure.asked.load(Ordering::SeqCst), 0, "nobody was asked");
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A trace and records in which everything is hostile that a service may choose.
fn otlp(shop: &Shop, lure: &Lure) {
    let pair = |word: &str| json!({ "key": lure.short(&format!("{word}-key")), "value": { "stringValue": lure.long(word) } });
    let known = |key: &str| json!({ "key": key, "value": { "stringValue": lure.long(key) } });
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_nanos();
    let (begun, ended) = ((now - 250_000_000).to_string(), now.to_string());
    let span = json!({
        "traceId": TRACE, "spanId": "00f067aa0ba902b7", "name": lure.short("span-name"), "kind": 2,
        "startTimeUnixNano": begun, "endTimeUnixNano": ended,
        "attributes": [pair("attribute"), known("http.route"), known("url.path"), known("url.full"), known("messaging.destination.name"),
            known("db.query.text"), known("http.request.method"), known("server.address"), known("error.type")],
        "events": [{ "timeUnixNano": ended, "name": lure.short("event-name"), "attributes": [pair("event"), known("exception.message"), known("exception.stacktrace")] }],
        "links": [{ "traceId": "5bf92f3577b34da6a3ce929d0e0e4736", "spanId": "10f067aa0ba902b7", "attributes": [pair("link")] }],
        "status": { "code": 2, "message": lure.long("status") }, "traceState": "a=b",
    });
    let resource = json!({ "attributes": [known("service.version"), pair("resource"),
        { "key": "service.name", "value": { "stringValue": lure.short("service-name") } }] });
    let scope = json!({ "name": lure.short("scope"), "version": lure.short("version") });
    let spans = json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "scope": scope, "spans": [span] }] }] });
    let record = json!({ "timeUnixNano": ended, "severityText": lure.short("severity"), "severityNumber": 17, "traceId": TRACE, "spanId": "00f067aa0ba902b7",
        "eventName": lure.short("record-event"), "body": { "stringValue": lure.long("record-body") }, "attributes": [pair("record")] });
    let records = json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": [{ "scope": scope, "logRecords": [record] }] }] });
    for (path, body) in [("/v1/traces", spans), ("/v1/logs", records)] {
        let taken = request(&shop.otlp(), "POST", path, &[], Some(&body.to_string()));
        assert_eq!((taken.status, taken.body.as_str()), (200, "{}"), "{path}");
    }
}

#[test]
fn messages_names_faults_and_the_manifest_are_text() {
    let lure = Lure::set();
    let comment = lure.long("a-comment").replace(['\u{1b}', '\u{7}', '\u{feff}'], "");
    let manifest =
        MANIFEST.replace("COLOUR: red", &format!("COLOUR: {}", Value::from(lure.short("a-colour"))));
    let shop = Shop::open_as(&format!("{manifest}# {comment}\n"));
    let page = Page::logged_in(&shop.looked);

    // A queue with items, dead letters and causes.
    shop.mend();
    let (queue, topic) = (lure.short("queue-name"), format!("pubsub/{}", lure.short("topic-name")));
    let of = |name: &str| format!("/v1.0/queues/{}", encoded(name));
    let key = encoded(&lure.short("queue-key"));
    shop.api("packer-1", "PUT", &of(&queue), Some(json!({ "attemptsMax": 1 })));
    for word in ["dead-payload", "ready-payload"] {
        shop.api(
            "packer-1",
            "POST",
            &format!("{}/send?key={key}", of(&queue)),
            Some(json!({ "text": lure.long(word) })),
        );
    }
    let got =
        shop.api("packer-1", "POST", &format!("{}/receive", of(&queue)), Some(json!({ "max": 1 }))).json();
    let failed =
        json!({ "receipts": [got["items"][0]["receipt"]], "cause": lure.long("the-cause"), "dead": true });
    shop.api("packer-1", "POST", &format!("{}/nack", of(&queue)), Some(failed));
    // A topic with a message that is an event, one that is none, and keys.
    let messages = format!("/api/topics/{}/messages", encoded(&topic));
    for (word, kind) in [("event-payload", Value::Null), ("raw-payload", json!("text/html"))] {
        let message =
            json!({ "payload": lure.long(word), "key": lure.short("topic-key"), "content_type": kind });
        let message = if kind.is_null() {
            json!({ "payload": message["payload"], "key": message["key"] })
        } else {
            message
        };
        shop.looked.post(&messages, message);
    }
    let partition = (0..64)
        .find(|at| {
            let found = shop.looked.ask("GET", &format!("{messages}?partition={at}"), None);
            found.status == 200 && found.json()["messages"].as_array().is_some_and(|all| !all.is_empty())
        })
        .expect("where they are");
    // What is kept.
    let state = json!([{ "key": lure.short("state-key"), "value": { "text": lure.long("state-value"), "__proto__": 1 } }]);
    shop.api("front-1", "POST", "/v1.0/state/carts", Some(state));
    shop.api("front-1", "PUT", "/v1.0/streams/facts", None);
    let event = json!([{ "type": lure.short("stream-type"), "data": { "text": lure.long("stream-data") }, "metadata": { lure.short("m"): lure.long("stream-metadata") } }]);
    shop.api(
        "front-1",
        "POST",
        &format!("/v1.0/streams/facts/{}", encoded(&lure.short("stream-name"))),
        Some(event),
    );
    // A fault that strikes what no path can be.
    let fault = json!({ "on": "packer", "status": 503, "path": format!("/{}", lure.short("fault-path").replace('\u{202e}', "")), "for_ms": 600_000 });
    let fault = shop.looked.ask("POST", "/api/faults", Some(fault));
    assert!([200, 400, 422].contains(&fault.status), "{fault:?}");

    looked_into(&page, "/messages", &["queue-name", "topic-name"]);
    let at = format!("/messages/queue/{}", encoded(&queue));
    looked_into(&page, &at, &["queue-name", "the-cause", "ready-payload", "queue-key"]);
    looked_into(&page, &format!("{at}?which=dead"), &["dead-payload", "the-cause"]);
    page.open(&format!("/messages/topic/{}", encoded(&topic)));
    page.headed("topic-name");
    if partition > 0 {
        page.choose("main select[aria-label=Partition]", &format!("partition {partition}"));
    }
    page.says("main tbody tr", "event-payload");
    page.says("main tbody td", "topic-key");
    assert_eq!(page.run(FOREIGN, &[]), json!([]));
    looked_into(&page, "/map", &["topic-name"]);
    looked_into(&page, "/state/carts", &[]);
    looked_into(&page, &format!("/state/carts?key={}", encoded(&lure.short("state-key"))), &[]);
    looked_into(&page, "/streams/facts", &[]);
    let stream = format!("/streams/facts/{}", encoded(&lure.short("stream-name")));
    looked_into(&page, &stream, &[]);
    looked_into(&page, "/break", if fault.status == 200 { &["fault-path"] } else { &[] });
    looked_into(&page, "/services/front", &["a-colour"]);
    looked_into(&page, "/manifest", &["a-comment", "a-colour"]);
    shop.world().edit("timeout: 20s", &format!("timeout: '{}'", lure.short("a-mistake").replace('\'', "")));
    looked_into(&page, "/manifest?tab=difference", &["a-mistake"]);
    looked_into(&page, "/manifest?tab=written", &["a-mistake"]);

    // What an address says, which a link from anywhere may.
    let harm = encoded(&lure.long("from-address"));
    for path in [
        "/{}",
        "/services/{}",
        "/policies/{}",
        "/messages/queue/{}",
        "/messages/topic/pubsub%2F{}",
        "/map?on={}",
        "/logs?service={}&text={}",
        "/logs?instance={}&level={}&attribute={}&event={}&line={}&trace={}",
        "/manifest?tab={}",
        "/break?on={}",
        "/traces/{}",
        "/traces?text={}&service={}&attribute={}&from={}",
        "/graphs?name={}&from={}",
        "/slos/{}",
        "/state/{}",
        "/state/carts?key={}&prefix={}",
        "/streams/{}/{}",
        "//evil.example/{}",
    ] {
        looked_into(&page, &path.replace("{}", &harm), &[]);
        page.forgive(|error| error.contains("Failed to load resource"));
    }
    // And what is searched for.
    page.open("/map");
    page.says(".node", "queue-name");
    page.press(&["/"]);
    page.says("dialog li", "queue-name");
    assert_eq!(page.run(FOREIGN, &[]), json!([]));
    assert_eq!(lure.asked.load(Ordering::SeqCst), 0, "nobody was asked");
}
