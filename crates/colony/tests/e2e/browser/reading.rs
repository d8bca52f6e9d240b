//! What is shown can be read: at a size, at a length, by names that are there, and with a way from one thing to the next.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::page::Page;
use super::shop::Shop;
use crate::world::request;

/// In CSS pixels, as it comes out, what is smallest of the words of a drawing.
const SMALLEST: &str = "\
    const all = [...document.querySelectorAll('.drawing text')].filter((text) => text.textContent && getComputedStyle(text).display !== 'none'); \
    const size = (text) => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a; \
    return all.length > 4 && Math.min(...all.map(size))";

/// A request of 10 ms that has something done five seconds later, as an SDK tells it.
fn tell_of_later_work(shop: &Shop, id: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_nanos() as u64 - 8_000_000_000;
    let span = |own: &str, parent: &str, name: &str, from_ms: u64, ms: u64| {
        let (from, to) = (now + from_ms * 1_000_000, now + (from_ms + ms) * 1_000_000);
        json!({ "traceId": id, "spanId": own, "parentSpanId": parent, "name": name, "kind": 1,
            "startTimeUnixNano": from.to_string(), "endTimeUnixNano": to.to_string(),
            "status": { "code": if parent.is_empty() { 2 } else { 0 } } })
    };
    let first = "00000000000000a1";
    let spans = [
        span(first, "", "buy", 0, 10),
        span("00000000000000a2", first, "charge", 2, 6),
        span("00000000000000a3", first, "remind", 5_000, 20),
    ];
    let resource = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": "front" } }] });
    let told = json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "spans": spans }] }] });
    let taken = request(&shop.otlp(), "POST", "/v1/traces", &[], Some(&told.to_string()));
    assert_eq!(taken.status, 200, "{taken:?}");
}

#[test]
fn a_trace_is_as_long_as_its_request_and_what_it_set_off_is_a_click_away() {
    let shop = Shop::open();
    let (id, other) = ("0af7651916cd43dd8448eb211c80319c", "0af7651916cd43dd8448eb211c80319d");
    for one in [id, other] {
        tell_of_later_work(&shop, one);
    }
    let page = Page::logged_in(&shop.looked);
    let both = format!("/traces/{id}?with={other}");
    for path in [format!("/traces/{id}"), both] {
        page.open(&path);
        page.says(".rows .span", "charge");
        // Six of the ten milliseconds, and not of five seconds.
        let wide = "const row = [...document.querySelectorAll('.rows .span')].find((row) => row.textContent.includes('charge')); \
                    const [bar, all] = [row.querySelector('.piece'), row.querySelector('.bars')].map((one) => one.getBoundingClientRect().width); \
                    return bar / all";
        let part = |what: &str, from: f64, to: f64| {
            page.is(
                what,
                &format!("const part = (() => {{ {wide} }})(); return part > {from} && part < {to}"),
            );
        };
        part("the request's own length", 0.55, 0.65);
        page.says(".rows .span", "at 5.00 s");
        page.click(".tools button", "set off");
        part("all of it", 0.0, 0.02);
        assert!(page.address().ends_with("later=true"), "{}", page.address());
        page.reload();
        part("all of it after a reload", 0.0, 0.02);
    }
}

#[test]
fn words_on_a_map_are_large_enough() {
    let shop = Shop::open();
    // A long way, and many beside each other.
    for topic in ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"] {
        let path = format!("/v1.0/publish/pubsub/{topic}");
        shop.api("front-1", "POST", &path, Some(json!({ "order": 1 })));
    }
    let page = Page::logged_in(&shop.looked);
    for path in ["/map", "/break"] {
        page.open(path);
        page.says(".node text", "seven");
        let least = page.is("words", SMALLEST);
        assert!(least.as_f64().is_some_and(|size| size >= 10.0), "{path}: {least}");
    }
}

#[test]
fn a_map_is_seen_whole_without_touching_it() {
    let shop = Shop::open();
    for topic in ["one", "two", "three", "four", "five", "six", "seven", "a-topic-of-a-very-long-name-indeed"]
    {
        let path = format!("/v1.0/publish/pubsub/{topic}");
        shop.api("front-1", "POST", &path, Some(json!({ "order": 1 })));
    }
    let page = Page::logged_in(&shop.looked);
    page.on_a_laptop();
    page.open("/map");
    page.says(".node text", "seven");
    page.is(
        "all of it",
        "const frame = document.querySelector('.drawing').getBoundingClientRect(); \
         const all = [...document.querySelectorAll('.drawing .node')].map((one) => one.getBoundingClientRect()); \
         return all.length > 10 && all.every((one) => one.left >= frame.left && one.right <= frame.right && one.top >= frame.top && one.bottom <= frame.bottom)",
    );
    page.is("no need to fit it in", "return document.querySelector('.zoom [title^=Fit]').hidden");
    page.click(".zoom button", "+");
    page.click(".zoom button", "Fit");
    page.is("it is fitted in", "return document.querySelector('.zoom [title^=Fit]').hidden");
    // What is cut off is told.
    let name = "topic pubsub/a-topic-of-a-very-long-name-indeed";
    page.is("the whole name", &format!("return [...document.querySelectorAll('.node title')].some((one) => one.textContent.startsWith('{name}'))"));
}

#[test]
fn what_one_looks_at_is_in_the_address_and_in_the_title() {
    let shop = Shop::open();
    let page = Page::logged_in(&shop.looked);
    page.is("the page before the system", "return document.title === 'Map – shop'");
    page.open("/services/packer");
    page.is("what it is first", "return document.title === 'packer – Services – shop'");
    page.open("/break");
    page.click("main .ways button", "Slow a call");
    page.says("main label", "Delay, ms");
    assert_eq!(page.address(), "/break?way=slow");
    page.choose("#target", "gateway /pack/**");
    let at = "/break?way=slow&on=gateway+%2Fpack%2F**";
    page.is("the target", &format!("return location.pathname + location.search === '{at}'"));
    page.reload();
    page.is("the same", "return document.querySelector('#target').value === 'gateway /pack/**'");
    page.is("its kind", "return document.querySelector('.ways [aria-pressed=true]').dataset.way === 'slow'");
}

#[test]
fn one_thing_leads_to_the_next() {
    let shop = Shop::open();
    shop.pack_without_tape(1);
    let page = Page::logged_in(&shop.looked);
    page.says(".node text", "to-pack");
    page.press(&["/"]);
    page.fill("dialog input", "to-pack");
    page.press(&["\u{E007}"]);
    page.headed("to-pack");
    assert_eq!(page.address(), "/messages/queue/to-pack");

    page.open("/services/packer");
    for (text, path) in [
        ("Traces", "/traces?service=packer"),
        ("Metrics", "/graphs?service=packer"),
        ("Logs", "/logs?service=packer"),
        ("SLO", "/slos/packer"),
        ("front -> packer", "/policies/front%20-%3E%20packer"),
    ] {
        page.says(".links a", text);
        let all = page
            .run("return [...document.querySelectorAll('.links a')].map((a) => a.getAttribute('href'))", &[]);
        assert!(all.as_array().is_some_and(|all| all.contains(&Value::from(path))), "{all}");
    }

    page.open("/services/nobody");
    page.headed("There is no service of that name");
    page.forgive(|error| error.contains("404"));
    page.open("/streams/nothing");
    page.headed("There is no store of event streams of that name");
    page.forgive(|error| error.contains("404"));
    page.open("/messages/queue/none");
    page.says(".head p", "There is no queue of that name yet");
}

#[test]
fn a_queue_tells_how_long_it_has_waited_and_a_message_its_trace() {
    let shop = Shop::open();
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let event = json!({ "specversion": "1.0", "id": "1", "source": "a", "type": "b", "traceparent": parent, "data": { "text": "long ".repeat(100) } });
    shop.looked.post("/api/queues/slow/items", json!({ "payload": event.to_string() }));
    let page = Page::logged_in(&shop.looked);
    page.open("/messages");
    let age = "const row = [...document.querySelectorAll('main tbody tr')].find((row) => row.textContent.startsWith('slow')); \
               return Number(row?.children[2].textContent.replace(' s', '')) >= 2";
    page.is("its age, which grows", age);
    page.open("/messages/queue/slow");
    page.says(".head p", "the oldest has waited");
    page.is(
        "the way to its trace",
        "return document.querySelector('main tbody a[href=\"/traces/4bf92f3577b34da6a3ce929d0e0e4736\"]') !== null",
    );
    // A long one is a line until somebody wants more of it.
    page.is("it folded", "return document.querySelector('details.payload')?.open === false");
    page.click("details.payload summary", "long");
    page.says("details.payload pre", "\"text\": \"long long");
    let queues = shop.looked.get("/api/queues");
    let slow = queues["queues"].as_array().and_then(|all| all.iter().find(|one| one["name"] == "slow"));
    assert!(slow.is_some_and(|slow| slow["oldest_unix_ms"].is_u64()), "{queues}");
}
