//! Jobs over HTTP.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use engine::blocks::jobs::duration;
use http::Method;
use prost_types::Any;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::answer::{Answer, empty, json_bytes};
use super::call::{Asked, Call, decoded};
use super::json::{Number, Object};
use crate::error::Error;
use crate::jobs::{Kept, from_json, named_twice, to_json};
use crate::proto::dapr::common::v1::job_failure_policy::Policy;
use crate::proto::dapr::common::v1::{JobFailurePolicy, JobFailurePolicyConstant, JobFailurePolicyDrop};
use crate::proto::dapr::runtime::v1::Job;
use crate::value;

/// `jobs` and `jobs/NAME`.
pub(super) async fn answer(rest: &[&str], call: Call<'_>) -> Answer {
    match (&call.head.method, rest) {
        (&Method::POST, [name]) => schedule(decoded(name)?.trim(), call).await,
        (&Method::GET, []) => list(call).await,
        (&Method::GET, [name]) => answer_json(&told(&call.api.job(&decoded(name)?).await?)?),
        (&Method::DELETE, [name]) => {
            let (api, name) = (call.api, decoded(name)?);
            let Asked { once, .. } = call.asked_or(Error::unread).await?;
            api.delete_job(&name, once.as_ref()).await?;
            Ok(empty())
        }
        _ => Err(call.no_route()),
    }
}

async fn schedule(name: &str, call: Call<'_>) -> Answer {
    let (api, trace) = (call.api, call.trace());
    let Asked { body, once } = call.asked_or(Error::unread).await?;
    let Object(written): Object<Written<'_>> = serde_json::from_slice(&body).map_err(Error::not_json)?;
    if written.name.as_deref().is_some_and(|name| !name.is_empty()) {
        return Err(named_twice(&api.config.app_id));
    }
    let overwrite = written.overwrite.unwrap_or_default();
    let kept = written.kept(name, &body).map_err(Error::not_json)?;
    api.schedule_job(Some(kept), overwrite, once.as_ref(), trace).await?;
    Ok(empty())
}

/// A job as it is written: the names are those of the messages of gRPC, in either way.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(default)]
    schedule: Option<String>,
    #[serde(default, rename = "dueTime", alias = "due_time")]
    due_time: Option<String>,
    #[serde(default)]
    repeats: Option<Number<u32>>,
    #[serde(default)]
    ttl: Option<String>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    overwrite: Option<bool>,
    #[serde(default, rename = "failurePolicy", alias = "failure_policy")]
    policy: Option<Object<WrittenPolicy>>,
}

#[derive(Deserialize)]
struct WrittenPolicy {
    #[serde(default)]
    drop: Option<Object<Nothing>>,
    #[serde(default)]
    constant: Option<Object<WrittenConstant>>,
}

#[derive(Deserialize)]
struct Nothing {}

#[derive(Deserialize)]
struct WrittenConstant {
    #[serde(default)]
    interval: Option<String>,
    #[serde(default, rename = "maxRetries", alias = "max_retries")]
    max_retries: Option<Number<u32>>,
}

impl Written<'_> {
    fn kept(self, name: &str, body: &Bytes) -> Result<Kept, String> {
        let (mut data, mut json) = (None, Bytes::new());
        if let Some(raw) = self.data {
            let read: Value = serde_json::from_str(raw.get()).map_err(|wrong| wrong.to_string())?;
            (data, json) = (Some(from_json(&read)), value::compact(body, raw.get()));
        }
        let failure_policy = match self.policy {
            Some(Object(policy)) => policy.lower()?,
            None => None,
        };
        let job = Job {
            name: name.to_owned(),
            schedule: self.schedule,
            repeats: self.repeats.map(|Number(repeats)| repeats),
            due_time: self.due_time,
            ttl: self.ttl,
            data,
            failure_policy,
        };
        Ok(Kept { job, json })
    }
}

impl WrittenPolicy {
    fn lower(self) -> Result<Option<JobFailurePolicy>, String> {
        let policy = match (self.drop, self.constant) {
            (Some(_), Some(_)) => return Err("a failurePolicy is either `drop` or `constant`".to_owned()),
            (Some(_), None) => Policy::Drop(JobFailurePolicyDrop {}),
            (None, Some(Object(constant))) => Policy::Constant(constant.lower()?),
            (None, None) => return Ok(None),
        };
        Ok(Some(JobFailurePolicy { policy: Some(policy) }))
    }
}

impl WrittenConstant {
    fn lower(self) -> Result<JobFailurePolicyConstant, String> {
        let interval = self.interval.map(|text| duration(&text)).transpose();
        let interval = interval.map_err(|wrong| format!("the interval of the failurePolicy: {wrong}"))?;
        let interval = interval.map(prost_types::Duration::try_from).transpose();
        Ok(JobFailurePolicyConstant {
            interval: interval.map_err(|wrong| wrong.to_string())?,
            max_retries: self.max_retries.map(|Number(most)| most),
        })
    }
}

/// A job as it is told of.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeats: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_time: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<ToldData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_policy: Option<Value>,
}

#[derive(Serialize)]
struct Listed<'a> {
    jobs: Vec<Told<'a>>,
}

#[derive(Serialize)]
struct ToldData<'a> {
    #[serde(rename = "@type")]
    kind: &'a str,
    value: Box<RawValue>,
}

/// All of them, as over gRPC.
async fn list(call: Call<'_>) -> Answer {
    let all = call.api.jobs().await?;
    let jobs = all.iter().map(told).collect::<Result<Vec<_>, _>>()?;
    answer_json(&Listed { jobs })
}

fn answer_json(told: &impl Serialize) -> Answer {
    Ok(json_bytes(serde_json::to_vec(told).map_err(unreadable)?.into()))
}

fn unreadable(wrong: serde_json::Error) -> Error {
    Error::malformed(wrong.to_string())
}

fn told(kept: &Kept) -> Result<Told<'_>, Error> {
    let job = &kept.job;
    let data = job.data.as_ref().map(|data| told_data(kept, data)).transpose().map_err(unreadable)?;
    Ok(Told {
        name: &job.name,
        schedule: job.schedule.as_deref(),
        repeats: job.repeats,
        due_time: job.due_time.as_deref(),
        ttl: job.ttl.as_deref(),
        data,
        failure_policy: job.failure_policy.as_ref().and_then(told_policy),
    })
}

/// JSON as it was written, and of messages of other types their bytes.
fn told_data<'a>(kept: &Kept, data: &'a Any) -> Result<ToldData<'a>, serde_json::Error> {
    let text = match (&kept.json[..], to_json(data)) {
        ([], Some(json)) => json.to_string(),
        ([], None) => Value::from(STANDARD.encode(&data.value)).to_string(),
        (json, _) => String::from_utf8_lossy(json).into_owned(),
    };
    Ok(ToldData { kind: &data.type_url, value: RawValue::from_string(text)? })
}

fn told_policy(policy: &JobFailurePolicy) -> Option<Value> {
    Some(match policy.policy.as_ref()? {
        Policy::Drop(_) => json!({ "drop": {} }),
        Policy::Constant(constant) => {
            let mut told = serde_json::Map::new();
            if let Some(interval) = &constant.interval {
                told.insert("interval".to_owned(), interval.to_string().into());
            }
            if let Some(most) = constant.max_retries {
                told.insert("maxRetries".to_owned(), most.into());
            }
            json!({ "constant": told })
        }
    })
}
