//! A page that somebody looks at: what it shows, clicks and keys, and what is kept of it when a test fails.
//!
//! Nothing is asserted once: a page is live, so it is asked again until it is so. A page that said something of an error to the
//! browser's console fails its test.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::chrome::{Chrome, Refusal, shared};
use crate::console::Looked;
use crate::world::until;

/// One at a time looks.
static TURN: Mutex<()> = Mutex::new(());

/// The browser's window at a console.
pub struct Page {
    pub chrome: Arc<Chrome>,
    origin: String,
    _turn: MutexGuard<'static, ()>,
}

/// How WebDriver says that something is an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

impl Page {
    /// Nobody has logged in.
    pub fn of(looked: &Looked) -> Page {
        // Held while it waits, so that the browser goes on to the next.
        let waiting = shared();
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let chrome = shared();
        drop(waiting);
        chrome.clean();
        Page { chrome, origin: format!("http://{}", looked.address), _turn: turn }
    }

    /// By the link, which leads to the map.
    pub fn logged_in(looked: &Looked) -> Page {
        let page = Page::of(looked);
        page.visit(&format!("{}/?token={}", page.origin, looked.token));
        page.is("the map", "return document.querySelector('h1')?.textContent === 'Map'");
        page
    }

    /// Loads an address of the console.
    pub fn open(&self, path: &str) {
        self.visit(&format!("{}{path}", self.origin));
    }

    pub fn visit(&self, url: &str) {
        self.chrome
            .post("/url", json!({ "url": url }))
            .unwrap_or_else(|refused| panic!("{url}: {refused:?}"));
    }

    pub fn back(&self) {
        self.chrome.post("/back", json!({})).expect("it goes back");
    }

    pub fn forward(&self) {
        self.chrome.post("/forward", json!({})).expect("it goes forward");
    }

    pub fn reload(&self) {
        self.chrome.post("/refresh", json!({})).expect("it loads anew");
    }

    /// Opens another tab before this one, which is hidden then; returns by what this one is known.
    pub fn new_tab(&self) -> String {
        let before = self.chrome.get("/window").expect("a tab");
        let tab = self.chrome.post("/window/new", json!({ "type": "tab" })).expect("another tab");
        self.to_tab(tab["handle"].as_str().expect("by what it is known"));
        before.as_str().expect("by what it is known").to_owned()
    }

    /// Brings a tab to the front.
    pub fn to_tab(&self, tab: &str) {
        self.chrome.post("/window", json!({ "handle": tab })).expect("the tab");
    }

    /// As wide and high as a phone.
    pub fn on_a_phone(&self) {
        self.sized(390, 844, true);
    }

    /// As wide and high as a small laptop.
    pub fn on_a_laptop(&self) {
        self.sized(1280, 900, false);
    }

    fn sized(&self, width: u32, height: u32, mobile: bool) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        self.chrome.command("Emulation.setDeviceMetricsOverride", size);
    }

    /// Path and query.
    pub fn address(&self) -> String {
        let url = self.chrome.get("/url").expect("an address");
        url.as_str().expect("text").trim_start_matches(&self.origin).to_owned()
    }

    /// Runs a function's body in the page, with `arguments`.
    pub fn run(&self, script: &str, arguments: &[&str]) -> Value {
        self.try_run(script, arguments).unwrap_or_else(|refused| panic!("{script}: {refused:?}"))
    }

    fn try_run(&self, script: &str, arguments: &[&str]) -> Result<Value, Refusal> {
        self.chrome.post("/execute/sync", json!({ "script": script, "args": arguments }))
    }

    /// The same for one that returns a promise.
    pub fn await_run(&self, script: &str, arguments: &[&str]) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1]; \
             (async (...given) => {{ {script} }})(...[...arguments].slice(0, -1)).then(done, (error) => done(`failed: ${{error}}`));"
        );
        let answer = self.chrome.post("/execute/async", json!({ "script": script, "args": arguments }));
        answer.unwrap_or_else(|refused| panic!("{script}: {refused:?}"))
    }

    /// Waits until a function's body returns something that is true.
    pub fn is(&self, what: &str, script: &str) -> Value {
        self.is_with(what, script, &[])
    }

    fn is_with(&self, what: &str, script: &str, arguments: &[&str]) -> Value {
        let truth =
            |value: &Value| !matches!(value, Value::Null | Value::Bool(false)) && value != "" && value != 0;
        // Between two documents there is none to ask.
        until(what, || self.try_run(script, arguments).ok().filter(truth), || self.shown())
    }

    /// Waits until an element of this kind that is in sight has this text in it.
    pub fn says(&self, css: &str, text: &str) {
        self.is_with(&format!("`{text}` in `{css}`"), FIND, &[css, text]);
    }

    /// Waits until there is none.
    pub fn says_no_more(&self, css: &str, text: &str) {
        self.is_with(
            &format!("an end of `{text}` in `{css}`"),
            &format!("return !(() => {{ {FIND} }})()"),
            &[css, text],
        );
    }

    /// Waits for the heading and the title of a page.
    pub fn headed(&self, heading: &str) {
        self.says("main h1", heading);
    }

    /// The text of the first element of this kind, null if there is none.
    pub fn text(&self, css: &str) -> Option<String> {
        let found = self.run("return document.querySelector(arguments[0])?.textContent ?? null", &[css]);
        found.as_str().map(str::to_owned)
    }

    /// Clicks where the first element is that is in sight and has this text in it, as soon as nothing lies over it.
    pub fn click(&self, css: &str, text: &str) {
        self.with(&[css, text], |element| self.chrome.post(&format!("/element/{element}/click"), json!({})));
    }

    /// The same within the rows that have this text in them.
    pub fn click_in(&self, row: &str, css: &str, text: &str) {
        let place = [css, text, "main tr, main li", row];
        self.with(&place, |element| self.chrome.post(&format!("/element/{element}/click"), json!({})));
    }

    /// Writes into a field what shall be in it.
    pub fn fill(&self, css: &str, text: &str) {
        self.fill_place(&[css, ""], text);
    }

    /// Writes into the field with this label.
    pub fn fill_labelled(&self, label: &str, text: &str) {
        self.fill_place(&["input", "", "main label", label], text);
    }

    /// Chooses the option with this text in it in the field with this label.
    pub fn choose_labelled(&self, label: &str, option: &str) {
        let place = ["option", option, "main label", label];
        self.with(&place, |element| self.chrome.post(&format!("/element/{element}/click"), json!({})));
    }

    /// Drags with the mouse across an element, from one part of its width to another.
    pub fn drag(&self, css: &str, from: f64, to: f64) {
        self.says(css, "");
        let rect = self.run(
            "const one = document.querySelector(arguments[0]); one.scrollIntoView({ block: 'center' }); \
             const { x, y, width, height } = one.getBoundingClientRect(); return [x, y, width, height]",
            &[css],
        );
        let at = |part: f64| {
            let of = |place: usize| rect[place].as_f64().expect("a number");
            json!({ "type": "pointerMove", "duration": 50, "x": (of(0) + of(2) * part) as i64, "y": (of(1) + of(3) / 2.0) as i64 })
        };
        let button = |kind: &str| json!({ "type": kind, "button": 0 });
        let steps =
            json!([at(from), button("pointerDown"), at((from + to) / 2.0), at(to), button("pointerUp")]);
        let mouse = json!({ "type": "pointer", "id": "mouse", "parameters": { "pointerType": "mouse" }, "actions": steps });
        self.chrome.post("/actions", json!({ "actions": [mouse] })).expect("dragged");
    }

    fn fill_place(&self, place: &[&str], text: &str) {
        self.with(place, |element| self.chrome.post(&format!("/element/{element}/clear"), json!({})));
        self.with(place, |element| {
            self.chrome.post(&format!("/element/{element}/value"), json!({ "text": text }))
        });
    }

    /// Chooses the option with this text in it.
    pub fn choose(&self, css: &str, option: &str) {
        self.is_with(&format!("`{option}` in `{css}`"), FIND_OPTION, &[css, option]);
        until(
            &format!("the choice of `{option}` in `{css}`"),
            || {
                let element = self.try_run(FIND_OPTION, &[css, option]).ok()?;
                let element = element[ELEMENT].as_str()?.to_owned();
                self.chrome.post(&format!("/element/{element}/click"), json!({})).ok()
            },
            || self.shown(),
        );
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub fn press(&self, keys: &[&str]) {
        let strokes: Vec<Value> = keys
            .iter()
            .flat_map(|key| {
                [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })]
            })
            .collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": strokes });
        self.chrome.post("/actions", json!({ "actions": [keyboard] })).expect("pressed");
    }

    /// What was said of errors up to here is as it should be.
    pub fn forgive(&self, fits: impl Fn(&str) -> bool) {
        let wrong: Vec<String> = self.chrome.errors().into_iter().filter(|error| !fits(error)).collect();
        assert!(wrong.is_empty(), "the browser's console: {wrong:#?}");
    }

    /// What is wider than the page, which then scrolls sideways: none should be.
    pub fn too_wide(&self) -> Value {
        self.run(TOO_WIDE, &[])
    }

    fn with(&self, place: &[&str], deed: impl Fn(&str) -> Result<Value, Refusal>) {
        let last = Mutex::new(String::new());
        until(
            &format!("{place:?} that takes a click or keys"),
            || {
                let element = self.try_run(FIND, place).ok()?;
                // It may be replaced meanwhile, move, or have something over it.
                let done = deed(element[ELEMENT].as_str()?);
                done.map_err(|refused| *last.lock().expect("lock") = format!("{refused:?}")).ok()
            },
            || format!("{}\n{}", last.lock().expect("lock"), self.shown()),
        );
    }

    /// Where and what the page is.
    fn shown(&self) -> String {
        let text =
            self.try_run("return location.pathname + location.search + '\\n' + document.body.innerText", &[]);
        text.map_or_else(
            |refused| format!("{refused:?}"),
            |text| text.as_str().unwrap_or_default().to_owned(),
        )
    }

    /// Keeps a picture and the text of a page whose test fails.
    #[allow(clippy::disallowed_macros, reason = "a test says it with its failure")]
    fn keep(&self) {
        let name = std::thread::current().name().unwrap_or("page").replace("::", "-");
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("browser");
        let picture = self.chrome.get("/screenshot").ok();
        let picture = picture.and_then(|data| BASE64_STANDARD.decode(data.as_str().unwrap_or_default()).ok());
        let errors = self.chrome.errors();
        let _ = std::fs::create_dir_all(&folder);
        let _ = std::fs::write(folder.join(format!("{name}.png")), picture.unwrap_or_default());
        let text = format!("{}\n\nThe browser's console: {errors:#?}\n", self.shown());
        let _ = std::fs::write(folder.join(format!("{name}.txt")), text);
        eprintln!("the page as it was: {}/{name}.png and .txt", folder.display());
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return self.keep();
        }
        let errors = self.chrome.errors();
        if !errors.is_empty() {
            self.keep();
            panic!("the browser's console: {errors:#?}");
        }
    }
}

/// The first element in sight of a kind with a text in it, within another kind with a text of its own. Options are in sight with their list.
const FIND: &str = "const [css, text, outer, among] = arguments; \
    const within = outer ? [...document.querySelectorAll(outer)].filter((one) => one.textContent.includes(among)) : [document]; \
    return within.flatMap((one) => [...one.querySelectorAll(css)]) \
      .find((one) => (one.closest('select') ?? one).checkVisibility() && (one.textContent ?? '').includes(text)) ?? null";

const FIND_OPTION: &str = "const [css, text] = arguments; \
    return [...document.querySelectorAll(`${css} option`)].find((one) => one.textContent.includes(text)) ?? null";

const TOO_WIDE: &str = "\
    const room = document.documentElement.clientWidth; \
    if (document.documentElement.scrollWidth <= room) return []; \
    const scrolls = (one) => one && one !== document.body && (getComputedStyle(one).overflowX !== 'visible' || scrolls(one.parentElement)); \
    return [...document.body.querySelectorAll('*')].filter((one) => one.getBoundingClientRect().right > room + 1 && !scrolls(one.parentElement)) \
      .map((one) => `${one.localName}.${one.getAttribute('class')}: ${one.textContent.slice(0, 60)}`).slice(0, 5)";
