//! What many values come to: medians with their ends, and percentiles.

use serde::Serialize;

/// Median, lowest and highest of some values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    pub median: f64,
    pub lowest: f64,
    pub highest: f64,
}

/// None of no values.
pub fn summary(values: impl IntoIterator<Item = f64>) -> Option<Summary> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let (lowest, highest) = (round(*values.first()?), round(*values.last()?));
    Some(Summary { median: median(&values), lowest, highest })
}

/// The value that `percent` of all values do not exceed (the nearest rank). None of no values.
pub fn percentile(values: &mut [u64], percent: f64) -> Option<u64> {
    let rank = (percent / 100.0 * values.len() as f64).ceil() as usize;
    let index = rank.clamp(1, values.len().max(1)) - 1;
    (!values.is_empty()).then(|| *values.select_nth_unstable(index).1)
}

/// Of sorted values, at least one; the mean of the two in the middle when their number is even.
fn median(values: &[f64]) -> f64 {
    let middle = values.len() / 2;
    match values.len() % 2 {
        1 => round(values[middle]),
        _ => round(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// Two decimals: more would only look exact.
fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_number_has_one_in_the_middle_in_any_order() {
        let expected = Summary { median: 2.0, lowest: 1.0, highest: 9.0 };
        assert_eq!(summary([9.0, 1.0, 2.0]), Some(expected));
    }

    #[test]
    fn an_even_number_has_two_in_the_middle() {
        let expected = Summary { median: 2.5, lowest: -1.0, highest: 9.0 };
        assert_eq!(summary([2.0, 9.0, 3.0, -1.0]), Some(expected));
        assert_eq!(summary([]), None);
    }

    #[test]
    fn figures_have_two_decimals() {
        assert_eq!(summary([1.0 / 3.0]), Some(Summary { median: 0.33, lowest: 0.33, highest: 0.33 }));
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let mut hundred: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(percentile(&mut hundred, 50.0), Some(50));
        assert_eq!(percentile(&mut hundred, 99.0), Some(99));
        assert_eq!(percentile(&mut hundred, 100.0), Some(100));
        assert_eq!(percentile(&mut [7], 99.0), Some(7));
        assert_eq!(percentile(&mut [7, 8], 0.0), Some(7));
        assert_eq!(percentile(&mut [], 50.0), None);
    }
}
