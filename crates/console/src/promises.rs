//! How the objectives of a service stand, in one word, for the map.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::map::rounded;

/// Of each service or external that promises anything, the objective that stands worst.
pub(crate) fn promises(standings: &Value) -> BTreeMap<String, Value> {
    let mut worst: BTreeMap<String, (Urgency, Value)> = BTreeMap::new();
    for standing in standings.as_array().into_iter().flatten() {
        let Some(service) = standing["service"].as_str() else { continue };
        let (urgency, told) = told(standing);
        match worst.get(service) {
            Some((known, _)) if *known >= urgency => {}
            _ => _ = worst.insert(service.to_owned(), (urgency, told)),
        }
    }
    worst.into_iter().map(|(service, (_, told))| (service, told)).collect()
}

/// What comes first: a budget that is spent, an alert, and then what is left, in thousandths that are gone.
type Urgency = (bool, bool, i64);

fn told(standing: &Value) -> (Urgency, Value) {
    let left = standing["budget_left"].as_f64().unwrap_or(1.0);
    let alert = &standing["alert"];
    let (is_spent, burns) = (left <= 0.0, !alert.is_null());
    let state = match (is_spent, burns) {
        (true, _) => "exhausted",
        (false, true) => "burning",
        (false, false) => "ok",
    };
    let told = json!({
        "state": state,
        "remaining": rounded(left.clamp(0.0, 1.0)),
        "name": standing["objective"],
        "alert": alert,
    });
    ((is_spent, burns, ((1.0 - left) * 1e3) as i64), told)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(service: &str, objective: &str, left: f64, alert: Option<&str>) -> Value {
        json!({ "service": service, "objective": objective, "budget_left": left, "alert": alert })
    }

    #[test]
    fn the_worst_of_a_services_objectives_stands_for_it() {
        let told = promises(&json!([
            standing("cart", "availability", 0.91234, None),
            standing("cart", "latency", 0.95, Some("ticket")),
            standing("pay", "availability", 0.2, Some("page")),
            standing("pay", "latency", -3.0, None),
            standing("shop", "availability", 0.91234, None),
            standing("shop", "latency", 1.0, None),
        ]));
        let told: Vec<(&str, &Value)> = told.iter().map(|(service, told)| (service.as_str(), told)).collect();
        let of = |state, remaining: f64, name, alert: Option<&str>| json!({ "state": state, "remaining": remaining, "name": name, "alert": alert });
        assert_eq!(told[0], ("cart", &of("burning", 0.95, "latency", Some("ticket"))));
        assert_eq!(told[1], ("pay", &of("exhausted", 0.0, "latency", None)));
        assert_eq!(told[2], ("shop", &of("ok", 0.912, "availability", None)));
        assert!(promises(&Value::Null).is_empty());
    }
}
