//! Where an event goes.

use std::sync::Arc;

use http::uri::PathAndQuery;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::expression::{Expression, Invalid};

/// Where events go: by the first rule that holds, or else by default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routes {
    /// The rules, in their order.
    pub rules: Vec<Rule>,
    /// Where what no rule holds for goes; without, it is dropped.
    pub default: Option<Route>,
}

/// Where events go for which a condition holds.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The condition; without, it always holds.
    pub condition: Option<Arc<Expression>>,
    /// Where they go.
    pub route: Route,
}

/// A place in the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// As it was said.
    pub text: String,
    /// As a path over HTTP.
    pub path: PathAndQuery,
}

impl Routes {
    /// Everything goes to one place.
    pub fn all_to(route: Route) -> Routes {
        Routes { rules: Vec::new(), default: Some(route) }
    }

    /// Whether the event itself has to be looked at.
    pub fn are_by_content(&self) -> bool {
        self.rules.iter().any(|rule| rule.condition.is_some())
    }

    /// Each rule's condition and where it leads; last, without a condition, where all else goes.
    pub fn told(&self) -> impl Iterator<Item = (&str, &str)> {
        let rules = self.rules.iter().map(|rule| (rule.text(), &*rule.route.text));
        rules.chain(self.default.iter().map(|route| ("", &*route.text)))
    }

    /// Where an event goes, if anywhere.
    ///
    /// # Errors
    ///
    /// Why a rule does not say.
    pub fn of(&self, event: &cel::Value) -> Result<Option<&Route>, String> {
        for rule in &self.rules {
            let holds = rule.condition.as_ref().map_or(Ok(true), |condition| condition.holds(event))?;
            if holds {
                return Ok(Some(&rule.route));
            }
        }
        Ok(self.default.as_ref())
    }
}

/// By what they say.
impl PartialEq for Rule {
    fn eq(&self, other: &Rule) -> bool {
        self.text() == other.text() && self.route == other.route
    }
}

impl Rule {
    /// A rule as it is written: without a condition it always holds.
    ///
    /// # Errors
    ///
    /// If the condition is none.
    pub fn new(condition: &str, path: &str) -> Result<Rule, Invalid> {
        let condition = match condition.trim() {
            "" => None,
            text => Some(Arc::new(Expression::new(text, "event")?)),
        };
        Ok(Rule { condition, route: Route::new(path) })
    }

    /// The condition's text; empty if it always holds.
    pub fn text(&self) -> &str {
        self.condition.as_ref().map_or("", |condition| condition.text())
    }
}

impl Route {
    /// A place as it is written, with or without a slash before.
    pub fn new(text: &str) -> Route {
        let bare = text.trim_start_matches('/');
        let path = format!("/{}", utf8_percent_encode(bare, ESCAPED));
        let path = PathAndQuery::try_from(path).unwrap_or_else(|_| PathAndQuery::from_static("/"));
        Route { text: text.to_owned(), path }
    }
}

/// What cannot stand in a path as it is. What is encoded already stays.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'\\')
    .add(b'^')
    .add(b'|');

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::expression::value;

    fn routes(rules: &[(&str, &str)], default: Option<&str>) -> Routes {
        let rules = rules.iter().map(|(text, path)| Rule::new(text, path).unwrap()).collect();
        Routes { rules, default: default.map(Route::new) }
    }

    fn goes(routes: &Routes, event: serde_json::Value) -> Result<Option<String>, String> {
        Ok(routes.of(&value(event))?.map(|route| route.text.clone()))
    }

    #[test]
    fn the_first_rule_that_holds_says() {
        let rules =
            [("event.type == 'a'", "/a"), ("event.type == 'b'", "/b"), (" ", "/rest"), ("event.x", "/no")];
        let by = routes(&rules, Some("/default"));
        assert_eq!(goes(&by, json!({"type": "a"})), Ok(Some("/a".into())));
        assert_eq!(goes(&by, json!({"type": "b"})), Ok(Some("/b".into())));
        assert_eq!(goes(&by, json!({"type": "c"})), Ok(Some("/rest".into())));
        assert!(goes(&by, json!({})).is_err(), "what is asked for is not there");
        let by = routes(&rules[..2], Some("/default"));
        assert_eq!(goes(&by, json!({"type": "c"})), Ok(Some("/default".into())));
        assert_eq!(goes(&routes(&rules[..2], None), json!({"type": "c"})), Ok(None));
        assert!(!routes(&[], Some("/x")).are_by_content() && by.are_by_content());
    }

    #[test]
    fn a_route_is_a_path() {
        for (text, path) in [
            ("/orders", "/orders"),
            ("orders", "/orders"),
            ("//orders", "/orders"),
            ("", "/"),
            ("/a b/é", "/a%20b/%C3%A9"),
            ("/a%2Fb?x=1", "/a%2Fb?x=1"),
            ("/a\r\nb#c", "/a%0D%0Ab%23c"),
        ] {
            assert_eq!(Route::new(text).path, path, "{text:?}");
        }
    }
}
