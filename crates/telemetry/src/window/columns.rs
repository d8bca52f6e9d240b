//! What blocks of spans and of records have in common: each kind of field in a column of its own, so that like lies by like and packs
//! well; texts once, in a list of words, and by their place in it wherever they stand.

use std::collections::HashMap;
use std::sync::Arc;

use super::bytes::{Left, put, put_bytes, put_signed};
use crate::span::{Text, Value};

/// How deep lists and maps lie in each other at most, when they are read.
const DEPTH_MAX: usize = 16;

/// Columns that are written.
pub(super) struct Columns<'r, const N: usize> {
    words: HashMap<&'r str, u64>,
    list: Vec<&'r str>,
    pub(super) of: [Vec<u8>; N],
}

impl<'r, const N: usize> Columns<'r, N> {
    pub(super) fn new() -> Columns<'r, N> {
        Columns { words: HashMap::new(), list: Vec::new(), of: [const { Vec::new() }; N] }
    }

    pub(super) fn word(&mut self, column: usize, text: &'r str) {
        let next = self.list.len() as u64;
        let place = *self.words.entry(text).or_insert_with(|| {
            self.list.push(text);
            next
        });
        put(&mut self.of[column], place);
    }

    /// Attributes: their number and keys in `column`, the values in the one after it.
    pub(super) fn attributes(&mut self, column: usize, attributes: &'r [(Text, Value)]) {
        put(&mut self.of[column], attributes.len() as u64);
        for (key, value) in attributes {
            self.word(column, key);
            self.value(column + 1, value);
        }
    }

    fn value(&mut self, column: usize, value: &'r Value) {
        let to = &mut self.of[column];
        match value {
            Value::Text(text) => {
                to.push(0);
                self.word(column, text);
            }
            Value::Int(number) => {
                to.push(1);
                put_signed(to, *number);
            }
            Value::Float(number) => {
                to.push(2);
                to.extend_from_slice(&number.to_le_bytes());
            }
            Value::Bool(truth) => to.push(3 + u8::from(*truth)),
            Value::Bytes(bytes) => {
                to.push(5);
                put_bytes(to, bytes);
            }
            Value::List(list) => {
                to.push(6);
                put(to, list.len() as u64);
                list.iter().for_each(|one| self.value(column, one));
            }
            Value::Map(map) => {
                to.push(7);
                put(to, map.len() as u64);
                for (key, one) in map {
                    self.word(column, key);
                    self.value(column, one);
                }
            }
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        let mut packed = Vec::new();
        put(&mut packed, self.list.len() as u64);
        self.list.iter().for_each(|word| put_bytes(&mut packed, word.as_bytes()));
        self.of.iter().for_each(|column| put_bytes(&mut packed, column));
        packed
    }
}

/// Columns that are read.
pub(super) struct Read<'b, const N: usize> {
    words: Vec<Text>,
    pub(super) of: [Left<'b>; N],
}

impl<'b, const N: usize> Read<'b, N> {
    pub(super) fn new(packed: &'b [u8]) -> Option<Read<'b, N>> {
        let mut left = Left(packed);
        let mut words = Vec::new();
        for _ in 0..left.count(&left.clone())? {
            let word = std::str::from_utf8(left.bytes()?).ok()?;
            words.push(Text::from(Arc::<str>::from(word)));
        }
        let mut of = [Left(&[]); N];
        for column in &mut of {
            *column = Left(left.bytes()?);
        }
        Some(Read { words, of })
    }

    pub(super) fn word(&mut self, column: usize) -> Option<Text> {
        let place = usize::try_from(self.of[column].number()?).ok()?;
        self.words.get(place).cloned()
    }

    pub(super) fn attributes(&mut self, column: usize) -> Option<Vec<(Text, Value)>> {
        let values = self.of[column + 1];
        let count = self.of[column].count(&values)?;
        let mut attributes = Vec::with_capacity(count);
        for _ in 0..count {
            attributes.push((self.word(column)?, self.value(column + 1, 0)?));
        }
        Some(attributes)
    }

    fn value(&mut self, column: usize, depth: usize) -> Option<Value> {
        if depth > DEPTH_MAX {
            return None;
        }
        Some(match self.of[column].byte()? {
            0 => Value::Text(self.word(column)?),
            1 => Value::Int(self.of[column].signed()?),
            2 => Value::Float(f64::from_le_bytes(self.of[column].array()?)),
            3 => Value::Bool(false),
            4 => Value::Bool(true),
            5 => Value::Bytes(self.of[column].bytes()?.into()),
            6 => {
                let count = self.inner(column)?;
                let list = (0..count).map(|_| self.value(column, depth + 1));
                Value::List(list.collect::<Option<_>>()?)
            }
            7 => {
                let count = self.inner(column)?;
                let map = (0..count).map(|_| Some((self.word(column)?, self.value(column, depth + 1)?)));
                Value::Map(map.collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }

    fn inner(&mut self, column: usize) -> Option<usize> {
        let rest = self.of[column];
        self.of[column].count(&rest)
    }
}
