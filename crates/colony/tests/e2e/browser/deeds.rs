//! What is done from a page is done to the system, and undone.

use std::time::{Duration, Instant};

use super::page::Page;
use super::shop::Shop;
use crate::world::wait;

#[test]
fn dead_letters_are_seen_by_their_cause_and_put_back_when_the_cause_is_mended() {
    let shop = Shop::open();
    let page = Page::logged_in(&shop.looked);
    page.press(&["g", "e"]);
    page.headed("Messages");
    shop.pack_without_tape(6);
    page.is(
        "its dead letters",
        "const row = [...document.querySelectorAll('main tbody tr')].find((row) => row.textContent.startsWith('to-pack')); \
         return row?.children[6].textContent === '6'",
    );
    page.click("main tbody a", "to-pack");
    page.headed("to-pack");
    page.says("main tbody tr", "no tape of size large");
    let groups = page.is(
        "two causes",
        "const rows = [...document.querySelectorAll('main table')[0].querySelectorAll('tbody tr')]; \
         return rows.length === 2 && rows.map((row) => row.children[2].textContent).sort().join()",
    );
    assert_eq!(groups, "2,4");
    page.click(".tabs a", "dead");
    page.says("main tbody pre", "\"size\": \"large\"");

    // A dry run does nothing. Then those of one cause, then the rest.
    shop.mend();
    page.click_in("size large", "button", "Dry run");
    page.says("[role=status]", "2 would be put back");
    assert_eq!((shop.packed(), dead(&shop)), (0, 6));
    page.click_in("size large", "button", "Redrive");
    page.says("dialog h2", "Put 2 back?");
    page.click("dialog button", "Cancel");
    assert_eq!((shop.packed(), dead(&shop)), (0, 6));
    page.click_in("size large", "button", "Redrive");
    page.click("dialog button", "Put back");
    page.says_no_more("[role=status]", "would be put back");
    wait("those of one cause", || (shop.packed(), dead(&shop)) == (2, 4));
    page.says_no_more("main table tbody tr", "no tape of size large");
    page.click("main tbody tr button", "Redrive");
    page.click("dialog button", "Put back");
    wait("the rest", || (shop.packed(), dead(&shop)) == (6, 0));
    page.says("main p.empty", "No dead letters.");
    page.says(".head p", "0 ready, 0 later, 0 at work, 0 dead");
}

fn dead(shop: &Shop) -> u64 {
    let queues = shop.looked.get("/api/queues");
    let all = queues["queues"].as_array().cloned().unwrap_or_default();
    all.iter().find(|one| one["name"] == "to-pack").and_then(|one| one["dead"].as_u64()).unwrap_or(0)
}

/// Has a call between services answered by what is in its way rather than by the service.
fn refused_by(shop: &Shop, policy: &str) {
    let answer = shop.ask("GET", "/ask", None);
    assert_eq!((answer.status, answer.json()["policy"].as_str()), (503, Some(policy)), "{answer:?}");
}

#[test]
fn a_breaker_is_forced_open_and_left_to_itself_again() {
    let shop = Shop::open();
    assert_eq!(shop.ask("GET", "/ask", None).body, "made");
    let page = Page::logged_in(&shop.looked);
    page.press(&["g", "p"]);
    page.click("main tbody a", "front -> packer");
    page.headed("front -> packer");
    let forced = |to: &str| {
        page.click("main [role=group] button", to);
        page.is(
            &format!("{to} as the one that holds"),
            &format!("return document.querySelector('main [role=group] button[aria-pressed=true]')?.textContent === '{to}'"),
        );
    };
    page.says("main [role=group]", "closed");
    forced("Open");
    page.says("main [role=group]", "forced-open");
    refused_by(&shop, "breaker");
    // Whoever looks at the map sees it, too.
    page.press(&["g", "m"]);
    page.says("main", "forced-open");
    page.back();
    page.headed("front -> packer");
    forced("Closed");
    assert_eq!(shop.ask("GET", "/ask", None).body, "made");
    forced("Auto");
    page.says_no_more("main [role=group] span", "forced");
    assert_eq!(shop.ask("GET", "/ask", None).body, "made");
    assert_eq!(shop.world().call("front -> packer")["breaker"], "closed");
}

#[test]
fn a_fault_strikes_until_it_is_undone_or_its_time_is_over() {
    let shop = Shop::open();
    assert_eq!(shop.ask("GET", "/ask", None).body, "made");
    let page = Page::logged_in(&shop.looked);
    page.press(&["g", "b"]);
    page.headed("Break something");
    page.click("main .ways button", "Fail a call");
    page.choose("#target", "front -> packer");
    page.choose_labelled("For", "15 min");
    page.click("main button.main", "Break it");
    page.says(".broken li", "answers 503");
    page.says("#top a.bad", "1 fault");
    refused_by(&shop, "fault");
    page.is("that it struck", "return /struck [1-9]/.test(document.querySelector('.broken li').textContent)");
    let before = page.text(".broken li .n").expect("how long it has left");
    page.is(
        "its time running",
        &format!("return document.querySelector('.broken li .n').textContent !== '{before}'"),
    );
    // What follows stands beside it.
    page.says(".follows li", "front → packer");
    page.click(".broken button", "Undo");
    page.is(
        "its end",
        "return !document.querySelector('.broken li') && document.querySelector('#top a.bad').hidden",
    );
    assert_eq!(shop.ask("GET", "/ask", None).body, "made");

    page.click("main .ways button", "Slow a call");
    page.choose("#target", "front -> packer");
    page.fill_labelled("Delay, ms", "2500");
    page.click("main button.main", "Break it");
    page.says(".broken li", "2500 ms late");
    let took = |shop: &Shop| {
        let begun = Instant::now();
        assert_eq!(shop.ask("GET", "/ask", None).body, "made");
        begun.elapsed()
    };
    assert!(took(&shop) >= Duration::from_millis(2_500));
    page.click(".broken button", "Undo");
    page.is("its end", "return !document.querySelector('.broken li')");
    assert!(took(&shop) < Duration::from_millis(2_500));

    let short = serde_json::json!({ "on": "front -> packer", "status": 503, "for_ms": 2_000 });
    shop.looked.post("/api/faults", short);
    page.says(".broken li", "answers 503");
    page.is("its end by itself", "return !document.querySelector('.broken li')");
    assert_eq!(shop.ask("GET", "/ask", None).body, "made");
}

#[test]
fn an_instance_is_killed_and_a_queue_filled_on_purpose() {
    let shop = Shop::open();
    shop.looked.post("/api/queues/to%20try/items", serde_json::json!({ "payload": "x" }));
    let page = Page::logged_in(&shop.looked);
    let pid = shop.world().pids("packer")[0];
    page.open("/break");
    page.click("main .ways button", "Kill an instance");
    page.choose("#target", "packer-1");
    page.says(".head p", "There is no undo");
    page.click("main button.main", "Break it");
    page.click("dialog button", "Kill");
    page.says("#said", "packer-1 was killed");
    wait("another", || shop.world().pids("packer").first().is_some_and(|now| *now != pid));
    page.says(".broken li", "is back");

    page.click("main .ways button", "Fill a queue");
    page.choose("#target", "to try");
    let own = "return [...document.querySelectorAll('#target option')].every((one) => !one.value.startsWith('jobs/'))";
    page.is("no queue that the node itself fills", own);
    page.fill_labelled("Items", "30");
    page.choose_labelled("For", "15 min");
    page.click("main button.main", "Break it");
    page.says(".broken li", "30 items were put in");
    page.says(".broken li", "31 ready");
    page.click_in("30 items", "button", "Undo");
    page.says("#said", "30 taken back");
    let ready = || {
        shop.looked.get("/api/queues")["queues"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["name"] == "to try" && one["ready"] == 1))
    };
    wait("what was there before", ready);
}

#[test]
fn a_service_is_scaled_restarted_stopped_and_started() {
    let shop = Shop::open();
    let page = Page::logged_in(&shop.looked);
    page.open("/services/packer");
    page.headed("packer");
    page.is(
        "how many there are",
        "return document.querySelector('main input[aria-label=Instances]').value === '1'",
    );
    page.fill("main input[aria-label=Instances]", "2");
    page.click("main button", "Scale");
    page.is(
        "two that are ready",
        "return document.querySelectorAll('main tbody tr .state[data-state=good]').length === 2",
    );
    let two = shop.world().pids("packer");
    assert_eq!((two.len(), &shop.world().service("packer")["ready"]), (2, &2.into()));
    page.click("main button", "Restart");
    page.says("#said", "packer was restarted");
    wait("others", || {
        let now = shop.world().pids("packer");
        now.len() == 2 && now.iter().all(|pid| !two.contains(pid))
    });
    for pid in shop.world().pids("packer") {
        page.says("main tbody td", &pid.to_string());
    }
    page.says_no_more("main button", "Start");
    page.click("main button", "Stop");
    page.says("dialog h2", "Stop packer?");
    page.click("dialog button", "Cancel");
    page.is("the end of the question", "return !document.querySelector('dialog')");
    assert_eq!(shop.world().service("packer")["ready"], 2);
    page.click("main button", "Stop");
    page.click("dialog button", "Stop");
    page.says(".head .state", "stopped");
    assert_eq!(shop.world().service("packer")["ready"], 0);
    page.says_no_more("main button", "Stop");
    // Whoever looks at the map is told.
    page.open("/map");
    page.says(".notable a", "packer: stopped, 0/0");
    page.open("/services/packer");
    page.click("main button", "Start");
    page.says(".head .state", "ready");
    assert_ne!(shop.world().service("packer")["ready"], 0);
    // What it is started with is shown, but for secrets.
    page.open("/services/front");
    page.says("main dd", "red");
    page.says("main dd", "secret");
    page.says("main dd", "postgres://me:[secret]@db/shop");
    page.says("main h2", "as the node has set it for front-1");
    let text = page.text("main").expect("a text");
    assert!(
        ["PORT", "PACKER_URL", "DAPR_HTTP_PORT", "OTEL_SERVICE_NAME"].iter().all(|set| text.contains(set)),
        "{text}"
    );
    assert!(!text.contains("hunter2") && !text.contains("sesame"), "{text}");
}

#[test]
fn a_queue_is_filled_with_test_messages_and_emptied_of_them() {
    let shop = Shop::open();
    let page = Page::logged_in(&shop.looked);
    page.open("/messages/queue/to%20try");
    page.headed("to try");
    page.fill("main textarea", "{\"size\": \"<huge>\"}");
    page.fill("main .row input[type=number]", "40");
    page.click("main button.main", "Send");
    page.says(".head p", "40 ready");
    page.says("main tbody pre", "\"size\": \"<huge>\"");
    page.click("main button", "Take them back");
    page.says("#said", "40 of 40 were taken back");
    page.says(".head p", "0 ready");

    page.open("/messages/topic/pubsub%2Fnews");
    page.fill("main textarea", "{\"apples\": 3}");
    page.fill("main input[aria-label=Key]", "a key");
    page.click("main button.main", "Publish");
    page.says("#said", "published: partition");
    let said = page.text("#said").expect("where");
    let partition =
        said.split("partition ").nth(1).and_then(|rest| rest.split(',').next()).expect("a number");
    page.choose("main select[aria-label=Partition]", &format!("partition {partition}"));
    page.says("main tbody tr", "\"apples\": 3");
    page.says("main tbody td", "a key");
}

#[test]
fn a_manifest_that_was_edited_shows_how_it_differs_and_is_applied() {
    let shop = Shop::open();
    let page = Page::logged_in(&shop.looked);
    page.open("/manifest?tab=difference");
    page.says("main", "What is written is what is applied.");
    shop.world().edit("timeout: 20s", "timeout: 19s");
    page.reload();
    page.says("main tbody tr", "front");
    page.says("main tbody tr", "19s");
    page.click(".tabs a", "As written");
    page.says("main pre", "timeout: 19s");
    page.click(".tabs a", "As applied");
    page.says("main pre", "timeout: 20s");
    page.click(".tabs a", "Difference");
    page.click("main button", "Apply what is written");
    page.says("#said", "applied");
    page.says("main", "What is written is what is applied.");
    page.open("/policies/front%20-%3E%20packer");
    page.says("main tbody tr", "19s");

    shop.world().edit("timeout: 19s", "timeout: 19 parsecs");
    page.open("/manifest?tab=difference");
    page.says("main", "What is written cannot be applied");
    page.says("main li", "parsecs");
    page.click("main button", "Apply what is written");
    page.says("#said", "not applied");
    page.says("main li", "parsecs");
}
