//! Every metric, in the order in which they are told.

use super::{Kind, Metric};

/// Declares metrics and the list of all; the doc is what it says.
macro_rules! catalogue {
    ($( #[doc = $help:literal] $id:ident: $kind:ident $name:literal in $unit:literal by [$($label:literal),*]; )*) => {
        $(
            #[doc = $help]
            pub static $id: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                unit: $unit,
                labels: &[$($label),*],
                help: $help.trim_ascii_start(),
            };
        )*

        /// All metrics, in the order in which they are told.
        pub static ALL: &[&Metric] = &[$(&$id),*];
    };
}

catalogue! {
    /// Requests that ended, by the class of the status that the caller got.
    CALL_REQUESTS: Counter "colony.call.requests" in "{request}" by ["caller", "upstream", "call", "status"];
    /// Requests whose tries all failed, whatever the caller got.
    CALL_FAILURES: Counter "colony.call.failures" in "{request}" by ["caller", "upstream", "call"];
    /// Time from a request to the head of its answer, all tries together.
    CALL_DURATION: Histogram "colony.call.duration" in "s" by ["caller", "upstream", "call"];
    /// Tries: the first of each request, retries and hedges.
    CALL_TRIES: Counter "colony.call.tries" in "{try}" by ["caller", "upstream", "call", "reason"];
    /// Retries and hedges that the budget refused.
    CALL_BUDGET_REFUSALS: Counter "colony.call.budget_refusals" in "{try}" by ["caller", "upstream", "call"];
    /// Hedges that were first with a good answer.
    CALL_HEDGES_WON: Counter "colony.call.hedges_won" in "{try}" by ["caller", "upstream", "call"];
    /// Requests that ran out of time.
    CALL_TIMEOUTS: Counter "colony.call.timeouts" in "{request}" by ["caller", "upstream", "call"];
    /// Requests, and tries of such, that a policy refused.
    CALL_REFUSALS: Counter "colony.call.refusals" in "{request}" by ["caller", "upstream", "call", "policy"];
    /// Requests that a fallback answered.
    CALL_FALLBACKS: Counter "colony.call.fallbacks" in "{request}" by ["caller", "upstream", "call"];
    /// State of the breaker: 0 closed, 1 half-open, 2 open; by hand, too.
    CALL_BREAKER: Gauge "colony.call.breaker_state" in "{state}" by ["caller", "upstream", "call"];
    /// How often the breaker opened by itself.
    CALL_BREAKER_OPENS: Counter "colony.call.breaker_opens" in "{open}" by ["caller", "upstream", "call"];
    /// Instances that are ejected now.
    CALL_EJECTED: Gauge "colony.call.ejected" in "{instance}" by ["caller", "upstream", "call"];
    /// Ejections of instances.
    CALL_EJECTIONS: Counter "colony.call.ejections" in "{ejection}" by ["caller", "upstream", "call"];
    /// Requests in flight of a call with a bulkhead.
    CALL_IN_FLIGHT: Gauge "colony.call.in_flight" in "{request}" by ["caller", "upstream", "call"];
    /// Most requests that its bulkhead lets in just now.
    CALL_IN_FLIGHT_MAX: Gauge "colony.call.in_flight_max" in "{request}" by ["caller", "upstream", "call"];
    /// Requests that wait for a place in its bulkhead.
    CALL_WAITING: Gauge "colony.call.waiting" in "{request}" by ["caller", "upstream", "call"];
    /// Tries that an injected fault struck.
    FAULT_STRIKES: Counter "colony.fault.strikes" in "{try}" by ["fault", "on"];
    /// Requests in flight of a service's or an external's instances.
    UPSTREAM_IN_FLIGHT: Gauge "colony.upstream.in_flight" in "{request}" by ["upstream"];
    /// Instances that get requests.
    UPSTREAM_INSTANCES: Gauge "colony.upstream.instances" in "{instance}" by ["upstream"];
    /// Connections of clients and callers.
    CONNECTIONS: Gauge "colony.connections" in "{connection}" by ["core"];

    /// Whether a service is as wanted: 1 if all wanted instances are ready.
    SERVICE_READY: Gauge "colony.service.ready" in "{state}" by ["service"];
    /// Instances that a service has: those that are wanted, and those that are ready.
    SERVICE_INSTANCES: Gauge "colony.service.instances" in "{instance}" by ["service", "state"];
    /// How often an instance was started again after a failure.
    INSTANCE_RESTARTS: Counter "colony.instance.restarts" in "{restart}" by ["service", "instance"];
    /// Processor time of an instance's process and its descendants.
    INSTANCE_CPU: Counter "colony.instance.cpu.time" in "s" by ["service", "instance"];
    /// Resident memory of the same.
    INSTANCE_MEMORY: Gauge "colony.instance.memory" in "By" by ["service", "instance"];
    /// Open file descriptors of the process.
    INSTANCE_DESCRIPTORS: Gauge "colony.instance.descriptors" in "{descriptor}" by ["service", "instance"];
    /// Threads of the process.
    INSTANCE_THREADS: Gauge "colony.instance.threads" in "{thread}" by ["service", "instance"];
    /// Time since the process was started.
    INSTANCE_UPTIME: Gauge "colony.instance.uptime" in "s" by ["service", "instance"];

    /// Messages published to a topic.
    TOPIC_PUBLISHED: Lasting "colony.topic.published" in "{message}" by ["topic"];
    /// Messages that a topic keeps.
    TOPIC_MESSAGES: Gauge "colony.topic.messages" in "{message}" by ["topic"];
    /// Bytes that they have.
    TOPIC_SIZE: Gauge "colony.topic.size" in "By" by ["topic"];
    /// Messages that a group is done with.
    TOPIC_DELIVERED: Lasting "colony.topic.delivered" in "{message}" by ["topic", "group"];
    /// Messages that a group is not done with.
    TOPIC_LAG: Gauge "colony.topic.lag" in "{message}" by ["topic", "group"];
    /// Messages that a group failed at and has set aside, and those that wait behind such.
    TOPIC_ASIDE: Gauge "colony.topic.aside" in "{message}" by ["topic", "group"];
    /// Messages of a group that became dead letters.
    TOPIC_DEAD: Lasting "colony.topic.dead_letters" in "{message}" by ["topic", "group"];
    /// Items of a queue by where they stand: ready, delayed, leased, blocked, dead.
    QUEUE_ITEMS: Gauge "colony.queue.items" in "{item}" by ["queue", "state"];
    /// Age of the item that would be had next.
    QUEUE_OLDEST: Gauge "colony.queue.oldest_age" in "s" by ["queue"];

    /// Sequence of a shard's last record in the log.
    SHARD_TAIL: Lasting "colony.shard.log_tail" in "{record}" by ["shard"];
    /// Sequence of the last record that a shard has applied.
    SHARD_APPLIED: Lasting "colony.shard.applied" in "{record}" by ["shard"];
    /// Commands that were answered.
    ENGINE_COMMANDS: Counter "colony.engine.commands" in "{command}" by [];
    /// Commands that were refused because too many waited, or nothing could be written.
    ENGINE_REFUSALS: Counter "colony.engine.refusals" in "{command}" by ["reason"];
    /// Commands that wait to be written or applied.
    ENGINE_WAITING: Gauge "colony.engine.waiting" in "{command}" by [];
    /// Batches that were committed to the log, each with one sync.
    ENGINE_COMMITS: Counter "colony.engine.commits" in "{batch}" by [];
    /// Time that committing them took.
    ENGINE_COMMIT_TIME: Counter "colony.engine.commit.time" in "s" by [];
    /// Time that applying took.
    ENGINE_APPLY_TIME: Counter "colony.engine.apply.time" in "s" by [];
    /// Checkpoints by how they ended.
    ENGINE_CHECKPOINTS: Counter "colony.engine.checkpoints" in "{checkpoint}" by ["outcome"];
    /// How often a payload was to be read that is damaged on the disk and lost, or that the disk could not read just then.
    ENGINE_PAYLOADS_FAILED: Counter "colony.engine.payloads_failed" in "{payload}" by ["reason"];
    /// Bytes that the log takes on disk.
    ENGINE_LOG_SIZE: Gauge "colony.engine.log_size" in "By" by [];

    /// Processor time of the node itself.
    NODE_CPU: Counter "colony.node.cpu.time" in "s" by [];
    /// Resident memory of the node itself.
    NODE_MEMORY: Gauge "colony.node.memory" in "By" by [];
    /// Open file descriptors of the node itself.
    NODE_DESCRIPTORS: Gauge "colony.node.descriptors" in "{descriptor}" by [];
    /// Threads of the node itself.
    NODE_THREADS: Gauge "colony.node.threads" in "{thread}" by [];
    /// Time since the node was started.
    NODE_UPTIME: Gauge "colony.node.uptime" in "s" by [];
    /// Bytes that are free where the data folder lies.
    NODE_DISK_FREE: Gauge "colony.node.disk_free" in "By" by [];
    /// Bytes that there are where the data folder lies.
    NODE_DISK_SIZE: Gauge "colony.node.disk_size" in "By" by [];

    /// What is left of an objective's error budget, 1 for all; below 0 it is overdrawn.
    SLO_BUDGET: Gauge "colony.slo.budget_left" in "1" by ["slo", "objective"];
    /// How many times faster than allowed the budget was spent in the last hour.
    SLO_BURN: Gauge "colony.slo.burn_rate" in "{factor}" by ["slo", "objective"];
    /// Alerts that fire.
    ALERTS: Gauge "colony.alerts" in "{alert}" by ["severity"];
    /// Series of metrics that are kept.
    TELEMETRY_SERIES: Gauge "colony.telemetry.series" in "{series}" by [];
    /// What telemetry had no room for, by what it is.
    TELEMETRY_DROPPED: Counter "colony.telemetry.dropped" in "{record}" by ["what"];
}
