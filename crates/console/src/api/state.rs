//! `/api/state`: stores of key-value state, their items in pages, an item with what has become of it, and putting one right.
//!
//! An item is known by its store, its scope (as a rule the service whose it is) and its key. A store is kept in the folder of the data
//! or in memory; of one that is kept outside no more is known than whose it is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::Host;
use api::config::{Block, Place};
use api::state::Engine;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use engine::blocks::Time;
use engine::blocks::kv::{Changed, Head, History, Item, Listing, Settings, Write};
use machine::kv::Page;
use serde::Deserialize;
use serde_json::{Value, json};

use super::paging::{Cursor, Left, left, limit};
use super::payload;
use super::{Answer, Served, asked, said};
use crate::problem::Problem;

/// Most stores that are told of.
const STORES_MAX: usize = 200;
/// Most scopes of a store that are told of, and that one page goes through.
const SCOPES_MAX: usize = 200;
/// Up to how many items are counted of a scope in a shard.
const COUNTED_MAX: usize = 1_000;
/// Items of a page, if nobody says otherwise.
const PAGE_USUAL: usize = 100;
/// Most items of a page.
const PAGE_MAX: usize = 500;
/// Up to how many bytes a value is shown in a page beside its key.
const GLIMPSE_BYTES_MAX: usize = 2 << 10;
/// Up to how many bytes of a value are told.
const VALUE_BYTES_MAX: usize = 64 << 10;
/// Most changes of an item that are told of.
const CHANGES_MAX: usize = 50;

pub(super) fn routes() -> Router<Served> {
    Router::new()
        .route("/api/state", get(all))
        .route("/api/state/{store}", get(items))
        .route("/api/state/{store}/{key}", get(item).put(edit).delete(delete))
}

/// Asks whichever engine it is.
macro_rules! ask {
    ($engine:expr, $one:ident => $ask:expr) => {
        match $engine {
            Engine::Disk($one) => $ask,
            Engine::Memory($one) => $ask,
        }
    };
}
pub(super) use ask;

/// The engines that there are, each with where it keeps things.
pub(super) fn engines(host: &Host) -> impl Iterator<Item = (&'static str, Engine<'_>)> {
    let memory = host.memory().map(|memory| (MEMORY, Engine::Memory(memory)));
    std::iter::once((DISK, Engine::Disk(host.disk()))).chain(memory)
}

const DISK: &str = "disk";
const MEMORY: &str = "memory";
const OUTSIDE: &str = "outside";

async fn all(State(served): State<Served>) -> Answer {
    let durable = served.sources().durable().await?;
    let host = &durable.host;
    let mut stores: BTreeMap<(String, &'static str), BTreeSet<String>> = used(host);
    let mut more = false;
    for (place, engine) in engines(host) {
        let found = ask!(engine, engine => engine.stores(None, STORES_MAX + 1).await)?;
        more |= found.len() > STORES_MAX;
        for store in found.into_iter().take(STORES_MAX) {
            stores.entry((store, place)).or_default();
        }
    }
    let mut told = Vec::new();
    for ((store, place), apps) in stores {
        let (mut scopes, mut more_scopes, mut settings) = (Vec::new(), false, None);
        if let Some((_, engine)) = engines(host).find(|(at, _)| *at == place) {
            scopes = ask!(engine, engine => {
                let mut told = Vec::new();
                let found = engine.kv(&store)?.scopes("", None, SCOPES_MAX + 1).await?;
                more_scopes = found.len() > SCOPES_MAX;
                for scope in found.into_iter().take(SCOPES_MAX) {
                    let counted = engine.kv(&store)?.scope(&scope).count(COUNTED_MAX).await?;
                    told.push(json!({ "scope": scope, "items": counted.items, "more": !counted.whole }));
                }
                told
            });
            settings = Some(ask!(engine, engine => engine.kv(&store)?.settings().await)?);
        }
        told.push(json!({
            "store": store,
            "place": place,
            "apps": apps,
            "items": scopes.iter().filter_map(|scope| scope["items"].as_u64()).sum::<u64>(),
            "more": more_scopes || scopes.iter().any(|scope| scope["more"] == true),
            "scopes": scopes,
            "more_scopes": more_scopes,
            "spread": settings.map(|settings| settings.spread),
            "changes": settings.and_then(kept_changes),
        }));
    }
    served.told(json!({ "stores": told, "more": more }))
}

/// Which applications have which store declared, or have used it, and where it is kept.
fn used(host: &Host) -> BTreeMap<(String, &'static str), BTreeSet<String>> {
    let mut used: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for app in host.applications() {
        let declared = |name: &str| {
            let component = app.config.components.iter().find(|one| one.name == name)?;
            let Block::State { place, .. } = &component.block else { return None };
            Some(match place {
                Place::Disk => DISK,
                Place::Memory => MEMORY,
                Place::Outside(_) => OUTSIDE,
            })
        };
        for told in app.components().into_iter().filter(|one| one.kind.starts_with("state.")) {
            let place = declared(&told.name).unwrap_or(DISK);
            used.entry((told.name, place)).or_default().insert(app.config.app_id.clone());
        }
    }
    used
}

/// How long changes are kept, if they are.
fn kept_changes(settings: Settings) -> Option<Value> {
    let keep = settings.changes?;
    Some(json!({ "count": keep.count, "age_ms": keep.age_ms, "values": keep.values }))
}

#[derive(Default, Deserialize)]
struct Look {
    /// Where it is kept, if there are two of the same name.
    place: Option<String>,
    /// Only of this scope.
    scope: Option<String>,
    /// Only of scopes that begin so.
    #[serde(default)]
    scope_prefix: String,
    #[serde(default)]
    prefix: String,
    after: Option<String>,
    limit: Option<usize>,
}

/// The engine that has the store: the one that is named, or else the folder of the data unless only memory has it.
async fn holder<'a>(
    host: &'a Host,
    store: &str,
    place: Option<&str>,
) -> Result<(&'static str, Engine<'a>), Problem> {
    if let Some(place) = place {
        let found = engines(host).find(|(at, _)| *at == place);
        return found.ok_or_else(|| Problem::invalid(format!("nothing is kept in {place:?} here")));
    }
    for (at, engine) in engines(host) {
        let has = ask!(engine, engine => !engine.kv(store)?.scopes("", None, 1).await?.is_empty());
        if has {
            return Ok((at, engine));
        }
    }
    Ok((DISK, Engine::Disk(host.disk())))
}

async fn items(
    State(served): State<Served>,
    Path(store): Path<String>,
    query: Result<Query<Look>, QueryRejection>,
) -> Answer {
    let look = asked(query)?;
    let durable = served.sources().durable().await?;
    let (place, engine) = holder(&durable.host, &store, look.place.as_deref()).await?;
    let mut told = page(engine, &store, &look).await?;
    told["place"] = place.into();
    served.told(told)
}

/// A page of items, which goes on through scope after scope.
async fn page(engine: Engine<'_>, store: &str, look: &Look) -> Result<Value, Problem> {
    let wanted = limit(look.limit, PAGE_USUAL, PAGE_MAX)?;
    let cursor = look.after.as_deref().map(str::parse::<Cursor>).transpose()?;
    let some = async |after: Option<&str>, max: usize| ask!(engine, engine => engine.kv(store)?.scopes(&look.scope_prefix, after, max).await);
    let mut scopes = some(None, SCOPES_MAX + 1).await?;
    let more_scopes = scopes.len() > SCOPES_MAX;
    scopes.truncate(SCOPES_MAX);
    // Those that it goes through: from where the page before has ended, which may be within one.
    let chosen = match (&look.scope, &cursor) {
        (Some(only), _) => vec![only.clone()],
        (None, None) => scopes.clone(),
        (None, Some(Cursor { scope, .. })) => {
            [vec![scope.clone()], some(Some(scope), SCOPES_MAX - 1).await?].concat()
        }
    };
    // If it does not end before, the next one begins behind the last of them.
    let last = chosen.last().filter(|_| look.scope.is_none() && chosen.len() >= SCOPES_MAX).cloned();
    let (mut told, mut next) = (Vec::new(), None);
    for Left { scope, after } in left(chosen, cursor.as_ref()) {
        if told.len() == wanted {
            // All before is told, and of this scope nothing.
            next = told.last().and_then(cursor_of);
            break;
        }
        let page = Page { prefix: look.prefix.clone().into(), after, max: wanted - told.len() };
        let (Listing { items, next: end }, values) = ask!(engine, engine => {
            let kv = engine.kv(store)?.scope(&scope);
            let listing = kv.heads(&page).await?;
            let small = listing.items.iter().filter(|head| head.bytes <= GLIMPSE_BYTES_MAX);
            let small: Vec<Bytes> = small.map(|head| head.key.clone()).collect();
            let values = kv.get_many(&small).await?.into_iter().flatten();
            let values = values.map(|item| (item.key, item.value)).collect::<BTreeMap<_, _>>();
            (listing, values)
        });
        told.extend(items.into_iter().map(|head| (scope.clone(), head)).map(|(scope, head)| Found {
            glimpse: values.get(&head.key).map(|value| payload::told_up_to(GLIMPSE_BYTES_MAX, value)),
            scope,
            head,
        }));
        if let Some(key) = end {
            next = Some(Cursor { scope, key });
            break;
        }
    }
    let next = next.or_else(|| {
        let scope = last?;
        let key = told.last().filter(|found| found.scope == scope).map(|found| found.head.key.clone());
        Some(Cursor { scope, key: key.unwrap_or_default() })
    });
    Ok(json!({
        "store": store,
        "scopes": scopes,
        "more_scopes": more_scopes,
        "items": told.iter().map(Found::told).collect::<Vec<_>>(),
        "next": next.map(|next| next.to_string()),
    }))
}

/// An item of a page.
struct Found {
    scope: String,
    head: Head,
    glimpse: Option<Value>,
}

fn cursor_of(found: &Found) -> Option<Cursor> {
    Some(Cursor { scope: found.scope.clone(), key: found.head.key.clone() })
}

impl Found {
    fn told(&self) -> Value {
        json!({
            "scope": self.scope,
            "key": String::from_utf8_lossy(&self.head.key),
            "etag": self.head.etag.to_string(),
            "bytes": self.head.bytes,
            "expires_unix_ms": self.head.expires.map(Time::as_millis),
            "value": self.glimpse,
        })
    }
}

#[derive(Deserialize)]
struct Which {
    place: Option<String>,
    scope: Option<String>,
    etag: Option<String>,
}

/// The one scope in which there is such an item.
async fn scope_of(
    engine: Engine<'_>,
    store: &str,
    key: &str,
    said: Option<String>,
) -> Result<String, Problem> {
    if let Some(scope) = said {
        return Ok(scope);
    }
    let mut found = Vec::new();
    for scope in ask!(engine, engine => engine.kv(store)?.scopes("", None, SCOPES_MAX).await)? {
        let item = ask!(engine, engine => engine.kv(store)?.scope(&scope).get(key.as_bytes()).await)?;
        found.extend(item.map(|_| scope));
    }
    match found.len() {
        0 => Err(none(store, key)),
        1 => Ok(found.remove(0)),
        _ => Err(Problem::invalid(format!("{key:?} is in several scopes: say in which"))
            .remedy(format!("`scope` is one of {}", found.join(", ")))),
    }
}

fn none(store: &str, key: &str) -> Problem {
    Problem::not_found(format!("there is no item {key:?} in the store {store:?}"))
}

async fn item(
    State(served): State<Served>,
    Path((store, key)): Path<(String, String)>,
    query: Result<Query<Which>, QueryRejection>,
) -> Answer {
    let which = asked(query)?;
    let durable = served.sources().durable().await?;
    let (place, engine) = holder(&durable.host, &store, which.place.as_deref()).await?;
    let scope = scope_of(engine, &store, &key, which.scope).await?;
    let (found, history) = ask!(engine, engine => {
        let kv = engine.kv(&store)?.scope(&scope);
        (kv.get(key.as_bytes()).await?, kv.history(key.as_bytes(), CHANGES_MAX).await?)
    });
    if found.is_none() && history.as_ref().is_none_or(|history| history.changes.is_empty()) {
        return Err(none(&store, &key));
    }
    let mut told = json!({ "store": store, "place": place, "scope": scope, "key": key });
    if let Some(Item { value, etag, expires, .. }) = &found {
        told["hidden"] = is_hidden(&served, value).into();
        told["etag"] = etag.to_string().into();
        told["value"] = payload::told_up_to(VALUE_BYTES_MAX, value);
        told["expires_unix_ms"] = json!(expires.map(Time::as_millis));
    }
    told["history"] = history.as_ref().map_or(Value::Null, told_history);
    served.told(told)
}

fn told_history(history: &History) -> Value {
    let change = |changed: &Changed| {
        json!({
            "etag": changed.etag.map(|etag| etag.to_string()),
            "unix_ms": changed.time.as_millis(),
            "value": changed.value.as_ref().map(|value| payload::told_up_to(VALUE_BYTES_MAX, value)),
        })
    };
    json!({ "whole": history.whole, "changes": history.changes.iter().map(change).collect::<Vec<_>>() })
}

/// Whether something of it is not told, since the manifest calls it a secret.
fn is_hidden(served: &Served, value: &[u8]) -> bool {
    let told = payload::told_up_to(VALUE_BYTES_MAX, value);
    served.sources().redacted(told.clone()) != told
}

#[derive(Deserialize)]
struct Edit {
    /// What the item must have.
    etag: String,
    /// The text that it has then.
    value: String,
}

/// Puts a text in place of another, if it is the same still. What expires does so at the same time.
async fn edit(
    State(served): State<Served>,
    Path((store, key)): Path<(String, String)>,
    query: Result<Query<Which>, QueryRejection>,
    body: Result<Json<Edit>, JsonRejection>,
) -> Answer {
    let (which, Edit { etag, value }) = (asked(query)?, said(body)?);
    let etag = number(&etag)?;
    let durable = served.sources().durable().await?;
    let (_, engine) = holder(&durable.host, &store, which.place.as_deref()).await?;
    let scope = scope_of(engine, &store, &key, which.scope).await?;
    let found = ask!(engine, engine => engine.kv(&store)?.scope(&scope).get(key.as_bytes()).await)?;
    let found = found.ok_or_else(|| none(&store, &key))?;
    check_edit(&found.value, &value)?;
    if is_hidden(&served, &found.value) {
        return Err(Problem::impossible(
            "the value has a secret of the manifest in it, which is not shown here",
        )
        .remedy("`colony state set` writes it as a whole"));
    }
    let ttl = found.expires.map(|expires| remaining(expires, now()));
    let write = Write { only_if: Some(etag), ttl };
    let etag = ask!(engine, engine => {
        engine.kv(&store)?.scope(&scope).put(key.clone().into_bytes(), value.into_bytes(), write).await
    })?;
    served.told(json!({ "store": store, "scope": scope, "key": key, "etag": etag.to_string() }))
}

/// Only what was shown as a whole is put in place of, and JSON by JSON.
fn check_edit(was: &[u8], is: &str) -> Result<(), Problem> {
    if was.len() > VALUE_BYTES_MAX {
        return Err(Problem::impossible(format!(
            "the value has {} bytes: up to {VALUE_BYTES_MAX} can be edited here",
            was.len()
        )));
    }
    let Ok(text) = std::str::from_utf8(was) else {
        return Err(Problem::impossible("the value is no text"));
    };
    let is_json = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text);
    match (is_json(text), is_json(is)) {
        (Ok(_), Err(error)) => {
            Err(Problem::invalid(format!("the value was JSON, and this is none: {error}")))
        }
        _ => Ok(()),
    }
}

async fn delete(
    State(served): State<Served>,
    Path((store, key)): Path<(String, String)>,
    query: Result<Query<Which>, QueryRejection>,
) -> Answer {
    let which = asked(query)?;
    let etag = which.etag.as_deref().ok_or_else(|| Problem::invalid("`etag` says which item is meant"))?;
    let write = Write::if_etag(number(etag)?);
    let durable = served.sources().durable().await?;
    let (_, engine) = holder(&durable.host, &store, which.place.as_deref()).await?;
    let scope = scope_of(engine, &store, &key, which.scope).await?;
    let existed = ask!(engine, engine => {
        engine.kv(&store)?.scope(&scope).delete(key.clone().into_bytes(), write).await
    })?;
    served.told(json!({ "store": store, "scope": scope, "key": key, "deleted": existed }))
}

/// Zero would mean that there is no such item.
fn number(etag: &str) -> Result<u64, Problem> {
    let number = etag.parse().ok().filter(|etag| *etag > 0);
    number.ok_or_else(|| Problem::invalid(format!("{etag:?} is no ETag")))
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// For how long it lives on; what has no time left is about to expire.
fn remaining(expires: Time, now: Time) -> Duration {
    Duration::from_millis(expires.as_millis().saturating_sub(now.as_millis()).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_through_all_scopes_and_those_that_begin_so() {
        let memory = engine::InMemory::open_empty(engine::Config::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let all = SCOPES_MAX + 30;
            for n in 0..all {
                let scope = format!("shop-{n:03}");
                let kv = memory.kv("carts").unwrap().scope(&scope);
                let key = if n % 2 == 0 { "even" } else { "odd" };
                kv.put(key, "1", Write::default()).await.unwrap();
            }
            let told = async |look: Look| {
                let (mut found, mut after) = (Vec::new(), look.after.clone());
                loop {
                    let look = Look {
                        after,
                        scope: look.scope.clone(),
                        scope_prefix: look.scope_prefix.clone(),
                        prefix: look.prefix.clone(),
                        ..Look::default()
                    };
                    let page = page(Engine::Memory(&memory), "carts", &look).await.unwrap();
                    let scopes = page["items"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|one| one["scope"].as_str().unwrap().to_owned());
                    found.extend(scopes);
                    after = page["next"].as_str().map(str::to_owned);
                    if after.is_none() {
                        return (
                            found,
                            page["scopes"].as_array().unwrap().len(),
                            page["more_scopes"] == true,
                        );
                    }
                }
            };
            let named = |from: usize, by: usize| {
                (from..all).step_by(by).map(|n| format!("shop-{n:03}")).collect::<Vec<_>>()
            };
            assert_eq!(told(Look::default()).await, (named(0, 1), SCOPES_MAX, true));
            let odd = Look { prefix: "odd".to_owned(), ..Look::default() };
            assert_eq!(told(odd).await.0, named(1, 2));
            let late = Look { scope_prefix: "shop-22".to_owned(), ..Look::default() };
            assert_eq!(told(late).await, (named(220, 1), 10, false));
            let one = Look { scope: Some("shop-229".to_owned()), ..Look::default() };
            assert_eq!(told(one).await.0, ["shop-229"]);
        });
    }

    #[test]
    fn json_is_edited_into_json_and_text_into_text() {
        assert!(check_edit(b"{\"a\":1}", "{\"a\":2}").is_ok());
        assert!(check_edit(b"{\"a\":1}", "{\"a\":").is_err());
        assert!(check_edit(b"plain", "other").is_ok());
        assert!(check_edit(&[0xff], "text").is_err());
        assert!(check_edit("a".repeat(VALUE_BYTES_MAX + 1).as_bytes(), "a").is_err());
    }

    #[test]
    fn what_expires_does_so_at_the_same_time() {
        let at = Time::from_millis;
        assert_eq!(remaining(at(5_000), at(2_000)), Duration::from_secs(3));
        assert_eq!(remaining(at(5_000), at(5_000)), Duration::from_millis(1));
    }

    #[test]
    fn zero_is_no_etag() {
        assert_eq!(number("7"), Ok(7));
        assert!(number("0").is_err() && number("x").is_err());
    }
}
