//! The instances of an upstream by side: those of the zone that requests come from, and all others. Made anew
//! with every list of instances, so that a choice finds them as positions.
//!
//! A place that is declared counts as one instance also while none of it is published: one that has ended
//! is missed by its zone, and not forgotten.

use std::collections::HashMap;

use policy::balance::zone::Side;

use crate::config::Zones;
use crate::upstream::Endpoint;

/// Positions in a list, rising, and how many there should be.
#[derive(Debug, Default)]
pub(crate) struct Sides {
    /// Of the own zone.
    pub(crate) own: Vec<usize>,
    /// Of any other, or of none that is known.
    pub(crate) elsewhere: Vec<usize>,
    own_all: usize,
    elsewhere_all: usize,
}

impl Sides {
    /// None: there is nothing to prefer, for no zone is the own one or all are on one side of its border.
    pub(crate) fn of<'a>(
        zones: Option<&Zones>,
        endpoints: impl Iterator<Item = &'a Endpoint>,
    ) -> Option<Sides> {
        let zones = zones.filter(|zones| zones.own.is_some())?;
        let is_own = |zone: Option<&str>| zone == zones.own.as_deref();
        let mut sides = Sides::default();
        let mut missing: HashMap<&str, bool> =
            zones.places.iter().map(|(place, zone)| (place.as_str(), is_own(zone.as_deref()))).collect();
        for (at, endpoint) in endpoints.enumerate() {
            missing.remove(endpoint.place.as_str());
            match is_own(zones.of(&endpoint.place)) {
                true => sides.own.push(at),
                false => sides.elsewhere.push(at),
            }
        }
        let missed = missing.values().filter(|own| **own).count();
        sides.own_all = sides.own.len() + missed;
        sides.elsewhere_all = sides.elsewhere.len() + missing.len() - missed;
        (sides.own_all > 0 && sides.elsewhere_all > 0).then_some(sides)
    }

    /// The own zone and elsewhere, `well` being asked for each position.
    pub(crate) fn health(&self, well: impl Fn(usize) -> bool) -> (Side, Side) {
        let count = |positions: &[usize]| positions.iter().filter(|at| well(**at)).count();
        let own = Side { well: count(&self.own), all: self.own_all };
        (own, Side { well: count(&self.elsewhere), all: self.elsewhere_all })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(own: Option<&str>, places: &[(&str, Option<&str>)]) -> Zones {
        let text = |text: &str| text.to_owned();
        let places = places.iter().map(|(place, zone)| (text(place), zone.map(text))).collect();
        Zones { own: own.map(text), places, otherwise: None }
    }

    fn at(places: &[&str]) -> Vec<Endpoint> {
        let address = ([127, 0, 0, 1], 1).into();
        let endpoint =
            |place: &&str| Endpoint { place: (*place).to_owned(), ..Endpoint::new(*place, address) };
        places.iter().map(endpoint).collect()
    }

    #[test]
    fn what_is_not_published_is_missed() {
        let zones = zones(Some("a"), &[("1", Some("a")), ("2", Some("a")), ("3", Some("b")), ("4", None)]);
        let sides = Sides::of(Some(&zones), at(&["3", "1", "3", "5"]).iter()).expect("two sides");
        assert_eq!((&sides.own[..], &sides.elsewhere[..]), (&[1][..], &[0, 2, 3][..]));
        let (own, elsewhere) = sides.health(|at| at != 2);
        assert_eq!((own, elsewhere), (Side { well: 1, all: 2 }, Side { well: 2, all: 4 }));
    }

    #[test]
    fn one_side_is_none() {
        let places = [("1", Some("a")), ("2", Some("b"))];
        assert!(Sides::of(None, at(&["1", "2"]).iter()).is_none());
        assert!(Sides::of(Some(&zones(None, &places)), at(&["1", "2"]).iter()).is_none());
        assert!(Sides::of(Some(&zones(Some("c"), &places)), at(&["1", "2"]).iter()).is_none());
        assert!(Sides::of(Some(&zones(Some("a"), &places[..1])), at(&["1", "1"]).iter()).is_none());
        assert!(Sides::of(Some(&zones(Some("a"), &places)), at(&[]).iter()).is_some());
    }
}
