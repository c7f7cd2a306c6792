//! `/metrics` in the Prometheus text format.
//!
//! Labels are bounded: the route's pattern, the method if it is a known one, and
//! the status. Ids are never labels.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use decube_core::cluster::{Request, Response as Answer, Status};
use decube_core::ledger::{LedgerStatus, Request as LedgerRequest, Response as LedgerAnswer};
use decube_core::raft::Role;

use super::Shared;
use crate::backend::{Sample, SampleValue};

/// Upper bounds of the request durations, in seconds.
const BOUNDS: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];
/// Routes times methods times statuses; what comes later is counted together.
const SERIES_MAX: usize = 1024;

/// What the API counts.
#[derive(Default)]
pub struct HttpMetrics {
    series: Mutex<BTreeMap<Labels, Series>>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Labels {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, Default)]
struct Series {
    buckets: [u64; BOUNDS.len()],
    sum: f64,
    count: u64,
}

impl HttpMetrics {
    /// Counts a request.
    pub fn record(&self, route: &str, method: &Method, status: u16, took: Duration) {
        let mut labels = Labels {
            route: route.to_owned(),
            method: method_name(method),
            status,
        };
        let mut series = self.series.lock().expect("no panic while held");
        if series.len() >= SERIES_MAX && !series.contains_key(&labels) {
            labels.route = "other".to_owned();
        }
        let one = series.entry(labels).or_default();
        let seconds = took.as_secs_f64();
        one.sum += seconds;
        one.count += 1;
        for (bound, bucket) in BOUNDS.iter().zip(&mut one.buckets) {
            *bucket += u64::from(seconds <= *bound);
        }
    }
}

/// `GET /metrics`.
pub async fn metrics(State(gateway): State<Shared>) -> Response {
    let mut page = Page::default();
    let health = gateway.backend.health();
    page.family(
        "decube_build_info",
        "gauge",
        "The version that runs; always 1.",
    );
    page.line(
        "decube_build_info",
        &format!("version=\"{}\"", env!("CARGO_PKG_VERSION")),
        "1",
    );
    let gauge = |value: bool| u64::from(value);
    page.gauge(
        "decube_node_ready",
        "Whether requests can be expected to succeed.",
        gauge(health.serving()),
    );
    page.gauge("decube_raft_term", "The term of this node.", health.term.0);
    page.gauge(
        "decube_raft_is_leader",
        "Whether this node leads.",
        gauge(health.role == Role::Leader),
    );
    let voters = health.membership.voters.len() as u64;
    page.gauge("decube_raft_voters", "Voters of the cluster.", voters);
    let learners = health.membership.learners.len() as u64;
    page.gauge("decube_raft_learners", "Learners of the cluster.", learners);
    // The node itself, not the retrying way: metrics must not wait for an election.
    if let Ok(Answer::Status(status)) = gateway.backend.request(Request::Status).await {
        page.status(&status);
    }
    if gateway.info.genesis.is_some()
        && let Ok(LedgerAnswer::Status(status)) =
            gateway.backend.ledger(LedgerRequest::Status).await
    {
        page.ledger(&status);
    }
    let uploads = gateway.limits.uploads_max - gateway.uploads.available_permits();
    page.gauge(
        "decube_http_uploads_open",
        "Bodies being received.",
        uploads as u64,
    );
    let watches = gateway.limits.watches_max - gateway.watches.available_permits();
    page.gauge("decube_http_watches_open", "Watches open.", watches as u64);
    for sample in gateway.backend.samples() {
        page.sample(&sample);
    }
    page.http(&gateway.http);
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], page.text).into_response()
}

/// The page as it grows.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    /// What the node says of itself.
    fn status(&mut self, status: &Status) {
        let numbers = [
            (
                "decube_raft_last_index",
                "The last entry of the log.",
                status.last.index.0,
            ),
            (
                "decube_raft_commit_index",
                "The last entry known to be committed.",
                status.committed.0,
            ),
            (
                "decube_raft_applied_index",
                "The last entry applied.",
                status.applied.0,
            ),
            (
                "decube_kv_revision",
                "The revision of the state.",
                status.revision.0,
            ),
            (
                "decube_kv_state_bytes",
                "Bytes of keys and values.",
                status.state_bytes,
            ),
        ];
        for (name, help, value) in numbers {
            self.gauge(name, help, value);
        }
        let kept = status.last.index.0.saturating_sub(status.base.0);
        self.gauge("decube_raft_log_entries", "Entries kept in the log.", kept);
    }

    /// What the ledger says of itself.
    fn ledger(&mut self, status: &LedgerStatus) {
        let gauges = [
            (
                "decube_ledger_height",
                "The last final block.",
                status.height.0,
            ),
            (
                "decube_ledger_base_height",
                "The first block that this node has whole.",
                status.base.0,
            ),
            (
                "decube_ledger_block_time_seconds",
                "When the last final block was made, in seconds since 1970.",
                status.time_ms / 1_000,
            ),
            ("decube_ledger_epoch", "The epoch.", status.epoch.0),
            (
                "decube_ledger_view",
                "The view, from 1 in each epoch.",
                status.view.0,
            ),
            (
                "decube_ledger_is_voting",
                "Whether this node votes.",
                u64::from(status.is_voting),
            ),
            (
                "decube_ledger_pool_transactions",
                "Transactions that wait for a block.",
                status.pooled as u64,
            ),
            (
                "decube_ledger_pool_bytes",
                "Their bytes.",
                status.pooled_bytes as u64,
            ),
            (
                "decube_ledger_waiting_clients",
                "Clients that wait for a transaction to become final.",
                status.waiting as u64,
            ),
        ];
        for (name, help, value) in gauges {
            self.gauge(name, help, value);
        }
        self.ledger_counters(status);
    }

    fn ledger_counters(&mut self, status: &LedgerStatus) {
        let named = status.bad_signatures.iter().map(|(_, count)| *count);
        let bad = named.fold(status.bad_signatures_of_others, u64::saturating_add);
        let counters = [
            (
                "gcl_blocks_total",
                "Blocks of the ledger that became final since this node started.",
                status.final_blocks,
            ),
            (
                "gcl_operations_total",
                "Operations in them.",
                status.final_operations,
            ),
            (
                "decube_ledger_pool_evicted_total",
                "Transactions that had to make room for those of others.",
                status.evicted,
            ),
            (
                "decube_ledger_bodies_asked_total",
                "Transactions of leaders' blocks that were not in the pool.",
                status.bodies_asked,
            ),
            (
                "decube_ledger_messages_rejected_total",
                "Messages of validators that broke a rule, in this epoch.",
                status.rejected,
            ),
            (
                "decube_ledger_bad_signatures_total",
                "Transactions refused for a bad signature.",
                bad,
            ),
        ];
        for (name, help, value) in counters {
            self.family(name, "counter", help);
            self.line(name, "", &value.to_string());
        }
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: &str) {
        let _ = match labels {
            "" => writeln!(self.text, "{name} {value}"),
            _ => writeln!(self.text, "{name}{{{labels}}} {value}"),
        };
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "gauge", help);
        self.line(name, "", &value.to_string());
    }

    fn sample(&mut self, sample: &Sample) {
        let name = sample.name;
        match &sample.value {
            SampleValue::Gauge(value) => self.gauge(name, sample.help, *value),
            SampleValue::Counter(value) => {
                self.family(name, "counter", sample.help);
                self.line(name, "", &value.to_string());
            }
            SampleValue::Histogram {
                buckets,
                sum,
                count,
            } => {
                self.family(name, "histogram", sample.help);
                self.histogram(name, "", buckets, *sum, *count);
            }
        }
    }

    fn histogram(
        &mut self,
        name: &str,
        labels: &str,
        buckets: &[(f64, u64)],
        sum: f64,
        count: u64,
    ) {
        let comma = if labels.is_empty() { "" } else { "," };
        let bucket = format!("{name}_bucket");
        for (bound, value) in buckets {
            self.line(
                &bucket,
                &format!("{labels}{comma}le=\"{bound}\""),
                &value.to_string(),
            );
        }
        self.line(
            &bucket,
            &format!("{labels}{comma}le=\"+Inf\""),
            &count.to_string(),
        );
        self.line(&format!("{name}_sum"), labels, &sum.to_string());
        self.line(&format!("{name}_count"), labels, &count.to_string());
    }

    fn http(&mut self, http: &HttpMetrics) {
        let series = http.series.lock().expect("no panic while held").clone();
        let labels = |labels: &Labels| {
            let Labels {
                route,
                method,
                status,
            } = labels;
            format!("route=\"{route}\",method=\"{method}\",status=\"{status}\"")
        };
        let total = "decube_http_requests_total";
        self.family(total, "counter", "Requests answered.");
        for (name, one) in &series {
            self.line(total, &labels(name), &one.count.to_string());
        }
        let duration = "decube_http_request_duration_seconds";
        self.family(
            duration,
            "histogram",
            "Time from the head of a request to the head of its answer.",
        );
        for (name, one) in &series {
            let buckets: Vec<(f64, u64)> = BOUNDS.into_iter().zip(one.buckets).collect();
            self.histogram(duration, &labels(name), &buckets, one.sum, one.count);
        }
    }
}

fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
