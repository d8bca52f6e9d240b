//! Every page: by click, by its keys, on a phone, found by search, and back.

use serde_json::json;

use super::page::Page;
use super::shop::Shop;
use crate::console::Looked;
use crate::world::World;

/// What there is to be seen of the shop: a page, a kind of element, and a text in it. Of a page that is not in this list it is seen
/// that it has its heading.
const SEEN: [(&str, &str, &str); 10] = [
    ("map", ".node text", "packer"),
    ("services", "main tbody a", "packer"),
    ("traces", "main a.trace", "front"),
    ("logs", ".line .text", "open for business"),
    ("graphs", ".charts h2", "colony.call.requests"),
    ("slos", ".objectives", "packer"),
    ("messages", "main tbody a", "to-pack"),
    ("policies", "main tbody a", "front -> packer"),
    ("break", "main option", "front -> packer"),
    ("manifest", "main pre", "name: shop"),
];

/// Further places, with their headings.
const PLACES: [(&str, &str); 9] = [
    ("/services/front", "front"),
    ("/policies/front%20-%3E%20packer", "front -> packer"),
    ("/messages/queue/to-pack?which=dead", "to-pack"),
    ("/messages/topic/pubsub%2Forders", "pubsub/orders"),
    ("/map?on=front", "Map"),
    ("/manifest?tab=written", "Manifest"),
    ("/traces?error=true", "Traces"),
    ("/graphs?name=colony.call.requests", "Metrics"),
    ("/slos/packer", "packer"),
];

/// A shop in which there is something of everything.
fn busy() -> Shop {
    let shop = Shop::open();
    shop.write("open for business");
    for _ in 0..5 {
        assert_eq!(shop.ask("GET", "/ask", None).body, "made");
    }
    shop.pack_without_tape(3);
    shop.api("front-1", "POST", "/v1.0/publish/pubsub/orders", Some(json!({ "order": 1 })));
    shop
}

/// Name, title and key of every page, as the navigation has them.
fn pages(page: &Page) -> Vec<[String; 3]> {
    let told = page.run(
        "return [...document.querySelectorAll('#nav a')].map((a) => [a.dataset.page, a.firstChild.textContent, a.querySelector('kbd').textContent])",
        &[],
    );
    serde_json::from_value(told).expect("names, titles and keys")
}

fn seen(page: &Page, name: &str, title: &str) {
    page.headed(title);
    page.is(
        "its link as the current one",
        &format!("return document.querySelector('#nav a[aria-current]')?.dataset.page === '{name}'"),
    );
    if let Some((_, css, text)) = SEEN.iter().find(|(of, ..)| *of == name) {
        page.says(css, text);
    }
}

#[test]
fn every_page_opens_by_click_and_by_its_keys_and_shows_what_there_is() {
    let shop = busy();
    let page = Page::logged_in(&shop.looked);
    let all = pages(&page);
    for (name, ..) in SEEN {
        assert!(all.iter().any(|[of, ..]| of == name), "no page {name}: {all:?}");
    }
    for [name, title, _] in &all {
        page.click("#nav a", title);
        seen(&page, name, title);
        assert_eq!(page.address(), format!("/{name}"));
        page.is("its title", &format!("return document.title.startsWith({})", json!(title)));
    }
    for [name, title, keys] in &all {
        page.press(&keys.split(' ').collect::<Vec<_>>());
        seen(&page, name, title);
    }
    // From wherever one is within a page its keys lead to its beginning.
    for (path, heading) in PLACES {
        page.open(path);
        page.headed(heading);
        let name = path[1..].split(['/', '?']).next().unwrap_or_default();
        let [_, title, keys] = all.iter().find(|[of, ..]| of == name).expect("its page");
        page.press(&keys.split(' ').collect::<Vec<_>>());
        seen(&page, name, title);
        assert_eq!(page.address(), format!("/{name}"));
    }
    page.open("/no/such%E0page");
    page.says("h1", "There is no such page");
}

#[test]
fn no_page_scrolls_sideways_on_a_phone() {
    let shop = busy();
    let page = Page::logged_in(&shop.looked);
    let all = pages(&page);
    page.on_a_phone();
    for [name, title, _] in &all {
        page.open(&format!("/{name}"));
        seen(&page, name, title);
        assert_eq!(page.too_wide(), json!([]), "/{name}");
    }
    for (path, heading) in PLACES {
        page.open(path);
        page.headed(heading);
        page.is("what it fetches", "return !document.querySelector('main .loading')");
        assert_eq!(page.too_wide(), json!([]), "{path}");
    }
}

#[test]
fn a_slash_searches_and_a_question_mark_helps() {
    let shop = Shop::open();
    let page = Page::logged_in(&shop.looked);
    page.is("the services", "return document.querySelectorAll('.node').length >= 3");
    page.press(&["/"]);
    page.fill("dialog input", "pack");
    page.says("dialog li[aria-selected] a", "packer");
    page.press(&["\u{E015}", "\u{E013}", "\u{E007}"]);
    page.headed("packer");
    assert_eq!(page.address(), "/services/packer");

    page.press(&["/"]);
    page.fill("dialog input", "front ->");
    page.click("dialog li a", "front -> packer");
    page.headed("front -> packer");
    page.press(&["/"]);
    page.fill("dialog input", "nobody is called so");
    page.says("dialog li", "Nothing");
    page.press(&["\u{E00C}"]);
    page.is("the end of the search", "return !document.querySelector('dialog')");

    page.press(&["?"]);
    for [_, title, keys] in pages(&page) {
        page.says("dialog dt", &keys);
        page.says("dialog dd", &title);
    }
    page.press(&["\u{E00C}"]);
    page.is("the end of the help", "return !document.querySelector('dialog')");
    // Within a field a key is a letter.
    page.open("/logs");
    page.fill("main input[type=search]", "g m?/");
    page.headed("Logs");
    page.is("it in the field", "return document.querySelector('main input[type=search]').value === 'g m?/'");
}

#[test]
fn an_address_is_a_state_that_one_comes_back_to() {
    let shop = Shop::open();
    shop.write("apples\npears");
    let page = Page::logged_in(&shop.looked);
    page.press(&["g", "l"]);
    page.choose("main select[aria-label=Service]", "front");
    page.fill("main input[type=search]", "apples");
    page.says(".line .text", "apples");
    page.says_no_more(".line .text", "pears");
    assert_eq!(page.address(), "/logs?service=front&text=apples");
    let same = || {
        page.says(".line .text", "apples");
        page.says_no_more(".line .text", "pears");
        page.is(
            "the choice",
            "return document.querySelector('main select[aria-label=Service]').value === 'front'",
        );
        page.is("the text", "return document.querySelector('main input[type=search]').value === 'apples'");
    };
    page.reload();
    same();
    // What there is to choose from is there after a reload, too.
    page.says("main select[aria-label=Service] option", "packer");

    page.press(&["\u{E00C}"]);
    page.click("#nav a", "Map");
    page.headed("Map");
    page.click(".node", "packer");
    page.says("aside h2", "packer");
    assert!(page.address().starts_with("/map?on=packer"), "{}", page.address());
    page.back();
    page.headed("Logs");
    same();
    page.forward();
    page.headed("Map");
    page.says("aside h2", "packer");
    page.reload();
    page.says("aside h2", "packer");

    page.open("/manifest");
    page.click(".tabs a", "As written");
    page.says(".tabs a[aria-current]", "As written");
    page.click(".tabs a", "Difference");
    page.says("main", "What is written is what is applied.");
    page.back();
    page.says(".tabs a[aria-current]", "As written");
    page.back();
    page.says(".tabs a[aria-current]", "As applied");
    page.forward();
    page.reload();
    page.says(".tabs a[aria-current]", "As written");
}

#[test]
fn the_marketplace_and_its_customers_are_on_the_map() {
    let looked = Looked::of(World::marketplace_with_console());
    let page = Page::logged_in(&looked);
    for service in ["storefront", "catalog", "cart", "checkout", "payments", "delivery", "notifications"] {
        page.says(".node text.title", service);
    }
    let customers = looked.world.load(&["--scenario", "shopping", "--rate", "10", "--duration", "6s"]);
    let flows = |edge: &str| {
        let script = format!(
            "return [...document.querySelectorAll('.edge[data-flow]')].some((one) => one.querySelector('title').textContent.startsWith({}))",
            json!(edge)
        );
        page.is(&format!("requests on {edge}"), &script);
    };
    for edge in ["gateway -> storefront", "checkout -> payments", "cart -> catalog"] {
        flows(edge);
    }
    page.open("/messages");
    page.says("main tbody a", "events/order-placed");
    page.open("/services");
    page.says("main tbody tr", "2/2");
    assert_eq!(customers.join().expect("a report")["failed"], 0);
}

#[test]
fn a_page_that_cannot_be_fetched_says_so_and_the_others_are_fetched_before_they_are_wanted() {
    let shop = busy();
    let page = Page::logged_in(&shop.looked);
    let fetched = |name: &str| {
        format!(
            "return performance.getEntriesByType('resource').some(({{ name }}) => name.endsWith('/{name}.js'))"
        )
    };
    // The module of one cannot be had: that is said where it would be, and the others are as they were.
    page.chrome.command("Network.enable", json!({}));
    page.chrome.command("Network.setBlockedURLs", json!({ "urls": ["*/slos.js"] }));
    page.open("/manifest");
    page.headed("Manifest");
    page.click("#nav a", "SLOs");
    page.headed("This page could not be fetched");
    page.click("#nav a", "Services");
    page.headed("Services");
    // Who goes there again has it tried again, in another document.
    page.click("#nav a", "SLOs");
    page.is("another attempt", "return performance.getEntriesByType('navigation')[0].type === 'reload'");
    page.headed("This page could not be fetched");
    page.forgive(|_| true);
    page.chrome.command("Network.setBlockedURLs", json!({ "urls": [] }));
    page.click("main button", "Try again");
    page.headed("SLOs");
    page.is("that all pages are there", &fetched("graphs"));
    page.is("that all pages are there", &fetched("nowhere"));
    assert_eq!(page.address(), "/slos");
}

#[test]
fn a_console_whose_first_files_cannot_be_fetched_says_so() {
    let shop = busy();
    let page = Page::logged_in(&shop.looked);
    let words = "The console’s files could not be fetched. Load the page again.";
    page.chrome.command("Network.enable", json!({}));
    page.chrome.command("Network.setBlockedURLs", json!({ "urls": ["*/net.js"] }));
    page.open("/map");
    // Not at once: files take a moment.
    page.is(
        "words that wait",
        "return performance.now() > 3000 || getComputedStyle(document.querySelector('main p')).visibility === 'hidden'",
    );
    page.is("words", "return getComputedStyle(document.querySelector('main p')).visibility === 'visible'");
    page.says("main", words);
    page.forgive(|_| true);
    page.chrome.command("Network.setBlockedURLs", json!({ "urls": [] }));
    page.reload();
    page.headed("Map");
    page.says_no_more("main", words);
}

#[test]
fn times_that_are_none_are_told() {
    let shop = busy();
    let page = Page::logged_in(&shop.looked);
    for path in ["/traces", "/logs", "/graphs"] {
        page.open(&format!("{path}?from=xyz"));
        page.says(".range .bad", "from=xyz is no time");
        page.click(".range button", "1 h");
        page.says_no_more(".range .bad", "xyz");
    }
}
