//! Logs: what is kept of them is found, narrowed and opened, and stays where it is while somebody reads.

use std::time::Duration;

use serde_json::json;

use super::page::Page;
use super::shop::Shop;
use crate::world::wait;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[test]
fn what_was_written_before_a_crash_is_found_narrowed_and_opened() {
    let mut shop = Shop::open();
    shop.write("the last words\nlevel=warn msg=\"low on tape\" size=small");
    let error = format!(
        r#"{{"level":"error","msg":"no tape","size":"large","order":{{"id":7}},"trace_id":"{TRACE}","span_id":"00f067aa0ba902b7"}}"#
    );
    shop.write(&error);
    wait("the records", || {
        let logs = shop.looked.get("/api/logs?text=no+tape&since=1h");
        logs["logs"][0]["attributes"]["log.record.original"] == json!(error)
    });
    // They are written each second.
    std::thread::sleep(Duration::from_secs(3));
    shop.looked.world.signal(libc::SIGKILL);
    shop.looked.world.exit_code();
    let _world = shop.world().up_again();

    let page = Page::logged_in(&shop.looked);
    page.open("/logs?text=the+last+words&since=1h");
    page.says(".line .text", "the last words");
    page.says_no_more(".line .text", "low on tape");
    assert_eq!(page.address(), "/logs?text=the+last+words&from=-1h");

    page.open("/logs?level=error&service=front");
    page.is(
        "errors alone, each marked by a word and a shape",
        "const all = [...document.querySelectorAll('.line')]; \
         return all.length === 1 && all.every((one) => one.querySelector('.level').textContent === 'ERROR' && \
         getComputedStyle(one.querySelector('.level'), '::before').width === '8px')",
    );
    page.click(".line .text", "no tape");
    page.says("main aside dt", "order");
    page.says("main aside dd", "{\"id\":7}");
    page.says("main aside .raw", &error);
    page.is(
        "a way to its trace",
        &format!(
            "return document.querySelector('main aside a[href=\"/traces/{TRACE}?span=00f067aa0ba902b7\"]') && \
             document.querySelector('.line .of-trace').getAttribute('href') === '/traces/{TRACE}?span=00f067aa0ba902b7'"
        ),
    );
    assert!(page.address().starts_with("/logs?service=front&level=error&line="), "{}", page.address());
    page.reload();
    page.says("main aside .raw", &error);
    // Attributes of a line narrow what is looked at.
    page.choose("main select[aria-label=Level]", "Warnings and errors");
    page.says(".line .text", "low on tape");
    page.says(".line .text", "no tape");
    page.click(".line .text", "low on tape");
    page.click("main aside dd a", "small");
    page.says("main .chips button", "size=small");
    page.says_no_more(".line .text", "no tape");
    page.says(".line .text", "low on tape");
    page.press(&["\u{E00C}"]);
    page.is("the panel shut", "return !document.querySelector('main aside')?.textContent");
    page.back();
    page.says(".line .text", "no tape");
    page.open("/logs?text=never+said");
    page.says("main .empty", "Nothing of that was written");
    page.click("main .empty button", "Ask for anything");
    page.says(".line .text", "the last words");
}

/// What is in sight and where.
const IN_SIGHT: &str = "const { top, bottom } = document.querySelector('.lines').getBoundingClientRect(); \
    return [...document.querySelectorAll('.line')].map((one) => [one.getBoundingClientRect(), one.textContent]) \
      .filter(([at]) => at.top >= top && at.bottom <= bottom).map(([at, text]) => `${Math.round(at.top)} ${text}`)";

#[test]
fn earlier_lines_come_as_one_scrolls_up_and_what_is_read_stays() {
    let shop = Shop::open();
    let lines =
        |word: &str, count: usize| (0..count).map(|n| format!("{word} {n}")).collect::<Vec<_>>().join("\n");
    shop.write(&lines("old", 3_000));
    let page = Page::logged_in(&shop.looked);
    page.open("/logs?service=front");
    page.says(".line .text", "old 2999");
    page.is(
        "the first, after all those between",
        "const box = document.querySelector('.lines'); box.scrollTop = 0; \
         return [...box.querySelectorAll('.text')].some((one) => one.textContent === 'old 0')",
    );
    assert_eq!(page.run("return document.querySelectorAll('.line').length < 150", &[]), true);
    page.run(
        "const box = document.querySelector('.lines'); box.scrollTop = box.scrollHeight / 2; return 1",
        &[],
    );
    page.is("lines from the middle", "return [...document.querySelectorAll('.line .text')].some((one) => /^old 1[45]../.test(one.textContent))");
    let before = page.run(IN_SIGHT, &[]);
    assert!(before.as_array().is_some_and(|all| all.len() > 5), "{before}");
    shop.write(&lines("new", 200));
    page.says(".records .end", "200 new");
    assert_eq!(page.run(IN_SIGHT, &[]), before);
    page.click(".records .end", "200 new");
    page.says(".line .text", "new 199");
    // At the end it follows.
    shop.write("the newest");
    page.says(".line .text", "the newest");
    // By keys from line to line, and into one.
    page.run("document.querySelector('.lines').focus(); return 1", &[]);
    page.press(&["\u{E013}", "\u{E013}", "\u{E007}"]);
    page.says("main aside .raw", "new 1");
}

#[test]
fn tables_stack_on_a_phone() {
    let shop = Shop::open();
    let page = Page::logged_in(&shop.looked);
    page.on_a_phone();
    page.open("/policies");
    page.is(
        "a call on one line",
        "const cell = [...document.querySelectorAll('main tbody td')].find((one) => one.textContent === 'front -> packer'); \
         return cell && cell.offsetHeight < 30 && cell.offsetWidth > 300",
    );
    page.open("/services/front");
    page.is(
        "each cell beside the name of its column",
        "const cell = [...document.querySelectorAll('main tbody td')].find((one) => getComputedStyle(one, '::before').content === '\"Restarts\"'); \
         return cell?.textContent === '0'",
    );
    page.is(
        "what ends it, without scrolling",
        "const button = [...document.querySelectorAll('main tbody button')].find((one) => one.textContent === 'Kill'); \
         const { left, right } = button.getBoundingClientRect(); return left >= 0 && right <= innerWidth",
    );
    shop.write("a message that is read without moving anything about");
    page.open("/logs");
    page.is(
        "a message of its whole length",
        "const text = [...document.querySelectorAll('.line .text')].find((one) => one.textContent.startsWith('a message that')); \
         return text && text.offsetWidth > 330",
    );
}

#[test]
fn what_tells_of_a_line_does_not_lie_over_it_on_a_phone() {
    let shop = Shop::open();
    let lines: Vec<String> = (1..=40).map(|line| format!("line {line} of forty")).collect();
    shop.write(&lines.join("\n"));
    let page = Page::logged_in(&shop.looked);
    page.on_a_phone();
    page.open("/logs?text=of+forty");
    page.click(".line .text", "line 40 of forty");
    page.says("main aside .raw", "line 40 of forty");
    page.is(
        "the line above what tells of it",
        "const [line, aside] = ['.line[data-on]', 'main aside'].map((one) => document.querySelector(one)?.getBoundingClientRect()); \
         return line && line.top >= 96 && line.bottom <= aside.top",
    );
}
