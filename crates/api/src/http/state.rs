//! State over HTTP.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderValue, Method};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{Answer, empty, json_bytes};
use super::call::{Asked, Call, decoded};
use super::json::{Object, Word};
use crate::error::Error;
use crate::state::{Delete, Failing, Item, Operation, Options, Save, ttl, unknown_operation};
use crate::{time, value};

/// `state/STORE` and what is below it.
pub(super) async fn answer(rest: &[&str], call: Call<'_>) -> Answer {
    match (&call.head.method, rest) {
        (&Method::GET, [store, key]) => get(&decoded(store)?, &decoded(key)?, call).await,
        (&Method::DELETE, [store, key]) => delete(&decoded(store)?, &decoded(key)?, call).await,
        (&Method::POST | &Method::PUT, [store]) => save(&decoded(store)?, call).await,
        (&Method::POST | &Method::PUT, [store, "bulk"]) => bulk(&decoded(store)?, call).await,
        (&Method::POST | &Method::PUT, [store, "transaction"]) => transact(&decoded(store)?, call).await,
        _ => Err(call.no_route()),
    }
}

async fn get(store: &str, key: &str, call: Call<'_>) -> Answer {
    let store = call.api.store(store)?;
    let consistency = call.query().get("consistency");
    Options::from_words(None, consistency.as_deref())
        .map_err(|wrong| Failing::Get(store.name(), key).because(wrong))?;
    let Some(item) = store.get(key).await? else { return Ok(empty()) };
    let (etag, expires) = (item.etag.map(HeaderValue::from), item.expires_ms.map(time::rfc3339));
    let mut response = json_bytes(item.value);
    let headers = response.headers_mut();
    if let Some(etag) = etag {
        headers.insert("etag", etag);
    }
    if let Some(expires) = expires.and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert("metadata.ttlexpiretime", expires);
    }
    Ok(response)
}

async fn save(store: &str, call: Call<'_>) -> Answer {
    let store = call.api.store(store)?;
    let metadata = call.query().metadata();
    let Asked { body, once } = call.asked_or(Error::not_json).await?;
    let store = store.once(once.as_ref())?;
    let items: Option<Vec<Object<Written>>> = serde_json::from_slice(&body).map_err(Error::not_json)?;
    let items = items.unwrap_or_default().into_iter();
    let items = items.map(|Object(item)| item.save(&body, &metadata, Failing::Save(store.name())));
    store.save(items.collect::<Result<Vec<_>, _>>()?).await?;
    Ok(empty())
}

async fn delete(store: &str, key: &str, call: Call<'_>) -> Answer {
    let store = call.api.store(store)?;
    let query = call.query();
    let (concurrency, consistency) = (query.get("concurrency"), query.get("consistency"));
    let options = Options::from_words(concurrency.as_deref(), consistency.as_deref())
        .map_err(|wrong| Failing::Delete(key).because(wrong))?;
    let etag = call.header("if-match").map(str::to_owned);
    let Asked { once, .. } = call.asked_or(Error::not_json).await?;
    store.once(once.as_ref())?.delete(Delete { key: key.to_owned(), etag, options }).await?;
    Ok(empty())
}

async fn bulk(store: &str, call: Call<'_>) -> Answer {
    let store = call.api.store(store)?;
    let body = call.body().await.map_err(Error::not_json)?;
    let Object(Wanted { keys }) = serde_json::from_slice(&body).map_err(Error::not_json)?;
    let keys = keys.unwrap_or_default();
    let items = store.get_many(&keys).await?;
    let told: Vec<Told<'_>> =
        keys.iter().zip(&items).map(|(key, item)| Told::of(key, item.as_ref())).collect();
    let mut text =
        serde_json::to_vec(&told).map_err(|error| Failing::BulkGet(store.name()).because(error))?;
    text.push(b'\n');
    Ok(json_bytes(text.into()))
}

async fn transact(store: &str, call: Call<'_>) -> Answer {
    call.api.store(store)?;
    let (api, trace) = (call.api, call.trace());
    let Asked { body, once } = call.asked_or(Error::not_json).await?;
    let Object(Transaction { operations, metadata }) =
        serde_json::from_slice(&body).map_err(Error::not_json)?;
    let metadata = metadata.unwrap_or_default().into_iter().map(|(key, word)| (key, word.into_text()));
    let moved = api.moving(&metadata.collect()).await?;
    let operations = operations.unwrap_or_default().into_iter().map(|Object(one)| one.operation(&body));
    let operations = operations.collect::<Result<Vec<_>, _>>()?;
    api.transact(store, operations, moved.as_ref(), trace, once.as_ref()).await?;
    Ok(empty())
}

/// An item as it is written.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow, default)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    etag: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "contentType")]
    content_type: Option<Cow<'a, str>>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, Word>>,
    #[serde(borrow, default)]
    options: Option<Object<Words<'a>>>,
}

/// How it is to be written.
#[derive(Default, Deserialize)]
struct Words<'a> {
    #[serde(borrow, default)]
    concurrency: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    consistency: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    keys: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Transaction<'a> {
    #[serde(borrow, default)]
    operations: Option<Vec<Object<Step<'a>>>>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, Word>>,
}

#[derive(Deserialize)]
struct Step<'a> {
    #[serde(borrow, default)]
    operation: Cow<'a, str>,
    #[serde(borrow)]
    request: Object<Written<'a>>,
}

impl Written<'_> {
    /// The query's metadata goes before the item's own.
    fn save(
        self,
        body: &Bytes,
        query: &BTreeMap<String, String>,
        failing: Failing<'_>,
    ) -> Result<Save, Error> {
        let because = |wrong| failing.because(wrong);
        let options = self.options().map_err(because)?;
        let own = self.metadata.unwrap_or_default().into_iter().map(|(key, word)| (key, word.into_text()));
        let mut metadata: BTreeMap<String, String> = own.collect();
        metadata.extend(query.iter().map(|(key, value)| (key.clone(), value.clone())));
        Ok(Save {
            key: self.key.unwrap_or_default().into_owned(),
            value: self.value.map_or(NULL, |json| value::compact(body, json.get())),
            etag: self.etag.map(Cow::into_owned),
            options,
            ttl: ttl(&metadata).map_err(because)?,
            content_type: self.content_type.map(Cow::into_owned),
            is_json: true,
            metadata,
        })
    }

    fn delete(self, failing: Failing<'_>) -> Result<Delete, Error> {
        let options = self.options().map_err(|wrong| failing.because(wrong))?;
        let key = self.key.unwrap_or_default().into_owned();
        Ok(Delete { key, etag: self.etag.map(Cow::into_owned), options })
    }

    fn options(&self) -> Result<Options, String> {
        let Some(Object(words)) = &self.options else { return Ok(Options::default()) };
        Options::from_words(words.concurrency.as_deref(), words.consistency.as_deref())
    }
}

impl Step<'_> {
    fn operation(self, body: &Bytes) -> Result<Operation, Error> {
        let failing = Failing::Transaction;
        match &*self.operation {
            "upsert" => self.request.0.save(body, &BTreeMap::new(), failing).map(Operation::Upsert),
            "delete" => self.request.0.delete(failing).map(Operation::Delete),
            odd => Err(unknown_operation(odd)),
        }
    }
}

/// An item of a bulk as it is told of; one that is not there by its key alone.
#[derive(serde::Serialize)]
struct Told<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<BTreeMap<&'static str, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

impl<'a> Told<'a> {
    fn of(key: &'a str, item: Option<&'a Item>) -> Told<'a> {
        let mut told = Told { key, data: None, etag: None, metadata: None, error: None };
        let Some(item) = item else { return told };
        told.etag = item.etag.map(|etag| etag.to_string());
        told.metadata = item.expires_ms.map(|at| BTreeMap::from([("ttlExpireTime", time::rfc3339(at))]));
        match serde_json::from_slice(&item.value) {
            Ok(json) => told.data = Some(json),
            // Written over gRPC, where a value is any bytes.
            Err(_) if !item.value.is_empty() => told.error = Some(NOT_JSON),
            Err(_) => {}
        }
        told
    }
}

/// What an item without a value has.
const NULL: Bytes = Bytes::from_static(b"null");
const NOT_JSON: &str = "the value is no JSON: get it by its key, or over gRPC";
