//! What happened, one line of JSON each on standard output, with the trace of what was asked: so who looks at a purchase sees it.

use std::io::Write;

use serde_json::{Value, json};

use crate::context::Context;

/// Something went as it should.
pub fn info(message: &str, order: &str) {
    say(&line("info", message, order));
}

/// Something did not, though nothing is broken.
pub fn warn(message: &str, order: &str) {
    say(&line("warn", message, order));
}

fn line(level: &str, message: &str, order: &str) -> Value {
    let mut line = json!({ "level": level, "msg": message, "order": order });
    if let Some(trace) = Context::current().noted().remove("traceparent") {
        line["traceparent"] = trace.into();
    }
    line
}

/// Nobody may listen any more, and the shop goes on.
fn say(line: &Value) {
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[tokio::test]
    async fn a_line_says_the_trace_that_it_is_written_in() {
        assert_eq!(line("info", "paid", "o1"), json!({ "level": "info", "msg": "paid", "order": "o1" }));
        let noted = BTreeMap::from([("traceparent".to_owned(), "00-1-2-01".to_owned())]);
        let told = Context::of_noted(&noted).scope(async { line("warn", "declined", "o2") }).await;
        assert_eq!(
            told,
            json!({ "level": "warn", "msg": "declined", "order": "o2", "traceparent": "00-1-2-01" })
        );
    }
}
