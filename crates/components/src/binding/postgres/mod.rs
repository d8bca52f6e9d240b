//! `bindings.postgresql`: statements of SQL.
//!
//! Rows are made JSON by the database, which knows each of its types: what is asked becomes a part of a query around it. What
//! a `$` is set to is sent as text, which the database reads as the type that stands there.

mod set;

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use futures_util::TryStreamExt;
use jiff::Timestamp;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Statement};

use super::{Error, Output, Request, Response};
use crate::Reply;
use crate::postgres::{Failure, Pool, Settings};
use crate::properties::{Invalid, Properties};
use set::Set;

/// A database that is sent statements.
#[derive(Clone)]
pub struct Postgres(Pool);

/// What a statement did.
enum Done {
    /// It changed so many rows.
    Changed(u64),
    /// These are its rows, as JSON.
    Rows(String),
    /// There are more of them than may be.
    TooMany,
}

impl Postgres {
    /// Connects, and sees that there is a PostgreSQL that answers.
    ///
    /// # Errors
    ///
    /// Which setting is wrong, `connectionString` if nobody answers.
    pub async fn connect(set: &Properties) -> Result<Postgres, Invalid> {
        let pool = Pool::new(Settings::new(set)?);
        let asked = async {
            let lent = pool.lend().await?;
            let answer = lent.client().batch_execute("").await;
            lent.done(answer)
        };
        let answered = pool.within(asked).await;
        answered
            .map_err(|why| Invalid::of("connectionString", format!("leads to nobody who answers: {why}")))?;
        Ok(Postgres(pool))
    }

    async fn ask(&self, request: Request) -> Result<Response, Error> {
        if request.operation == "close" {
            self.0.close();
            return Ok(Response::default());
        }
        if self.0.is_closed() {
            return Err(Error::new("component is closed"));
        }
        let sql = request.said("sql").ok_or_else(|| Error::new("required metadata not set: sql"))?;
        let sets = Set::all(request.said("params"))?;
        let (begun, clock) = (SystemTime::now(), Instant::now());
        let ask = async {
            let lent = self.0.lend().await?;
            let done = match request.operation.as_str() {
                "query" => query(lent.client(), sql, &sets).await,
                _ => exec(lent.client(), sql, &sets).await,
            };
            lent.done(done)
        };
        let failed = |failure: Failure| Error::new(format!("error executing query: {failure}"));
        let done = self.0.within(ask).await.map_err(failed)?;
        let mut metadata = BTreeMap::from([
            ("operation".to_owned(), request.operation.clone()),
            ("sql".to_owned(), sql.to_owned()),
            ("start-time".to_owned(), moment(begun)),
            ("end-time".to_owned(), moment(SystemTime::now())),
            ("duration".to_owned(), format!("{:?}", clock.elapsed())),
        ]);
        let data = match done {
            Done::Changed(rows) => {
                metadata.insert("rows-affected".to_owned(), rows.to_string());
                String::new()
            }
            Done::Rows(rows) => rows,
            Done::TooMany => {
                let why = format!(
                    "the rows have more than {ROWS_BYTES_MAX} bytes, which are the most: ask for fewer"
                );
                return Err(Error::new(why));
            }
        };
        Ok(Response { data: data.into(), metadata })
    }
}

impl Output for Postgres {
    fn operations(&self) -> &'static [&'static str] {
        &["exec", "query", "close"]
    }

    fn invoke(&self, request: Request) -> Reply<'_, Result<Response, Error>> {
        Box::pin(self.ask(request))
    }
}

async fn exec(client: &Client, sql: &str, sets: &[Set]) -> Result<Done, tokio_postgres::Error> {
    let statement = client.prepare(sql).await?;
    client.execute_raw(&statement, sets).await.map(Done::Changed)
}

async fn query(client: &Client, sql: &str, sets: &[Set]) -> Result<Done, tokio_postgres::Error> {
    let statement = client.prepare(sql).await?;
    if statement.columns().is_empty() {
        client.execute_raw(&statement, sets).await?;
        return Ok(Done::Rows("[]".to_owned()));
    }
    let Some(around) = around(sql, &statement) else { return texts(client, &statement, sets).await };
    let asked = client.prepare_typed(&around, statement.params()).await?;
    let rows = client.query_raw(&asked, sets).await?;
    collect(rows, |row| row.try_get(0)).await
}

/// A query whose rows are JSON, around one that is none of what cannot stand in another.
fn around(sql: &str, statement: &Statement) -> Option<String> {
    let word: String = sql.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    if !INNER.iter().any(|inner| word.eq_ignore_ascii_case(inner)) {
        return None;
    }
    let names: Vec<String> = (1..=statement.columns().len()).map(|number| format!("c{number}")).collect();
    let values = names.iter().zip(statement.columns()).map(|(name, column)| match *column.type_() {
        Type::BYTEA => format!("translate(encode({name}, 'base64'), E'\\n', '')"),
        _ => name.clone(),
    });
    let values: Vec<String> = values.collect();
    // An end of line, for the statement may end with a comment.
    Some(format!(
        "WITH q({}) AS ({}\n) SELECT json_build_array({})::text FROM q",
        names.join(", "),
        sql.trim_end().trim_end_matches(';'),
        values.join(", ")
    ))
}

/// What is told about the database itself, such as by `SHOW`, is texts.
async fn texts(client: &Client, statement: &Statement, sets: &[Set]) -> Result<Done, tokio_postgres::Error> {
    let rows = client.query_raw(statement, sets).await?;
    collect(rows, |row| {
        let columns = (0..row.len()).map(|column| row.try_get::<_, Option<String>>(column));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        Ok(serde_json::json!(columns).to_string())
    })
    .await
}

async fn collect(
    rows: tokio_postgres::RowStream,
    json: impl Fn(&tokio_postgres::Row) -> Result<String, tokio_postgres::Error>,
) -> Result<Done, tokio_postgres::Error> {
    let mut rows = std::pin::pin!(rows);
    let mut all = String::from("[");
    let mut too_many = false;
    while let Some(row) = rows.try_next().await? {
        // The rest is taken, or the connection could not be used again.
        if too_many {
            continue;
        }
        if all.len() > 1 {
            all.push(',');
        }
        all.push_str(&json(&row)?);
        if all.len() > ROWS_BYTES_MAX {
            too_many = true;
            all = String::new();
        }
    }
    all.push(']');
    Ok(if too_many { Done::TooMany } else { Done::Rows(all) })
}

fn moment(time: SystemTime) -> String {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

/// How statements begin that can stand in another.
const INNER: [&str; 7] = ["select", "with", "values", "table", "insert", "update", "delete"];
/// The most that rows may have as JSON.
const ROWS_BYTES_MAX: usize = 64 << 20;
