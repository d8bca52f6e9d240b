//! What changes while somebody looks shows without a reload.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use super::page::Page;
use super::shop::Shop;
use crate::world::{kill, lives, try_request, wait};

/// Would be gone after a reload.
const MARK: &str = "window.__mark = true; return true";
const MARKED: &str = "return window.__mark === true";

#[test]
fn requests_show_as_rates_where_they_go() {
    let shop = Shop::open();
    let page = Page::logged_in(&shop.looked);
    page.is(
        "the way that was never gone",
        "return document.querySelectorAll('.edge[data-used=\"false\"]').length >= 1",
    );
    page.run(MARK, &[]);
    let (gateway, over) = (shop.world().gateway(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let asks = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let _ = try_request(&gateway, "GET", "/ask", &[], None);
            }
        });
        // However this ends, whoever asks ends too.
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let row = "return [...document.querySelectorAll('main tbody tr')].find((row) => row.firstChild.textContent === 'front' && \
                       row.querySelector('a').textContent === 'packer')?.querySelector('td.n').textContent.match(/^[1-9]/)";
            page.is("a rate in the table", row);
            page.is("a flow on the map", "return document.querySelectorAll('.edge[data-flow]').length >= 2");
            page.click("#nav a", "Policies");
            let row = "return [...document.querySelectorAll('main tbody tr')].find((row) => \
                       row.textContent.startsWith('front -> packer'))?.children[2].textContent.match(/^[1-9]/)";
            page.is("a rate of the call", row);
            page.click("#nav a", "Services");
            page.is("a line of rates", "return [...document.querySelectorAll('main .spark path')].some((path) => (path.getAttribute('d') ?? '').length > 20)");
        }));
        over.store(true, Ordering::Relaxed);
        let _ = asks.join();
        if let Err(panic) = seen {
            std::panic::resume_unwind(panic);
        }
    });
    page.open("/map");
    page.is("quiet again", "return document.querySelectorAll('.edge').length >= 2 && !document.querySelector('.edge[data-flow]')");
}

#[test]
fn lines_ends_and_starts_show_as_they_happen() {
    let shop = Shop::open();
    let page = Page::logged_in(&shop.looked);
    page.press(&["g", "l"]);
    page.headed("Logs");
    page.run(MARK, &[]);
    shop.write("the first apple");
    page.says(".line .text", "the first apple");
    shop.write(r#"{"level":"error","msg":"no apples left"}"#);
    page.says(".line .text", "no apples left");

    page.click("#nav a", "Services");
    page.click("main tbody a", "packer");
    page.headed("packer");
    let before = shop.world().pids("packer")[0];
    page.says("main tbody td", &before.to_string());
    kill(before, libc::SIGKILL);
    wait("its end", || !lives(before));
    page.says_no_more("main tbody td", &before.to_string());
    wait("another", || shop.world().service("packer")["ready"] == 1);
    page.says("main tbody td", &shop.world().pids("packer")[0].to_string());
    page.is("one restart", "return document.querySelector('main tbody tr').children[4].textContent === '1'");
    page.says(".head .state", "ready");
    page.is("the same document", MARKED);
}

/// When the page was hidden and when it was shown again, in milliseconds of its own clock.
const WATCH: &str = "window.__hidden = []; \
    document.addEventListener('visibilitychange', () => window.__hidden.push(performance.now()), true); return true";
/// What it has asked of the node meanwhile; files of the page may still be under way when it is hidden.
const ASKED: &str = "const [from, to] = window.__hidden; \
    return performance.getEntriesByType('resource').filter((one) => one.startTime > from && one.startTime < to && !one.name.includes('/assets/')).map((one) => one.name)";

#[test]
fn tabs_that_nobody_sees_ask_for_nothing_and_catch_up() {
    let shop = Shop::open();
    let page = Page::logged_in(&shop.looked);
    shop.write("the first apple");
    // A page that follows lines, one that asks again and again, and more than a browser has connections to a host.
    let mut tabs = Vec::new();
    for path in ["/logs", "/traces", "/graphs", "/slos", "/map", "/map", "/map", "/services"] {
        page.open(path);
        page.says(".connection", "live");
        page.run(WATCH, &[]);
        tabs.push(page.new_tab());
    }
    page.open("/map");
    page.says(".node text", "packer");
    shop.looked.post("/api/faults", json!({ "on": "front -> packer", "status": 503, "for_ms": 600_000 }));
    page.says("#top a.bad", "1 fault");
    assert_eq!(shop.ask("GET", "/ask", None).status, 503);
    shop.write("the second apple");
    // Longer than any page waits until it asks again.
    std::thread::sleep(Duration::from_secs(6));

    for tab in &tabs {
        page.to_tab(tab);
        page.says("#top a.bad", "1 fault");
        let asked = page.run(ASKED, &[]);
        assert_eq!(asked, json!([]), "{}", page.address());
    }
    page.to_tab(&tabs[0]);
    page.says(".line .text", "the second apple");
    let lines = "return [...document.querySelectorAll('.line .text')].filter((one) => one.textContent === 'the first apple').length === 1";
    page.is("each line once", lines);
    page.to_tab(&tabs[1]);
    page.says("main a.trace", "503");
    page.to_tab(&tabs[7]);
    page.says("main tbody a", "packer");
}

/// The modules of pages that are gone to while the node is away, with all that they import.
const THERE: &str = "const files = performance.getEntriesByType('resource').map(({ name }) => name); \
    return ['services', 'manifest', 'chart', 'records', 'rows', 'tail', 'nowhere', 'streams'].every((one) => files.some((name) => name.endsWith(`/${one}.js`)))";
const DIMMED: &str = "return getComputedStyle(document.querySelector('main')).opacity < 1";

#[test]
fn a_node_that_went_away_and_came_back_is_followed_again() {
    let mut shop = Shop::open();
    let page = Page::logged_in(&shop.looked);
    page.says(".connection", "live");
    page.run(MARK, &[]);
    page.is("the other pages", THERE);
    shop.looked.world.signal(libc::SIGKILL);
    shop.looked.world.exit_code();
    page.says(".connection", "connection lost");
    // It is the page that was there, not an empty one, and does not look as if it were of now.
    page.says(".node text", "packer");
    page.says("#lost[role=status]", "The node does not answer. What is shown is as it was at ");
    page.is("a page that is dimmed", DIMMED);
    page.says_no_more("main", "All is well.");
    page.click("#nav a", "Services");
    page.headed("Services");
    page.says("#lost", "The node does not answer.");
    // What one goes to now has nothing to show, and asks once more by itself.
    page.click("#nav a", "Manifest");
    page.says("main", "the node does not answer");
    let world = shop.world().up_again();
    page.says(".connection", "live");
    page.says_no_more("#lost", "The node does not answer.");
    page.is("a page that is not dimmed", &format!("return !(() => {{ {DIMMED} }})()"));
    page.says("main pre", "name: shop");
    page.click("#nav a", "Map");
    page.is("the services", "return document.querySelectorAll('.node[data-state=good]').length >= 2");
    page.click("#nav a", "Manifest");
    page.says("main pre", "name: shop");
    page.is("the same document", MARKED);
    // Nobody had to log in anew: the session is good for the folder, not for the process.
    page.reload();
    page.says("main pre", "name: shop");
    page.forgive(|error| {
        ["ERR_CONNECTION", "ERR_INCOMPLETE", "ERR_EMPTY"].iter().any(|lost| error.contains(lost))
    });
    drop(world);
    page.says(".connection", "connection lost");
    page.forgive(|error| {
        ["ERR_CONNECTION", "ERR_INCOMPLETE", "ERR_EMPTY"].iter().any(|lost| error.contains(lost))
    });
    // It goes on asking until it is left.
    page.visit("about:blank");
    page.forgive(|error| error.contains("ERR_CONNECTION"));
}

#[test]
fn a_page_that_could_not_be_fetched_is_fetched_when_the_node_is_back_and_not_over_and_over() {
    let mut shop = Shop::open();
    let page = Page::logged_in(&shop.looked);
    page.chrome.command("Network.enable", json!({}));
    page.chrome.command("Network.setBlockedURLs", json!({ "urls": ["*/slos.js"] }));
    page.open("/slos");
    page.headed("This page could not be fetched");
    page.says(".connection", "live");
    // Longer than it takes until the other pages are fetched.
    page.run(MARK, &[]);
    std::thread::sleep(Duration::from_secs(4));
    page.is("the same document", MARKED);
    page.chrome.command("Network.setBlockedURLs", json!({ "urls": [] }));
    shop.looked.world.signal(libc::SIGKILL);
    shop.looked.world.exit_code();
    page.says("#lost", "The node does not answer.");
    let world = shop.world().up_again();
    page.headed("SLOs");
    page.is("another document", "return window.__mark === undefined");
    page.forgive(|_| true);
    page.visit("about:blank");
    page.forgive(|_| true);
    drop(world);
}
