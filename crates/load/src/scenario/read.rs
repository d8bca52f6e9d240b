//! From the YAML tree to a valid [`Scenario`], collecting every problem on the way.

use http::{Method, StatusCode};

use super::template::Template;
use super::yaml::{self, At, Node, Value};
use super::{Body, Choice, Journey, Json, Problem, Scenario, Step, header_name};

/// Reads the whole file; problems come in its order.
pub(super) fn scenario(text: &str) -> Result<Scenario, Vec<Problem>> {
    let root = match yaml::parse(text) {
        Ok(Some(root)) => root,
        Ok(None) => return Err(vec![problem(At { line: 1, column: 1 }, "the file is empty")]),
        Err((at, message)) => return Err(vec![problem(at, &message)]),
    };
    let mut reader = Reader::default();
    let scenario = reader.scenario(&root);
    reader.problems.sort();
    if reader.problems.is_empty() { Ok(scenario) } else { Err(reader.problems) }
}

fn problem(at: At, message: &str) -> Problem {
    Problem { line: at.line, column: at.column, message: message.to_owned() }
}

#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
    vars: Vec<String>,
}

/// A mapping's entries, already checked for unknown keys.
struct Fields<'a> {
    at: At,
    entries: Vec<(&'a str, At, &'a Node)>,
}

impl<'a> Fields<'a> {
    fn get(&self, key: &str) -> Option<&'a Node> {
        self.entries.iter().find(|(known, ..)| *known == key).map(|(.., node)| *node)
    }
}

impl Reader {
    fn say(&mut self, at: At, message: impl AsRef<str>) {
        self.problems.push(problem(at, message.as_ref()));
    }

    fn scenario(&mut self, root: &Node) -> Scenario {
        let fields = self.fields(root, "a scenario", &["name", "customers", "journeys", "vars"]);
        let vars = fields.get("vars").map(|node| self.vars(node)).unwrap_or_default();
        self.vars = vars.iter().map(|(name, _)| name.clone()).collect();
        let journeys = match fields.get("journeys") {
            Some(node) => self.list(node, "`journeys`").iter().map(|node| self.journey(node)).collect(),
            None => {
                self.say(fields.at, "`journeys` is missing: at least one journey with steps");
                Vec::new()
            }
        };
        Scenario {
            name: self.name(&fields).unwrap_or_else(|| "scenario".to_owned()),
            customers: fields.get("customers").map(|node| self.count(node, "`customers`")),
            journeys,
            vars,
        }
    }

    fn journey(&mut self, node: &Node) -> Journey {
        let fields = self.fields(node, "a journey", &["name", "weight", "steps"]);
        let mut saved = Vec::new();
        let steps = match fields.get("steps") {
            Some(node) => self.list(node, "`steps`").iter().map(|node| self.step(node, &mut saved)).collect(),
            None => {
                self.say(fields.at, "`steps` is missing: at least one step such as `{ get: / }`");
                Vec::new()
            }
        };
        Journey {
            name: self.name(&fields).unwrap_or_else(|| "journey".to_owned()),
            weight: fields.get("weight").map_or(1, |node| self.count(node, "`weight`")),
            steps,
        }
    }

    fn step(&mut self, node: &Node, saved: &mut Vec<String>) -> Step {
        let fields = self.fields(node, "a step", STEP_KEYS);
        let known: Vec<String> = BUILT_IN
            .iter()
            .map(|name| (*name).to_owned())
            .chain(self.vars.clone())
            .chain(saved.clone())
            .collect();
        let (method, path) = self.target(&fields, &known);
        let step = Step {
            name: self.name(&fields).unwrap_or_else(|| format!("{method} {}", path.1)),
            method,
            path: path.0,
            headers: fields.get("headers").map(|node| self.headers(node, &known)).unwrap_or_default(),
            body: self.body(&fields, &known),
            expect: fields.get("expect").map(|node| self.statuses(node)).unwrap_or_default(),
            save: fields.get("save").map(|node| self.save(node)).unwrap_or_default(),
        };
        saved.extend(step.save.iter().map(|(name, _)| name.clone()));
        step
    }

    fn target(&mut self, fields: &Fields<'_>, known: &[String]) -> (Method, (Template, String)) {
        let mut found = fields.entries.iter().filter_map(|(key, at, node)| {
            METHODS.iter().find(|(name, _)| name == key).map(|(_, method)| (method.clone(), *at, *node))
        });
        let nothing = (Template::default(), String::new());
        let Some((method, _, node)) = found.next() else {
            self.say(
                fields.at,
                "the step asks for nothing: give it `get`, `post`, `put`, `patch`, `delete` or `head`",
            );
            return (Method::GET, nothing);
        };
        if let Some((_, at, _)) = found.next() {
            self.say(
                at,
                "a step is one request: only one of `get`, `post`, `put`, `patch`, `delete`, `head`",
            );
        }
        let Some(text) = self.text(node, "a path") else { return (method, nothing) };
        if !text.starts_with('/') {
            self.say(
                node.at,
                format!("the path `{text}` must start with `/`; the host is given when the load is started"),
            );
        }
        let template = self.template(node, &text, known);
        if template.literals().any(|part| part.contains(|c: char| !c.is_ascii_graphic())) {
            self.say(node.at, format!("the path `{text}` holds a character that must be percent-encoded"));
        }
        (method, (template, text))
    }

    fn headers(&mut self, node: &Node, known: &[String]) -> Vec<(http::HeaderName, Template)> {
        let mut headers = Vec::new();
        for (key, at, value) in self.entries(node, "`headers`") {
            match header_name(key) {
                Err(why) => self.say(at, why),
                Ok(name) => {
                    if let Some(text) = self.text(value, "a header's value") {
                        headers.push((name, self.template(value, &text, known)));
                    }
                }
            }
        }
        headers
    }

    fn body(&mut self, fields: &Fields<'_>, known: &[String]) -> Body {
        match (fields.get("json"), fields.get("body")) {
            (Some(_), Some(body)) => {
                self.say(body.at, "a step has either `json` or `body`");
                Body::None
            }
            (Some(json), None) => Body::Json(self.json(json, known)),
            (None, Some(body)) => match self.text(body, "`body`") {
                Some(text) => Body::Text(self.template(body, &text, known)),
                None => Body::None,
            },
            (None, None) => Body::None,
        }
    }

    fn json(&mut self, node: &Node, known: &[String]) -> Json {
        match &node.value {
            Value::List(items) => Json::List(items.iter().map(|item| self.json(item, known)).collect()),
            Value::Map(entries) => Json::Map(
                entries.iter().map(|(key, item)| (key.text.clone(), self.json(item, known))).collect(),
            ),
            Value::Scalar { .. } => match node.scalar() {
                Some(serde_json::Value::String(text)) => Json::Text(self.template(node, &text, known)),
                value => Json::Fixed(value.unwrap_or_default()),
            },
        }
    }

    fn statuses(&mut self, node: &Node) -> Vec<StatusCode> {
        let nodes = match &node.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut statuses = Vec::new();
        for node in nodes {
            let number = node.scalar().and_then(|value| value.as_u64()).and_then(|n| u16::try_from(n).ok());
            match number.map(StatusCode::from_u16) {
                Some(Ok(status)) => statuses.push(status),
                _ => self.say(node.at, "`expect` takes statuses such as 201 or [200, 404]"),
            }
        }
        statuses
    }

    fn save(&mut self, node: &Node) -> Vec<(String, String)> {
        let mut saved = Vec::new();
        for (key, at, value) in self.entries(node, "`save`") {
            self.placeholder(key, at);
            if let Some(path) = self.text(value, "the place in the answer, such as `order.id`") {
                saved.push((key.to_owned(), path));
            }
        }
        saved
    }

    fn vars(&mut self, node: &Node) -> Vec<(String, Choice)> {
        let mut vars = Vec::new();
        for (key, at, value) in self.entries(node, "`vars`") {
            self.placeholder(key, at);
            let choice = self.choice(value);
            vars.push((key.to_owned(), choice));
        }
        vars
    }

    fn choice(&mut self, node: &Node) -> Choice {
        if matches!(node.value, Value::List(_)) {
            return self.choices(node);
        }
        let fields = self.fields(node, "a variable", &["range", "list"]);
        match (fields.get("range"), fields.get("list")) {
            (Some(range), None) => self.range(range),
            (None, Some(list)) => self.choices(list),
            _ => {
                self.say(fields.at, "a variable is a list, `{ list: [...] }` or `{ range: [from, to] }`");
                Choice::Range(0, 0)
            }
        }
    }

    fn range(&mut self, node: &Node) -> Choice {
        let whole = |node: &Node| node.scalar().and_then(|value| value.as_i64());
        let ends = match &node.value {
            Value::List(items) => items.iter().map(whole).collect::<Option<Vec<_>>>().unwrap_or_default(),
            _ => Vec::new(),
        };
        match ends.as_slice() {
            [from, to] if from <= to => Choice::Range(*from, *to),
            _ => {
                self.say(node.at, "`range` takes two whole numbers, the lower first, such as [1, 120]");
                Choice::Range(0, 0)
            }
        }
    }

    fn choices(&mut self, node: &Node) -> Choice {
        let mut values = Vec::new();
        for item in self.list(node, "a variable's list") {
            match item.scalar() {
                Some(value) => values.push(value),
                None => self.say(item.at, "a variable's values are texts or numbers"),
            }
        }
        Choice::List(values)
    }

    fn placeholder(&mut self, name: &str, at: At) {
        if BUILT_IN.contains(&name) {
            self.say(at, format!("`{name}` is built in and can't be given a value"));
        } else if Template::parse(&format!("{{{name}}}")).is_err() {
            self.say(at, format!("`{name}` is no name for a placeholder: letters, digits, `_` and `-` only"));
        }
    }

    fn template(&mut self, node: &Node, text: &str, known: &[String]) -> Template {
        let template = match Template::parse(text) {
            Ok(template) => template,
            Err(why) => {
                self.say(node.at, why);
                return Template::default();
            }
        };
        for name in template.names().filter(|name| !known.iter().any(|known| known == name)) {
            let hint = nearest(name, known.iter().map(String::as_str));
            self.say(
                node.at,
                format!(
                    "`{{{name}}}` has no value: no `vars` entry and no earlier `save` of this journey{hint}"
                ),
            );
        }
        template
    }

    fn name(&mut self, fields: &Fields<'_>) -> Option<String> {
        fields.get("name").and_then(|node| self.text(node, "`name`"))
    }

    fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        match &node.value {
            Value::Scalar { text, .. } => Some(text.clone()),
            _ => {
                let hint = if matches!(node.value, Value::Map(_)) {
                    "; text that starts with `{` needs quotes"
                } else {
                    ""
                };
                self.say(node.at, format!("{what} must be text{hint}"));
                None
            }
        }
    }

    fn count(&mut self, node: &Node, what: &str) -> u64 {
        match node.scalar().and_then(|value| value.as_u64()) {
            Some(count) if (1..=COUNT_MAX).contains(&count) => count,
            _ => {
                self.say(node.at, format!("{what} must be a whole number from 1 to {COUNT_MAX}"));
                1
            }
        }
    }

    fn list<'a>(&mut self, node: &'a Node, what: &str) -> &'a [Node] {
        match &node.value {
            Value::List(items) if !items.is_empty() => items,
            _ => {
                self.say(node.at, format!("{what} must be a list with at least one entry"));
                &[]
            }
        }
    }

    fn entries<'a>(&mut self, node: &'a Node, what: &str) -> Vec<(&'a str, At, &'a Node)> {
        match &node.value {
            Value::Map(entries) => {
                entries.iter().map(|(key, node)| (key.text.as_str(), key.at, node)).collect()
            }
            _ => {
                self.say(node.at, format!("{what} must be a mapping, `key: value`"));
                Vec::new()
            }
        }
    }

    fn fields<'a>(&mut self, node: &'a Node, what: &str, allowed: &[&str]) -> Fields<'a> {
        let entries = self.entries(node, what);
        for (key, at, _) in entries.iter().filter(|(key, ..)| !allowed.contains(key)) {
            let hint = nearest(key, allowed.iter().copied());
            self.say(*at, format!("{what} has no `{key}`{hint}"));
        }
        Fields { at: node.at, entries }
    }
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let close = known.map(|known| (strsim::damerau_levenshtein(name, known), known)).min();
    match close {
        Some((distance, known)) if distance <= 1 + name.len() / 3 => format!("; did you mean `{known}`?"),
        _ => String::new(),
    }
}

/// Placeholders that have a value everywhere.
const BUILT_IN: [&str; 2] = ["customer", "unique"];

const METHODS: [(&str, Method); 6] = [
    ("get", Method::GET),
    ("post", Method::POST),
    ("put", Method::PUT),
    ("patch", Method::PATCH),
    ("delete", Method::DELETE),
    ("head", Method::HEAD),
];

const STEP_KEYS: &[&str] =
    &["name", "get", "post", "put", "patch", "delete", "head", "headers", "json", "body", "expect", "save"];

const COUNT_MAX: u64 = 1_000_000;
