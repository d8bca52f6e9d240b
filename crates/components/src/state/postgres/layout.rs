//! How items lie in a table, and the statements that read and write them.

use bytes::Bytes;
use std::time::{Duration, SystemTime};

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use super::{Action, Condition, Item, Operation, jsonb, place};

/// Which of Dapr's layouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Values are `jsonb`, or base64 in it; the ETag is `xmin`.
    V1,
    /// Values are bytes; the ETag is the first half of a random UUID.
    V2,
}

/// The statements for a table.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) version: Version,
    pub(super) table: String,
    /// Items by their places, which are `$1`.
    pub(super) read: String,
    put: String,
    insert: String,
    replace: String,
    delete: String,
    delete_if: String,
    /// A row for what is there.
    there: String,
    /// Deletes what has expired.
    pub(super) expire: String,
}

impl Layout {
    pub(super) fn new(version: Version, table: String) -> Layout {
        // Of a put, `$1` is the place, `$2` the value, `$3` for how many milliseconds it lives; of the first layout `$4` is whether it is
        // base64. The ETag comes last.
        let until = "now() + $3 * interval '1 millisecond'";
        let (columns, values, set, value, etag, expires) = match version {
            Version::V1 => (
                "key, value, isbinary, expiredate",
                format!("$1, $2::jsonb, $4, {until}"),
                format!("value = $2::jsonb, isbinary = $4, updatedate = now(), expiredate = {until}"),
                "isbinary, value::text",
                "xmin::text",
                "expiredate",
            ),
            Version::V2 => (
                "key, value, etag, expires_at",
                format!("$1, $2, gen_random_uuid(), {until}"),
                format!("value = $2, updated_at = now(), etag = gen_random_uuid(), expires_at = {until}"),
                "false, value",
                "left(etag::text, 18)",
                "expires_at",
            ),
        };
        let etag_number = if version == Version::V1 { "$5" } else { "$4" };
        let live = format!("({expires} IS NULL OR {expires} >= now())");
        let put = format!(
            "INSERT INTO {table} AS t ({columns}) VALUES ({values}) ON CONFLICT (key) DO UPDATE SET {set}"
        );
        Layout {
            read: format!(
                "SELECT key, {value}, {etag}, {expires} FROM {table} WHERE key = ANY($1) AND {live}"
            ),
            insert: format!("{put} WHERE t.{expires} < now()"),
            put,
            replace: format!("UPDATE {table} SET {set} WHERE key = $1 AND {etag} = {etag_number} AND {live}"),
            delete: format!("DELETE FROM {table} WHERE key = $1"),
            delete_if: format!("DELETE FROM {table} WHERE key = $1 AND {etag} = $2 AND {live}"),
            there: format!("SELECT 1 FROM {table} WHERE key = $1 AND {live}"),
            expire: format!("DELETE FROM {table} WHERE {expires} < now()"),
            version,
            table,
        }
    }

    /// Does an operation; whether its condition held.
    pub(super) async fn write(
        &self,
        client: &Client,
        scope: &str,
        operation: &Operation,
    ) -> Result<bool, tokio_postgres::Error> {
        let key = place(scope, &operation.key);
        let etag = match operation.condition {
            Condition::Etag(etag) => Some(self.etag_text(etag)),
            _ => None,
        };
        let (value, ttl) = match &operation.action {
            Action::Put { value, ttl } => (value, *ttl),
            Action::Delete => {
                let mut set: Vec<Set<'_>> = vec![(&key, Type::TEXT)];
                let (statement, expected) = match (&etag, operation.condition) {
                    (Some(etag), _) => {
                        set.push((etag, Type::TEXT));
                        (&self.delete_if, Some(1))
                    }
                    (None, Condition::Absent) => (&self.there, Some(0)),
                    (None, _) => (&self.delete, None),
                };
                let rows = client.execute_typed(statement, &set).await?;
                return Ok(expected.is_none_or(|expected| rows == expected));
            }
        };
        let ttl = ttl.map(|ttl| i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX).clamp(1, TTL_MS_MAX));
        let (json, is_binary) = jsonb::written(value);
        let mut set: Vec<Set<'_>> = vec![(&key, Type::TEXT)];
        let bytes = &value[..];
        match self.version {
            Version::V1 => set.extend([
                (&json as &(dyn ToSql + Sync), Type::TEXT),
                (&ttl, Type::INT8),
                (&is_binary, Type::BOOL),
            ]),
            Version::V2 => set.extend([(&bytes as &(dyn ToSql + Sync), Type::BYTEA), (&ttl, Type::INT8)]),
        }
        let statement = match (&etag, operation.condition) {
            (Some(etag), _) => {
                set.push((etag, Type::TEXT));
                &self.replace
            }
            (None, Condition::Absent) => &self.insert,
            (None, _) => &self.put,
        };
        Ok(client.execute_typed(statement, &set).await? == 1)
    }

    /// An item, and where it lies.
    pub(super) fn item(&self, row: &Row) -> Result<(String, Item), String> {
        let odd = |why: &dyn std::fmt::Display| format!("{}: a row cannot be read: {why}", self.table);
        let column = |error: tokio_postgres::Error| odd(&error);
        let key: String = row.try_get(0).map_err(column)?;
        let is_binary: bool = row.try_get(1).map_err(column)?;
        let value: Bytes = match self.version {
            Version::V1 => {
                let text: String = row.try_get(2).map_err(column)?;
                jsonb::read(text, is_binary).map_err(|why| odd(&why))?
            }
            Version::V2 => row.try_get::<_, Vec<u8>>(2).map_err(column)?.into(),
        };
        let etag: String = row.try_get(3).map_err(column)?;
        let etag = match self.version {
            Version::V1 => etag.parse().ok(),
            Version::V2 => u64::from_str_radix(&etag.replace('-', ""), 16).ok(),
        };
        let etag = etag.ok_or_else(|| odd(&"its ETag is none"))?;
        let expires: Option<SystemTime> = row.try_get(4).map_err(column)?;
        Ok((key, Item { value, etag, expires }))
    }

    /// An ETag as the table has it.
    fn etag_text(&self, etag: u64) -> String {
        match self.version {
            Version::V1 => etag.to_string(),
            Version::V2 => {
                let digits = format!("{etag:016x}");
                format!("{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..])
            }
        }
    }
}

/// What a `$` of a statement is set to.
type Set<'a> = (&'a (dyn ToSql + Sync), Type);

/// The longest life of an item, milliseconds: 10,000 years, well below where the database's clock ends.
const TTL_MS_MAX: i64 = Duration::from_secs(315_576_000_000).as_millis() as i64;
