//! What serde leaves open of JSON.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};

use crate::error::Error;

/// An object. To serde a list of an object's values would be as good. Its keys may be written in any case: Dapr's decoder
/// takes them so, and its SDK for JavaScript relies on that.
#[derive(Debug)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields(PhantomData)).map(Object)
    }
}

/// An object from a body, or from none what is meant by default.
///
/// # Errors
///
/// If it is something else.
pub(super) fn object<'a, T: Deserialize<'a> + Default>(body: &'a [u8]) -> Result<T, Error> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map(|Object(object)| object).map_err(Error::not_json)
}

struct Fields<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
        T::deserialize(AnyCase(fields))
    }
}

/// What is read of an object, with its keys as the type has them that it becomes.
struct AnyCase<A>(A);

impl<'de, A: MapAccess<'de>> Deserializer<'de> for AnyCase<A> {
    type Error = A::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_map(Named { fields: self.0, names })
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        MapAccessDeserializer::new(self.0).deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The fields of an object, under the names that are known.
struct Named<A> {
    fields: A,
    names: &'static [&'static str],
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Named<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some(Key(key)) = self.fields.next_key()? else { return Ok(None) };
        let known = self.names.iter().find(|name| **name == key);
        let known = known.or_else(|| self.names.iter().find(|name| name.eq_ignore_ascii_case(&key)));
        let key = known.map_or(key, |name| Cow::Borrowed(name));
        match key {
            Cow::Borrowed(key) => seed.deserialize(BorrowedStrDeserializer::new(key)),
            Cow::Owned(key) => seed.deserialize(StringDeserializer::new(key)),
        }
        .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.fields.next_value_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.fields.size_hint()
    }
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// A value of metadata: text, but that some clients do not put a number in quotes.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Word {
    Text(String),
    Number(serde_json::Number),
    Truth(bool),
}

impl Word {
    pub(super) fn into_text(self) -> String {
        match self {
            Word::Text(text) => text,
            Word::Number(number) => number.to_string(),
            Word::Truth(truth) => truth.to_string(),
        }
    }
}

/// A whole number, in quotes or not, as the JSON of messages of gRPC has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number<N>(pub(super) N);

impl<'de, N: TryFrom<i64>> Deserialize<'de> for Number<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = deserializer.deserialize_any(Digits)?;
        let fits = N::try_from(number).ok().map(Number);
        fits.ok_or_else(|| serde::de::Error::custom(format!("{number} is beyond what this number can be")))
    }
}

struct Digits;

impl Visitor<'_> for Digits {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<i64, E> {
        i64::try_from(number).map_err(E::custom)
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<i64, E> {
        // Far enough for any number of a request.
        let whole = number.fract() == 0.0 && number.abs() <= f64::from(u32::MAX);
        whole.then_some(number as i64).ok_or_else(|| E::custom(format!("{number} is no whole number")))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<i64, E> {
        text.parse().map_err(|_| E::custom(format!("{text:?} is no whole number")))
    }
}
