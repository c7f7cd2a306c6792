//! Running a recorded trace again.

use std::fmt;

use decube_core::trace::{Record, Trace, TraceError};

use super::{CONTEXT_EVENTS, RunReport, RunSpec, run_setup, setup_of};
use crate::world::{Checkpoint, Outcome};

/// What a replay requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The run must be the same, event by event: for the code that recorded it.
    Exact,
    /// The same faults and operations; whatever happens is reported. For code
    /// that has changed since.
    Loose,
    /// As loose, and nothing may be violated: for bugs that were fixed.
    Regress,
}

/// A trace that was run again.
#[derive(Debug, Clone)]
pub struct ReplayReport {
    /// The run.
    pub report: RunReport,
    /// What the mode required and did not find.
    pub mismatch: Option<String>,
}

/// Why a trace cannot be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayError {
    /// The text is no trace.
    Format(TraceError),
    /// The trace speaks of something that this program does not know.
    Meaning(String),
}

/// Runs a trace again.
pub fn replay(text: &str, mode: Mode) -> Result<ReplayReport, ReplayError> {
    let trace = Trace::parse(text).map_err(ReplayError::Format)?;
    let (scenario, setup) = setup_of(&trace).map_err(ReplayError::Meaning)?;
    let mut spec = RunSpec::new(scenario, setup.seed);
    spec.mutant = setup.mutant;
    let again = |log: Option<(u64, u64)>| {
        let setup = crate::world::Setup {
            log,
            ..setup.clone()
        };
        run_setup(spec.clone(), setup)
    };
    let mut report = again(None);
    let outcome = &report.outcome;
    let mut mismatch = match mode {
        Mode::Exact => difference(&trace, outcome),
        Mode::Loose => None,
        Mode::Regress => outcome.violation.as_ref().map(ToString::to_string),
    };
    if let Some(at) = outcome.violation.as_ref().map(|violation| violation.event) {
        report = again(Some((at.saturating_sub(CONTEXT_EVENTS), at)));
    } else if mismatch.is_some()
        && let Some(at) = first_different(&trace, outcome)
    {
        report = again(Some((at.saturating_sub(CONTEXT_EVENTS), at)));
        mismatch = mismatch.map(|what| format!("{what}; the steps before it are listed"));
    }
    Ok(ReplayReport { report, mismatch })
}

fn checkpoints(trace: &Trace) -> impl Iterator<Item = Checkpoint> {
    trace.records.iter().filter_map(|record| match record {
        Record::Checkpoint { event, at, hash } => Some(Checkpoint {
            event: *event,
            at: *at,
            hash: *hash,
        }),
        _ => None,
    })
}

/// The event of the first checkpoint that differs.
fn first_different(trace: &Trace, outcome: &Outcome) -> Option<u64> {
    let mut now = outcome.checkpoints.iter();
    let differs = checkpoints(trace).find(|then| now.next() != Some(then));
    differs.map(|checkpoint| checkpoint.event)
}

fn difference(trace: &Trace, outcome: &Outcome) -> Option<String> {
    if let Some(event) = first_different(trace, outcome) {
        return Some(format!(
            "the run differs from the recorded one before event {event}: the code, or what it draws, has changed"
        ));
    }
    let recorded = trace.records.iter().find_map(|record| match record {
        Record::Violation { event, checker, .. } => Some((*event, checker.as_str())),
        _ => None,
    });
    let violation = outcome.violation.as_ref();
    let found = violation.map(|violation| (violation.event, violation.checker));
    if recorded != found {
        return Some(format!("recorded violation {recorded:?}, found {found:?}"));
    }
    if trace.digest.is_some_and(|digest| digest != outcome.digest) {
        return Some("the run ends differently from the recorded one".to_owned());
    }
    None
}

impl fmt::Display for ReplayReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.report)?;
        match &self.mismatch {
            None => writeln!(f, "replayed as required"),
            Some(mismatch) => writeln!(f, "NOT as required: {mismatch}"),
        }
    }
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(error) => write!(f, "not a trace: {error}"),
            Self::Meaning(what) => write!(f, "{what}"),
        }
    }
}

impl std::error::Error for ReplayError {}
