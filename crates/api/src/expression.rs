//! Conditions in CEL, such as routing rules have: written by who runs an application, or told by the application itself, so
//! that none may be able to end this process.
//!
//! A condition is read once, on a thread with a stack that no expression can exhaust, and is refused if it is too deep to
//! be evaluated on any other, or names what there is not: a misspelt name would otherwise fail with every event. Numbers
//! of JSON are doubles, as CEL has it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::thread;

use cel::common::ast::{EntryExpr, Expr};
use cel::objects::{Key, Map};
use cel::{Context, Env, IdedExpr, Value};

/// A condition over one variable.
pub struct Expression {
    text: String,
    variable: &'static str,
    read: IdedExpr,
}

/// Why a text is no condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Where in the text, in bytes, if it is one place.
    pub at: Option<usize>,
    /// What is wrong with it.
    pub why: String,
}

impl Expression {
    /// Reads a condition.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn new(text: &str, variable: &'static str) -> Result<Expression, Invalid> {
        let text = text.trim();
        if text.len() > TEXT_BYTES_MAX {
            let why = format!("it has {} bytes; {TEXT_BYTES_MAX} are the most", text.len());
            return Err(Invalid { at: None, why });
        }
        let owned = text.to_owned();
        let reading = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || read(&owned, variable));
        let joined = reading.map(thread::JoinHandle::join);
        let read = match joined {
            Ok(Ok(read)) => read?,
            Ok(Err(_)) | Err(_) => return Err(Invalid { at: None, why: "it cannot be read".to_owned() }),
        };
        Ok(Expression { text: text.to_owned(), variable, read })
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it holds.
    ///
    /// # Errors
    ///
    /// Why that cannot be said, such as that something that it asks for is not there.
    pub fn holds(&self, value: &Value) -> Result<bool, String> {
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.add_variable_from_value(self.variable, value.clone());
        match Value::resolve(&self.read, &context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(other) => Err(format!("{} is {other:?}, and neither true nor false", self.text)),
            Err(error) => Err(format!("{}: {error}", self.text)),
        }
    }
}

/// A value of JSON as conditions see it.
pub fn value(json: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(truth),
        Json::Number(number) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Value::String(Arc::new(text)),
        Json::Array(items) => Value::List(Arc::new(items.into_iter().map(value).collect())),
        Json::Object(fields) => {
            let fields = fields.into_iter().map(|(key, field)| (Key::String(Arc::new(key)), value(field)));
            Value::Map(Map { map: Arc::new(fields.collect::<HashMap<_, _>>()) })
        }
    }
}

fn read(text: &str, variable: &'static str) -> Result<IdedExpr, Invalid> {
    let read = ENV.parser().max_recursion_depth(DEPTH_MAX).parse(text).map_err(|errors| {
        let Some(first) = errors.errors.first() else {
            return Invalid { at: None, why: "it is no CEL".into() };
        };
        Invalid { at: offset(text, first.pos), why: first.msg.clone() }
    })?;
    let mut names = vec![variable];
    check(&read, &mut names, DEPTH_MAX).map_err(|why| Invalid { at: None, why })?;
    Ok(read)
}

/// A line and a column, both from one, as a place in the text.
fn offset(text: &str, (line, column): (isize, isize)) -> Option<usize> {
    let (line, column) = (usize::try_from(line).ok()?, usize::try_from(column).ok()?);
    let begin: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    let rest = text.get(begin..)?;
    let within = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
    Some(begin + within)
}

/// That it is not deeper than `left`, and names nothing but what there is.
fn check<'a>(part: &'a IdedExpr, names: &mut Vec<&'a str>, left: u16) -> Result<(), String> {
    let left = left.checked_sub(1).ok_or_else(|| format!("it is deeper than {DEPTH_MAX} levels"))?;
    match &part.expr {
        Expr::Unspecified | Expr::Literal(_) => Ok(()),
        Expr::Ident(name) => known(name, names),
        Expr::Call(call) => {
            let named = call.func_name.starts_with(|c: char| c.is_ascii_alphabetic());
            if named && !FUNCTIONS.contains(&&*call.func_name) {
                return Err(format!("there is no function `{}` here", call.func_name));
            }
            call.target
                .iter()
                .map(|target| &**target)
                .chain(&call.args)
                .try_for_each(|part| check(part, names, left))
        }
        Expr::List(list) => list.elements.iter().try_for_each(|part| check(part, names, left)),
        Expr::Map(map) => entries(&map.entries, names, left),
        Expr::Struct(made) => Err(format!("there is no type `{}` here", made.type_name)),
        Expr::Select(select) => check(&select.operand, names, left),
        Expr::Comprehension(over) => {
            check(&over.iter_range, names, left)?;
            check(&over.accu_init, names, left)?;
            let known = names.len();
            names.extend([&*over.iter_var, &*over.accu_var]);
            names.extend(over.iter_var2.as_deref());
            let within = [&over.loop_cond, &over.loop_step, &over.result];
            within.into_iter().try_for_each(|part| check(part, names, left))?;
            names.truncate(known);
            Ok(())
        }
    }
}

fn entries<'a>(
    entries: &'a [cel::common::ast::IdedEntryExpr],
    names: &mut Vec<&'a str>,
    left: u16,
) -> Result<(), String> {
    entries.iter().try_for_each(|entry| match &entry.expr {
        EntryExpr::StructField(field) => check(&field.value, names, left),
        EntryExpr::MapEntry(pair) => {
            check(&pair.key, names, left)?;
            check(&pair.value, names, left)
        }
    })
}

fn known(name: &str, names: &[&str]) -> Result<(), String> {
    if names.contains(&name) || TYPES.contains(&name) {
        return Ok(());
    }
    Err(format!("there is no `{name}` here, only `{}`", names.first().copied().unwrap_or_default()))
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.text)
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Invalid {}

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));
/// What can be called by name. There are no functions over times.
const FUNCTIONS: [&str; 14] = [
    "bool",
    "bytes",
    "contains",
    "double",
    "dyn",
    "endsWith",
    "int",
    "matches",
    "size",
    "startsWith",
    "string",
    "type",
    "uint",
    "exists_one",
];
/// What types are called.
const TYPES: [&str; 11] =
    ["bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "type", "uint"];
/// Longest text.
const TEXT_BYTES_MAX: usize = 4_096;
/// Deepest nesting, which any thread has the stack to evaluate.
const DEPTH_MAX: u16 = 32;
/// The stack to read with: only what is needed of it is ever there.
const STACK_BYTES: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(text: &str) -> Result<bool, String> {
        let event = json!({
            "type": "order.placed", "id": "1", "time": "2026-01-01T00:00:00Z",
            "data": { "n": 3, "price": 2.5, "tags": ["a", "b"], "none": null, "deep": { "yes": true } },
        });
        Expression::new(text, "event")
            .unwrap_or_else(|invalid| panic!("{text}: {invalid}"))
            .holds(&value(event))
    }

    #[test]
    fn conditions_hold_or_do_not() {
        for text in [
            r#"event.type == "order.placed""#,
            r#"event.type == "order.placed" && int(event.data.n) > 2"#,
            "event.data.n == 3",
            "event.data.n >= 3.0",
            "int(event.data.n) == 3",
            "event.data.price * 2.0 == 5.0",
            r#"event.data["deep"].yes"#,
            r#"event.type.startsWith("order.") && event.type.matches("^order\\.[a-z]+$")"#,
            r#"event.data.tags.exists(tag, tag == "b") && size(event.data.tags) == 2"#,
            r#""a" in event.data.tags"#,
            "has(event.data.n) && !has(event.data.m)",
            "event.data.none == null",
            "true",
            " event.data.n > 100.0 ? false : true ",
        ] {
            assert_eq!(holds(text), Ok(true), "{text}");
        }
        assert_eq!(holds("event.data.n > 3"), Ok(false));
    }

    #[test]
    fn what_is_not_there_is_an_error_and_not_false() {
        for text in ["event.data.m > 3", "event.data.n", "event.data.n > \"3\"", "event.nothing.at.all == 1"]
        {
            assert!(holds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_condition_is_refused_with_its_place() {
        for (text, at, why) in [
            ("event.type ==", Some(13), "Syntax error"),
            ("event.type = 'x'", Some(11), "Syntax error"),
            ("evnt.type == 'x'", None, "there is no `evnt` here, only `event`"),
            ("event.type.upper() == 'x'", None, "there is no function `upper` here"),
            ("timestamp(event.time) > 1", None, "there is no function `timestamp` here"),
            ("Thing{}", None, "there is no type `Thing` here"),
            ("", Some(0), "Syntax error"),
        ] {
            let refused = Expression::new(text, "event").expect_err(text);
            assert!(refused.why.contains(why) && refused.at == at, "{text}: {refused:?}");
        }
    }

    #[test]
    fn no_text_ends_the_process() {
        for part in [
            "(",
            "[",
            "{",
            "!",
            "-",
            "1+",
            "a?",
            "a?b:",
            "event.a&&",
            "event.a.",
            "f(",
            "[[(",
            "'",
            "\\",
            ">{?[(",
        ] {
            let text = part.repeat(TEXT_BYTES_MAX / part.len());
            assert!(Expression::new(&text, "event").is_err(), "{part}");
        }
        assert!(Expression::new(&" event.a".repeat(TEXT_BYTES_MAX), "event").is_err());
    }

    #[test]
    fn the_deepest_that_is_taken_is_evaluated() {
        let deepest = |count: usize| format!("{}true{}", "[".repeat(count), "][0]".repeat(count));
        let taken =
            (1..64).rev().find_map(|count| Expression::new(&deepest(count), "event").ok()).expect("one");
        assert_eq!(taken.holds(&Value::Null), Ok(true));
        let sums = |count: usize| format!("{}1 > 0", "1+".repeat(count));
        let taken = (1..64).rev().find_map(|count| Expression::new(&sums(count), "event").ok()).expect("one");
        assert_eq!(taken.holds(&Value::Null), Ok(true));
    }
}
