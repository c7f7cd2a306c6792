//! Stepping through a recorded run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::{Buf as _, Bytes};
use decube_core::codec::Decode as _;
use decube_core::machine::{Machine, Outbox};
use decube_core::node::{Config, Effect, Event};
use decube_core::types::Time;
use decube_proto::journal::end::Reason;
use decube_proto::journal::record::Body;
use decube_proto::journal::{Header, Record, Step};
use prost::Message as _;

use super::{EffectDigest, FORMAT, SUFFIX, header};

/// What a replay found: every step answered as it did when it was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replay {
    /// Events taken.
    pub steps: u64,
    /// The last time of the run.
    pub last: Time,
    /// How the recording ends.
    pub end: ReplayEnd,
}

/// How a recording ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayEnd {
    /// With the host.
    Stopped,
    /// The run grew beyond the recorder's bound.
    Full,
    /// The recorder's disk was too slow.
    Behind,
    /// In the middle: the process was killed, or crashed on the last event.
    Cut,
}

/// Why a replay did not reach the end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The files can not be read.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The files are not a recording, or one of another version.
    #[error("{path} is not a recording of this version: {what}")]
    Invalid {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// The node answered an event otherwise than it did when it was recorded.
    #[error("the replay differs at step {step}, after {event}")]
    Diverged {
        /// The event, counted from 1.
        step: u64,
        /// What it was.
        event: String,
    },
}

/// Replays one run, a directory of segments, on the machine that `build` makes
/// from the recorded configuration. `watch` sees every event and its effects.
pub fn replay<M>(
    run: &Path,
    build: impl FnOnce(Config) -> M,
    mut watch: impl FnMut(Time, &Event, &[Effect]),
) -> Result<Replay, ReplayError>
where
    M: Machine<Event = Event, Effect = Effect>,
{
    let segments = segments(run)?;
    let first = segments
        .first()
        .ok_or_else(|| invalid(run, "it has no segments"))?;
    let config = header::config(&read_header(first)?);
    let config = config.ok_or_else(|| invalid(first, "its header is incomplete"))?;
    let mut player = Player {
        machine: build(config),
        out: Outbox::new(),
        digest: EffectDigest::default(),
        before: None,
        replay: Replay {
            steps: 0,
            last: Time::ZERO,
            end: ReplayEnd::Cut,
        },
    };
    for (number, path) in (1..).zip(&segments) {
        let mut bytes = read(path)?;
        let mut is_first = true;
        // A torn record at the end is what a crash leaves.
        while let Ok(record) = Record::decode_length_delimited(&mut bytes) {
            match record.body {
                Some(Body::Header(header)) if is_first && header.segment == number => {}
                Some(Body::Step(step)) if !is_first => player.step(path, step, &mut watch)?,
                Some(Body::End(end)) if !is_first => {
                    player.check(end.effects)?;
                    player.replay.end = end_of(end.reason());
                    return Ok(player.replay);
                }
                _ => return Err(invalid(path, "its records are out of order")),
            }
            is_first = false;
            if !bytes.has_remaining() {
                break;
            }
        }
    }
    Ok(player.replay)
}

struct Player<M> {
    machine: M,
    out: Outbox<Effect>,
    digest: EffectDigest,
    /// The event before, for people.
    before: Option<Event>,
    replay: Replay,
}

impl<M: Machine<Event = Event, Effect = Effect>> Player<M> {
    fn step(
        &mut self,
        path: &Path,
        step: Step,
        watch: &mut impl FnMut(Time, &Event, &[Effect]),
    ) -> Result<(), ReplayError> {
        self.check(step.effects_before)?;
        let event = Event::from_bytes(&step.event);
        let event = event.map_err(|_| invalid(path, "an event can not be decoded"))?;
        let now = Time(step.now_nanos);
        if now < self.replay.last {
            return Err(invalid(path, "time goes back"));
        }
        self.machine.step(now, event.clone(), &mut self.out);
        watch(now, &event, self.out.as_slice());
        self.digest.add(self.out.as_slice());
        self.out.drain().for_each(drop);
        self.before = Some(event);
        self.replay.steps += 1;
        self.replay.last = now;
        Ok(())
    }

    /// Whether all effects so far are those that were recorded.
    fn check(&self, recorded: u64) -> Result<(), ReplayError> {
        match self.digest.short() == recorded {
            true => Ok(()),
            false => Err(ReplayError::Diverged {
                step: self.replay.steps,
                event: format!("{:?}", self.before),
            }),
        }
    }
}

fn segments(run: &Path) -> Result<Vec<PathBuf>, ReplayError> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(run).map_err(io_error(run))? {
        let path = entry.map_err(io_error(run))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == SUFFIX)
        {
            segments.push(path);
        }
    }
    segments.sort();
    Ok(segments)
}

fn read_header(path: &Path) -> Result<Header, ReplayError> {
    let record = Record::decode_length_delimited(read(path)?);
    match record.map(|record| record.body) {
        Ok(Some(Body::Header(header))) if header.format == FORMAT => Ok(header),
        Ok(Some(Body::Header(_))) => Err(invalid(path, "it has another format")),
        _ => Err(invalid(path, "it does not begin with a header")),
    }
}

fn read(path: &Path) -> Result<Bytes, ReplayError> {
    fs::read(path).map(Bytes::from).map_err(io_error(path))
}

const fn end_of(reason: Reason) -> ReplayEnd {
    match reason {
        Reason::Stopped => ReplayEnd::Stopped,
        Reason::Full => ReplayEnd::Full,
        Reason::Behind => ReplayEnd::Behind,
        Reason::Unspecified => ReplayEnd::Cut,
    }
}

fn invalid(path: &Path, what: &'static str) -> ReplayError {
    let path = path.to_owned();
    ReplayError::Invalid { path, what }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> ReplayError + '_ {
    |source| ReplayError::Io {
        path: path.to_owned(),
        source,
    }
}
