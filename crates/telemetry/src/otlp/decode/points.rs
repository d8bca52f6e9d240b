//! Points of metrics, one at a time: what a service says of itself.

use super::value::{Budget, text};
use super::{Each, Resource, Taken, for_each};
use crate::otlp::wire::{Fields, Malformed, Wire};
use crate::span::{NAME_BYTES_MAX, Text, Value};

/// A point of a metric, for one set of attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Whose it is: `service.name`.
    pub service: Text,
    /// Which instance; empty if that is not known.
    pub instance: Text,
    /// The metric, as it is sent.
    pub name: Text,
    /// What it is told in, as it is sent; in UCUM by the conventions.
    pub unit: Text,
    /// What it says, as it is sent.
    pub description: Text,
    /// Its attributes, as text and by key.
    pub attributes: Vec<(Text, String)>,
    /// Since when it counts, in nanoseconds since 1970; zero if that is not said.
    pub start_ns: u64,
    /// What is told.
    pub value: PointValue,
}

/// What a point tells.
#[derive(Clone, Debug, PartialEq)]
pub enum PointValue {
    /// How it is now; also of a sum that may fall.
    Gauge(f64),
    /// A change of a sum that may fall.
    Change(f64),
    /// A sum that does not fall.
    Sum {
        /// How much.
        value: f64,
        /// Whether that is since the last point, and not since it began.
        is_delta: bool,
    },
    /// A distribution: values with how many are about that.
    Histogram {
        /// A value in the middle of each bucket, and how many are in it; the smallest first.
        buckets: Vec<(f64, u64)>,
        /// Of all.
        sum: f64,
        /// As of a sum.
        is_delta: bool,
    },
}

/// Hands each point of an `ExportMetricsServiceRequest` to `each`. All points count as taken, also those of which nothing is known
/// to tell, such as summaries.
///
/// # Errors
///
/// If the request is not protobuf; what came before has been handed over.
pub fn metrics(request: &[u8], each: &mut dyn FnMut(Point)) -> Result<Taken, Malformed> {
    let mut taken = Taken::default();
    let walk: &mut Each<'_> = &mut |resource, _, metric| of_metric(metric, resource, &mut taken, each);
    for_each(request, walk)?;
    Ok(taken)
}

fn of_metric(
    message: &[u8],
    resource: &Resource,
    taken: &mut Taken,
    each: &mut dyn FnMut(Point),
) -> Result<(), Malformed> {
    let mut metric = Point {
        service: resource.service.clone(),
        instance: resource.instance.clone(),
        name: Text::default(),
        unit: Text::default(),
        description: Text::default(),
        attributes: Vec::new(),
        start_ns: 0,
        value: PointValue::Gauge(0.0),
    };
    for field in Fields(message) {
        match field? {
            (1, name) => metric.name = text(name.bytes(), NAME_BYTES_MAX),
            (2, description) => metric.description = text(description.bytes(), NAME_BYTES_MAX),
            (3, unit) => metric.unit = text(unit.bytes(), UNIT_BYTES_MAX),
            _ => {}
        }
    }
    for field in Fields(message) {
        let (kind @ (5 | 7 | 9 | 10 | 11), data) = field? else { continue };
        let (mut is_delta, mut is_monotonic) = (false, false);
        for field in Fields(data.bytes()) {
            match field? {
                (2, temporality) => is_delta = temporality.number() == DELTA,
                (3, monotonic) => is_monotonic = monotonic.number() != 0,
                _ => {}
            }
        }
        for field in Fields(data.bytes()) {
            let (1, point) = field? else { continue };
            let value = match kind {
                5 => number(point.bytes())?.map(PointValue::Gauge),
                7 => number(point.bytes())?.map(|value| match (is_monotonic, is_delta) {
                    (true, _) => PointValue::Sum { value, is_delta },
                    (false, true) => PointValue::Change(value),
                    (false, false) => PointValue::Gauge(value),
                }),
                9 => histogram(point.bytes(), is_delta)?,
                10 => exponential(point.bytes(), is_delta)?,
                _ => None,
            };
            let (attributes, start_ns) = about(point.bytes(), kind)?;
            taken.accepted += 1;
            if let Some(value) = value.filter(PointValue::is_finite) {
                each(Point { attributes, start_ns, value, ..metric.clone() });
            }
        }
    }
    Ok(())
}

impl PointValue {
    fn is_finite(&self) -> bool {
        match self {
            PointValue::Gauge(value) | PointValue::Change(value) | PointValue::Sum { value, .. } => {
                value.is_finite()
            }
            PointValue::Histogram { sum, .. } => sum.is_finite(),
        }
    }
}

/// Attributes and beginning, which kinds of points have in different places.
fn about(point: &[u8], kind: u32) -> Result<(Vec<(Text, String)>, u64), Malformed> {
    let place = match kind {
        9 => 9,
        10 => 1,
        _ => 7,
    };
    let (mut budget, mut all, mut start_ns) = (Budget::default(), Vec::new(), 0);
    for field in Fields(point) {
        match field? {
            (at, attribute) if at == place => budget.attribute(&mut all, attribute.bytes())?,
            (2, start) => start_ns = start.number(),
            _ => {}
        }
    }
    let mut attributes: Vec<(Text, String)> =
        all.into_iter().map(|(key, value)| (key, plain(value))).collect();
    attributes.sort();
    attributes.dedup_by(|one, other| one.0 == other.0);
    Ok((attributes, start_ns))
}

fn plain(value: Value) -> String {
    let mut text = match value {
        Value::Text(text) => (*text).to_owned(),
        value => super::value::json(&value).to_string(),
    };
    text.truncate(text.floor_char_boundary(NAME_BYTES_MAX));
    text
}

/// Of a `NumberDataPoint`; none if it says that nothing was recorded.
fn number(point: &[u8]) -> Result<Option<f64>, Malformed> {
    let (mut found, mut flags) = (None, 0);
    for field in Fields(point) {
        match field? {
            (4, double) => found = Some(f64::from_bits(double.number())),
            (6, int) => found = Some(int.number() as i64 as f64),
            (8, is) => flags = is.number(),
            _ => {}
        }
    }
    Ok(found.filter(|_| flags & NO_RECORDED_VALUE == 0))
}

fn histogram(point: &[u8], is_delta: bool) -> Result<Option<PointValue>, Malformed> {
    let (mut counts, mut bounds) = (Vec::new(), Vec::new());
    let (mut count, mut sum, mut max) = (0, 0.0, None);
    for field in Fields(point) {
        match field? {
            (4, all) => count = all.number(),
            (5, of_all) => sum = f64::from_bits(of_all.number()),
            (6, packed) => fixed(packed, &mut counts),
            (7, packed) => fixed(packed, &mut bounds),
            (12, most) => max = Some(f64::from_bits(most.number())),
            _ => {}
        }
    }
    if counts.is_empty() && count > 0 {
        // Only how many and how much: all are as the mean.
        return Ok(Some(PointValue::Histogram { buckets: vec![(sum / count as f64, count)], sum, is_delta }));
    }
    if !counts.is_empty() && counts.len() != bounds.len() + 1 {
        return Ok(None);
    }
    let bound = |at: usize| bounds.get(at).copied().map(f64::from_bits);
    let middle = |at: usize| match (at.checked_sub(1).and_then(bound), bound(at)) {
        (Some(from), Some(to)) => (from + to) / 2.0,
        (None, Some(to)) => (to / 2.0).min(to),
        // What is above the last bound is as its bound, or between it and the largest of all.
        (Some(from), None) => max.filter(|max| *max > from).map_or(from, |max| (from + max) / 2.0),
        (None, None) => sum / count.max(1) as f64,
    };
    let buckets = counts.iter().enumerate().filter(|(_, count)| **count > 0);
    let buckets = buckets.map(|(at, count)| (middle(at), *count)).collect();
    Ok(Some(PointValue::Histogram { buckets, sum, is_delta }))
}

/// Of an `ExponentialHistogramDataPoint`: the bounds are powers of 2 to the power of 2 to minus the scale.
fn exponential(point: &[u8], is_delta: bool) -> Result<Option<PointValue>, Malformed> {
    let (mut sum, mut scale, mut zeros) = (0.0, 0_i64, 0);
    let (mut positive, mut negative) = ((0, Vec::new()), (0, Vec::new()));
    for field in Fields(point) {
        match field? {
            (5, of_all) => sum = f64::from_bits(of_all.number()),
            (6, of_base) => scale = zigzag(of_base.number()),
            (7, at_zero) => zeros = at_zero.number(),
            (8, buckets) => positive = counts(buckets.bytes())?,
            (9, buckets) => negative = counts(buckets.bytes())?,
            _ => {}
        }
    }
    let step = (-(scale.clamp(-SCALE_MAX, SCALE_MAX)) as f64).exp2();
    let at = |offset: i64, place: usize| ((offset as f64 + place as f64 + 0.5) * step).exp2();
    let side = |(offset, counts): (i64, Vec<u64>), sign: f64| {
        let some = counts.into_iter().enumerate().filter(|(_, count)| *count > 0);
        some.map(move |(place, count)| (sign * at(offset, place), count)).collect::<Vec<_>>()
    };
    let mut buckets = side(negative, -1.0);
    buckets.reverse();
    buckets.extend((zeros > 0).then_some((0.0, zeros)));
    buckets.extend(side(positive, 1.0));
    buckets.retain(|(value, _)| value.is_finite());
    Ok(Some(PointValue::Histogram { buckets, sum, is_delta }))
}

/// The first bucket's place, and what is in each.
fn counts(message: &[u8]) -> Result<(i64, Vec<u64>), Malformed> {
    let (mut offset, mut counts) = (0, Vec::new());
    for field in Fields(message) {
        match field? {
            (1, first) => offset = zigzag(first.number()),
            (2, Wire::Bytes(mut packed)) => {
                while let (false, Some(end)) =
                    (packed.is_empty(), packed.iter().position(|byte| byte & 0x80 == 0))
                {
                    let (one, rest) = packed.split_at(end + 1);
                    let bits = one
                        .iter()
                        .take(10)
                        .rev()
                        .fold(0_u64, |sum, byte| (sum << 7) | u64::from(byte & 0x7f));
                    push(&mut counts, bits);
                    packed = rest;
                }
            }
            (2, one) => push(&mut counts, one.number()),
            _ => {}
        }
    }
    Ok((offset, counts))
}

/// Numbers of eight bytes, behind each other or one at a time.
fn fixed(packed: Wire<'_>, to: &mut Vec<u64>) {
    match packed {
        Wire::Bytes(bytes) => {
            let (all, _) = bytes.as_chunks::<8>();
            all.iter().for_each(|bytes| push(to, u64::from_le_bytes(*bytes)));
        }
        one => push(to, one.number()),
    }
}

fn push(to: &mut Vec<u64>, number: u64) {
    if to.len() < BUCKETS_MAX {
        to.push(number);
    }
}

fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// `AGGREGATION_TEMPORALITY_DELTA`.
const DELTA: u64 = 1;
/// A flag of a point.
const NO_RECORDED_VALUE: u64 = 1;
/// Finest and coarsest scale that there is a use for.
const SCALE_MAX: i64 = 20;
/// Most buckets of a point; those beyond are left out.
const BUCKETS_MAX: usize = 4_096;
/// Longest unit.
const UNIT_BYTES_MAX: usize = 63;
