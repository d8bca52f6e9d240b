//! What went wrong, as both transports say it: Dapr's code, a status for HTTP and one for gRPC, a sentence, and what
//! a program may read besides.
//!
//! Codes and statuses are a contract with the SDKs, which match them, and so is that most of what fails in a store is
//! 500 or `Internal`. Each building block makes its errors in one place; the transports only render them.

use http::StatusCode;
use prost::Message;
use prost_types::Any;
use serde_json::{Value, json};
use tonic::Code;

use crate::proto::rpc;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    /// What SDKs match: `ERR_...`.
    pub code: &'static str,
    /// For HTTP.
    pub status: StatusCode,
    /// For gRPC.
    pub grpc: Code,
    /// A sentence.
    pub message: String,
    /// What else is said; most errors say nothing else.
    pub details: Option<Box<Details>>,
}

/// What a program can read of an error.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// Which field was wrong, and how.
    pub violation: Option<(String, String)>,
    /// What it is about: a kind such as `state`, and its name.
    pub resource: Option<(&'static str, String)>,
    /// Why, in a word.
    pub reason: &'static str,
    /// What belongs to the reason.
    pub metadata: Vec<(&'static str, String)>,
}

impl Error {
    /// An error that says no more than its sentence.
    pub fn new(code: &'static str, status: StatusCode, grpc: Code, message: impl Into<String>) -> Error {
        Error { code, status, grpc, message: message.into(), details: None }
    }

    /// The same, with what a program can read of it.
    #[must_use]
    pub fn with(mut self, details: Details) -> Error {
        self.details = Some(Box::new(details));
        self
    }

    /// A body that is not what it should be.
    pub fn malformed(message: impl Into<String>) -> Error {
        Error::new("ERR_MALFORMED_REQUEST", StatusCode::BAD_REQUEST, Code::InvalidArgument, message)
    }

    /// A body that cannot be read as what it should be.
    pub fn not_json(why: impl std::fmt::Display) -> Error {
        Error::malformed(format!("failed deserializing HTTP body: {why}"))
    }

    /// A body that cannot be had as a whole.
    pub fn malformed_body(why: impl std::fmt::Display) -> Error {
        Error::malformed(why.to_string())
    }

    /// A body that cannot be had, or is not what can be read.
    pub fn unread(why: impl std::fmt::Display) -> Error {
        let message = format!("failed reading the body: {why}");
        Error::new("ERR_BODY_READ", StatusCode::BAD_REQUEST, Code::InvalidArgument, message)
    }

    /// A request that makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Error {
        Error::new("ERR_BAD_REQUEST", StatusCode::BAD_REQUEST, Code::InvalidArgument, message)
    }

    /// The body of the answer over HTTP.
    pub fn to_json(&self) -> Value {
        let mut body = json!({ "errorCode": self.code, "message": self.message });
        if let Some(details) = &self.details {
            body["details"] = details.to_json();
        }
        body
    }

    /// The status of the answer over gRPC.
    pub fn to_status(&self) -> tonic::Status {
        let Some(details) = &self.details else { return tonic::Status::new(self.grpc, &self.message) };
        let status =
            rpc::Status { code: self.grpc as i32, message: self.message.clone(), details: details.to_any() };
        tonic::Status::with_details(self.grpc, &self.message, status.encode_to_vec().into())
    }
}

impl Details {
    /// In the order that Dapr has.
    fn to_json(&self) -> Value {
        let mut all = Vec::new();
        if let Some((field, description)) = &self.violation {
            let violations = json!([{ "field": field, "description": description }]);
            all.push(json!({ "@type": type_url("BadRequest"), "field_violations": violations }));
        }
        if let Some((kind, name)) = &self.resource {
            all.push(json!({
                "@type": type_url("ResourceInfo"),
                "resource_type": kind, "resource_name": name, "owner": "", "description": "",
            }));
        }
        let metadata: serde_json::Map<String, Value> =
            self.metadata.iter().map(|(key, value)| ((*key).to_owned(), value.as_str().into())).collect();
        let metadata = if metadata.is_empty() { Value::Null } else { metadata.into() };
        all.push(json!({
            "@type": type_url("ErrorInfo"), "reason": self.reason, "domain": DOMAIN, "metadata": metadata,
        }));
        all.into()
    }

    fn to_any(&self) -> Vec<Any> {
        let mut all = Vec::new();
        if let Some((field, description)) = self.violation.clone() {
            let field_violations = vec![rpc::bad_request::FieldViolation { field, description }];
            all.push(any("BadRequest", &rpc::BadRequest { field_violations }));
        }
        if let Some((kind, resource_name)) = self.resource.clone() {
            let resource_type = kind.to_owned();
            let info = rpc::ResourceInfo { resource_type, resource_name, ..rpc::ResourceInfo::default() };
            all.push(any("ResourceInfo", &info));
        }
        let metadata = self.metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let info = rpc::ErrorInfo { reason: self.reason.to_owned(), domain: DOMAIN.to_owned(), metadata };
        all.push(any("ErrorInfo", &info));
        all
    }
}

fn any(name: &str, message: &impl Message) -> Any {
    Any { type_url: type_url(name), value: message.encode_to_vec() }
}

fn type_url(name: &str) -> String {
    format!("type.googleapis.com/google.rpc.{name}")
}

/// Whose reasons these are.
const DOMAIN: &str = "dapr.io";
