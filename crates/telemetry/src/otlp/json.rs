//! OTLP in JSON, written anew as protobuf while it is read: so there is one decoder, whatever a request came in.
//!
//! The rules are those of OTLP/HTTP: keys in lowerCamelCase, ids in hexadecimal, other bytes in base64, numbers of 64 bits as texts
//! or numbers, names of enumerations as numbers, unknown keys passed over.

mod schema;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Signal;
use super::wire::{put_bytes, put_fixed32, put_fixed64, put_message, put_varint};
use schema::{Key, Message, Type};

/// The request in protobuf, of at most `most` bytes.
///
/// # Errors
///
/// What is wrong with it, and where.
pub fn to_protobuf(signal: Signal, json: &[u8], most: usize) -> Result<Vec<u8>, String> {
    let message = match signal {
        Signal::Traces => schema::TRACES,
        Signal::Logs => schema::LOGS,
        Signal::Metrics => schema::METRICS,
    };
    let mut writer = Writer { out: Vec::with_capacity(json.len()), most };
    let mut reader = serde_json::Deserializer::from_slice(json);
    let read = Fields { message, writer: &mut writer }.deserialize(&mut reader);
    read.and_then(|()| reader.end()).map_err(|error| error.to_string())?;
    Ok(writer.out)
}

struct Writer {
    out: Vec<u8>,
    most: usize,
}

/// The fields of a message, without what stands before it.
struct Fields<'w> {
    message: &'static Message,
    writer: &'w mut Writer,
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match self.message.0.iter().find(|key| key.name == name) {
                Some(key) => map.next_value_seed(Field { key, writer: self.writer })?,
                None => map.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        Ok(())
    }
}

/// The value of a key.
struct Field<'w> {
    key: &'static Key,
    writer: &'w mut Writer,
}

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as `{}`", self.key.of.name(), self.key.name)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<(), E> {
        match self.key.of {
            Type::Bool => self.varint(u64::from(truth)),
            _ => Err(E::invalid_type(serde::de::Unexpected::Bool(truth), &self)),
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.integer(i128::from(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.integer(i128::from(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        match self.key.of {
            Type::Double => self.fixed64(number.to_bits()),
            // `1e3`, and what JavaScript makes of large numbers.
            _ if number.fract() == 0.0 && number.abs() < 1e20 => self.integer(number as i128),
            _ => Err(E::invalid_type(serde::de::Unexpected::Float(number), &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let wrong = || E::invalid_value(serde::de::Unexpected::Str(clip(text)), &self);
        match self.key.of {
            Type::Text => self.bytes(text.as_bytes()),
            Type::Id => {
                let id = hex(text).ok_or_else(wrong)?;
                self.bytes(&id)
            }
            Type::Bytes => {
                let bytes = STANDARD.decode(text).map_err(|_| wrong())?;
                self.bytes(&bytes)
            }
            Type::Double => {
                let number = double(text).ok_or_else(wrong)?;
                self.fixed64(number.to_bits())
            }
            Type::Bool | Type::Message(_) => Err(wrong()),
            Type::Varint | Type::Zigzag | Type::Fixed32 | Type::Fixed64 => {
                let number = text.parse().map_err(|_| wrong())?;
                self.integer(number)
            }
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if !self.key.many {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Seq, &self));
        }
        while list.next_element_seed(Field { key: self.key, writer: self.writer })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Type::Message(message) = self.key.of else {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Map, &self));
        };
        self.writer.fits()?;
        let most = self.writer.most;
        put_message(&mut self.writer.out, self.key.number, |out| {
            let mut inner = Writer { out: std::mem::take(out), most };
            let read = Fields { message, writer: &mut inner }.visit_map(map);
            *out = inner.out;
            read
        })
    }
}

impl Field<'_> {
    fn integer<E: Error>(self, number: i128) -> Result<(), E> {
        let whole = i64::try_from(number).map(|number| number as u64).or_else(|_| u64::try_from(number));
        let Ok(bits) = whole else {
            return Err(E::custom(format_args!("`{}` has a number beyond 64 bits", self.key.name)));
        };
        match self.key.of {
            Type::Varint => self.varint(bits),
            Type::Zigzag => self.varint((bits << 1) ^ ((bits as i64) >> 63) as u64),
            Type::Fixed64 => self.fixed64(bits),
            Type::Double => self.fixed64((number as f64).to_bits()),
            Type::Fixed32 => {
                self.writer.fits()?;
                put_fixed32(&mut self.writer.out, self.key.number, bits as u32);
                Ok(())
            }
            Type::Text | Type::Id | Type::Bytes | Type::Bool | Type::Message(_) => {
                Err(E::invalid_type(serde::de::Unexpected::Signed(number as i64), &self))
            }
        }
    }

    fn varint<E: Error>(self, number: u64) -> Result<(), E> {
        self.writer.fits()?;
        put_varint(&mut self.writer.out, self.key.number, number);
        Ok(())
    }

    fn fixed64<E: Error>(self, number: u64) -> Result<(), E> {
        self.writer.fits()?;
        put_fixed64(&mut self.writer.out, self.key.number, number);
        Ok(())
    }

    fn bytes<E: Error>(self, bytes: &[u8]) -> Result<(), E> {
        self.writer.fits()?;
        put_bytes(&mut self.writer.out, self.key.number, bytes);
        Ok(())
    }
}

impl Writer {
    /// Numbers may take more in protobuf than in JSON.
    fn fits<E: Error>(&self) -> Result<(), E> {
        if self.out.len() <= self.most { Ok(()) } else { Err(E::custom("the request is too large")) }
    }
}

fn double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        text => text.parse().ok(),
    }
}

/// Digits of either case; an id of none is one that is not there.
fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let byte = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    (digits.len().is_multiple_of(2) && digits.len() <= 64)
        .then(|| digits.chunks_exact(2).map(byte).collect())?
}

fn clip(text: &str) -> &str {
    &text[..text.floor_char_boundary(40)]
}

#[cfg(test)]
mod tests;
