//! Who gets in: the link, and nobody else's page.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::page::Page;
use super::shop::Shop;
use crate::world::listening;

#[test]
fn the_link_lets_one_in_and_its_token_stays_nowhere() {
    let shop = Shop::open();
    let page = Page::of(&shop.looked);
    page.open("/services");
    page.says("h1", "This console needs its link");
    assert!(!page.text("body").expect("a text").contains("front"));
    page.open("/?token=wrong");
    page.says("h1", "This console needs its link");
    page.forgive(|error| error.contains("401"));

    page.open(&format!("/services?a=1&token={}", shop.looked.token));
    page.headed("Services");
    assert_eq!(page.address(), "/services?a=1");
    let cookies = page.chrome.get("/cookie").expect("cookies");
    let port = shop.looked.address.rsplit(':').next().expect("a port");
    assert_eq!(cookies.as_array().map(Vec::len), Some(1), "{cookies}");
    let cookie = &cookies[0];
    assert_eq!(cookie["name"], format!("colony_console_{port}"));
    assert_eq!((&cookie["httpOnly"], &cookie["sameSite"]), (&json!(true), &json!("Strict")));
    let left = page.run(
        "return [document.cookie, document.referrer, JSON.stringify({ ...localStorage, ...sessionStorage }), \
         document.documentElement.outerHTML, ...performance.getEntries().map((entry) => entry.name)].join(' ')",
        &[],
    );
    assert!(!left.as_str().expect("text").contains(&shop.looked.token), "{left}");

    // It is the session that lets in.
    page.open("/manifest");
    page.headed("Manifest");
    page.chrome.command("Network.clearBrowserCookies", json!({}));
    page.reload();
    page.says("h1", "This console needs its link");
    page.forgive(|error| error.contains("401"));
}

#[test]
fn every_answer_has_the_policy_that_the_pages_keep() {
    let shop = Shop::open();
    let file = |name: &str| format!("{}{name}", shop.looked.assets());
    for path in ["/", "/map", &file("app.js"), "/api/status", "/api/nothing", &file("mark.svg")] {
        let answer = shop.looked.ask("GET", path, None);
        let policy = answer.header("content-security-policy").unwrap_or_else(|| panic!("{path}: {answer:?}"));
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ] {
            assert!(policy.split(';').any(|part| part.trim() == rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("data:"), "{policy}");
    }
    // The browser knows it, too.
    let page = Page::logged_in(&shop.looked);
    let refused = page.run(
        "try { document.body.innerHTML = '<b>x</b>'; return 'taken' } catch (error) { return error.name }",
        &[],
    );
    assert_eq!(refused, "TypeError");
    let refused = page.await_run(
        "const script = document.createElement('script'); \
         try { script.textContent = 'window.__ran = true'; document.head.append(script); } catch (error) { return error.name } \
         return window.__ran ?? 'not run'",
        &[],
    );
    assert!(refused == "TypeError" || refused == "not run", "{refused}");
    page.forgive(|error| error.contains("Trusted") || error.contains("Content Security Policy"));
}

/// Another program's page.
pub fn elsewhere() -> SocketAddr {
    listening(|mut stream| {
        let mut head = BufReader::new(stream.try_clone().expect("cloned")).lines();
        while head.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        let body = "<!doctype html><title>elsewhere</title><p>elsewhere</p>";
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let _ = stream.write_all(answer.as_bytes());
    })
}

/// All ways that a page has to ask another origin; each says what came of it.
const ATTACK: &str = "\
    const [node, assets] = given; \
    const told = {}; \
    const fault = JSON.stringify({ on: 'packer', status: 503, for_ms: 60000 }); \
    const tries = { \
      read: () => fetch(`${node}/api/status`, { credentials: 'include' }).then((answer) => answer.text()), \
      written: () => fetch(`${node}/api/faults`, { method: 'POST', credentials: 'include', headers: { 'content-type': 'application/json' }, body: fault }).then((answer) => answer.text()), \
      removed: () => fetch(`${node}/api/faults`, { method: 'DELETE', credentials: 'include' }).then((answer) => answer.text()), \
      'written blindly': () => fetch(`${node}/api/faults`, { method: 'POST', mode: 'no-cors', credentials: 'include', body: fault }).then((answer) => answer.text()), \
      'sent by beacon': async () => { navigator.sendBeacon(`${node}/api/services/packer/stop`, new Blob([fault], { type: 'text/plain' })); return ''; }, \
      followed: () => new Promise((done, failed) => { const source = new EventSource(`${node}/api/events`, { withCredentials: true }); \
        source.onmessage = source.onopen = () => done('opened'); source.addEventListener('view', () => done('viewed')); source.onerror = () => { source.close(); failed(new Error('refused')); }; }), \
      spoken: () => new Promise((done, failed) => { const socket = new WebSocket(`${node.replace('http', 'ws')}/api/events`); socket.onopen = () => done('opened'); socket.onerror = () => failed(new Error('refused')); }), \
      framed: () => new Promise((done, failed) => { const frame = document.createElement('iframe'); frame.src = `${node}/map`; frame.onload = () => { \
        let inside = null; try { inside = frame.contentDocument?.body?.textContent } catch { inside = null } \
        inside ? done(inside) : frame.contentWindow.length === 0 ? failed(new Error('refused')) : done('framed') }; document.body.append(frame); }), \
      'read as a script': () => new Promise((done, failed) => { const script = document.createElement('script'); script.src = `${node}${assets}app.js`; script.onload = () => done('loaded'); script.onerror = () => failed(new Error('refused')); document.body.append(script); }), \
      'read as a picture': () => new Promise((done, failed) => { const picture = new Image(); picture.src = `${node}${assets}mark.svg`; picture.onload = () => done('loaded'); picture.onerror = () => failed(new Error('refused')); }), \
    }; \
    for (const [name, act] of Object.entries(tries)) { \
      try { told[name] = await act() } catch (error) { told[name] = null } \
    } \
    return told";

#[test]
fn no_other_page_can_ask_with_the_session_that_it_has() {
    let shop = Shop::open();
    let node = format!("http://{}", shop.looked.address);
    let assets = shop.looked.assets();
    let other = elsewhere().port();
    let page = Page::logged_in(&shop.looked);
    // The same address at another port is another origin, but the same site: there the cookie comes along.
    for at in [format!("127.0.0.1:{other}"), format!("localhost:{other}"), format!("evil.example:{other}")] {
        page.visit(&format!("http://{at}/"));
        page.says("p", "elsewhere");
        let told = page.await_run(ATTACK, &[&node, &assets]);
        for (name, got) in told.as_object().unwrap_or_else(|| panic!("{at}: {told}")) {
            // Whoever asks blindly is told nothing, whatever is done.
            let is_nothing = got.is_null() || got == "";
            assert!(is_nothing, "{at}: {name}: {got}");
        }
        assert_eq!(shop.looked.get("/api/faults")["faults"], json!([]), "{at}");
        assert_eq!(shop.world().service("packer")["ready"], 1, "{at}");

        // A form, which leaves for the answer.
        page.run(
            "const form = document.createElement('form'); form.method = 'post'; form.action = `${arguments[0]}/api/services/packer/stop`; \
             document.body.append(form); form.submit()",
            &[&node],
        );
        page.says("body", "refused");
        assert_eq!(shop.world().service("packer")["ready"], 1, "{at}");
        // And a link.
        page.visit(&format!("http://{at}/"));
        page.run(
            "const a = document.createElement('a'); a.href = `${arguments[0]}/api/status`; document.body.append(a); a.click()",
            &[&node],
        );
        page.says("body", "another site asks");
        page.forgive(|_| true);
    }
    // A name that somebody else may own, and has resolve to this machine.
    let port = shop.looked.address.rsplit(':').next().expect("a port");
    page.visit(&format!("http://evil.example:{port}/api/status"));
    page.says("body", "not by another name");
    page.forgive(|error| error.contains("421"));

    // All that while there was a session: the console's own page can do all of it.
    page.open("/break");
    let own = page.await_run(
        "const answer = await fetch('/api/faults', { method: 'POST', headers: { 'content-type': 'application/json' }, \
         body: JSON.stringify({ on: 'packer', status: 503, for_ms: 60000 }) }); return answer.status",
        &[],
    );
    assert_eq!(own, Value::from(200));
    assert_eq!(shop.looked.get("/api/faults")["faults"].as_array().map(Vec::len), Some(1));
}
