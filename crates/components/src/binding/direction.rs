//! Which ways a binding is used.

use crate::properties::{Invalid, Properties};

/// Which ways a binding is used, as its setting `direction` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    /// Events come from it: `Some(true)`; they do not: `Some(false)`; if nothing is said, the application is asked.
    pub input: Option<bool>,
    /// Whether things are sent to it.
    pub output: bool,
}

impl Direction {
    /// As it is set; both ways if nothing is.
    ///
    /// # Errors
    ///
    /// If it names another way.
    pub fn new(set: &Properties) -> Result<Direction, Invalid> {
        let Some(text) = set.text(DIRECTION) else { return Ok(Direction { input: None, output: true }) };
        let mut direction = Direction { input: Some(false), output: false };
        for way in text.split(',') {
            match way.trim().to_ascii_lowercase().as_str() {
                "input" => direction.input = Some(true),
                "output" => direction.output = true,
                odd => {
                    let why = format!("is {text:?}: {odd:?} is neither `input` nor `output`");
                    return Err(Invalid::of(DIRECTION, why));
                }
            }
        }
        Ok(direction)
    }

    /// The same, of a binding that has only these ways.
    ///
    /// # Errors
    ///
    /// If none is left.
    pub fn of(self, has_input: bool, has_output: bool) -> Result<Direction, Invalid> {
        let input = if has_input { self.input } else { Some(false) };
        let direction = Direction { input, output: self.output && has_output };
        match direction {
            Direction { input: Some(false), output: false } => {
                let only = if has_input { "events come from it" } else { "things are sent to it" };
                Err(Invalid::of(
                    DIRECTION,
                    format!("leaves nothing of this binding: {only}, and nothing else"),
                ))
            }
            _ => Ok(direction),
        }
    }
}

/// The setting.
const DIRECTION: &str = "direction";

#[cfg(test)]
mod tests {
    use super::*;

    fn direction(text: &str) -> Result<Direction, Invalid> {
        Direction::new(&Properties::from_iter([("Direction", text)]))
    }

    #[test]
    fn ways_are_named_or_left_open() {
        assert_eq!(direction(""), Ok(Direction { input: None, output: true }));
        assert_eq!(direction("input"), Ok(Direction { input: Some(true), output: false }));
        assert_eq!(direction("output"), Ok(Direction { input: Some(false), output: true }));
        assert_eq!(direction("Output , INPUT"), Ok(Direction { input: Some(true), output: true }));
        assert!(direction("inwards").is_err() && direction("input,").is_err());
    }

    #[test]
    fn a_way_that_a_binding_does_not_have_is_not_left_alone() {
        let of = |text, input, output| direction(text).and_then(|direction| direction.of(input, output));
        assert_eq!(of("", true, false), Ok(Direction { input: None, output: false }));
        assert_eq!(of("input, output", false, true), Ok(Direction { input: Some(false), output: true }));
        assert!(of("input", false, true).is_err() && of("output", true, false).is_err());
    }
}
