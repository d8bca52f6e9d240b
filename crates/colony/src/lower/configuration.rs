//! Configuration files, lowered into what the API wants.

use api::access::{Access, Apis, Calls, Group, Open, Operation, Policy};
use manifest::Configuration;
use manifest::configuration as written;

/// Which groups of endpoints there are.
pub(crate) fn apis(configuration: &Configuration) -> Apis {
    let groups = |all: &[written::Group], grpc: bool| {
        all.iter().filter(|one| one.grpc == grpc).map(|one| Group::new(&one.name, &one.version)).collect()
    };
    let written::Apis { allowed, denied } = &configuration.apis;
    let open = |grpc| Open { allowed: groups(allowed, grpc), denied: groups(denied, grpc) };
    Apis { http: open(false), grpc: open(true) }
}

/// Who may call the application.
pub(crate) fn access(configuration: &Configuration) -> Access {
    let Some(written) = &configuration.access else { return Access::default() };
    let default = Access::default();
    let policies = written.policies.iter().map(|(id, all)| (id.clone(), all.iter().map(policy).collect()));
    let calls = Calls { allow: written.allow, policies: policies.collect() };
    Access { trust_domain: written.trust_domain.clone().unwrap_or(default.trust_domain), calls: Some(calls) }
}

fn policy(written: &written::Policy) -> Policy {
    let operation = |one: &written::Operation| Operation::new(&one.path, one.verbs.clone(), one.allow);
    Policy {
        namespace: written.namespace.clone(),
        trust_domain: written.trust_domain.clone(),
        allow: written.allow,
        operations: written.operations.iter().map(operation).collect(),
    }
}
