//! Stepping through a recorded run.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use bytes::{Buf as _, Bytes};
use decube_core::codec::Decode as _;
use decube_core::crypto::PublicKey;
use decube_core::crypto::Signature;
use decube_core::machine::{Machine, Outbox};
use decube_core::node::{Config, Effect, Event};
use decube_core::types::Time;
use decube_proto::journal::end::Reason;
use decube_proto::journal::record::Body;
use decube_proto::journal::{Header, Record, Signed, Step};
use prost::Message as _;

use super::signatures::Signatures;
use super::{EffectDigest, FORMAT, SUFFIX, checksum, header, is_run_name, signed_checksum};

/// A run that was recorded, found and readable so far.
#[derive(Debug)]
pub struct Recording {
    segments: Vec<PathBuf>,
    program: String,
    config: Config,
    signatures: Signatures,
}

/// One event, and what the machine made of it.
#[derive(Debug)]
pub struct Stepped<'a, M> {
    /// The place of the event in the run, from 1.
    pub number: u64,
    /// When it was taken, on the node's clock.
    pub now: Time,
    pub event: &'a Event,
    /// The effects, in order.
    pub effects: &'a [Effect],
    /// The machine after the event.
    pub machine: &'a M,
}

/// What a replay found: every step answered as it did when it was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replay {
    /// Events taken.
    pub steps: u64,
    /// Events whose effects, and those of all events before, were compared with
    /// the recording. The last event before a cut cannot be.
    pub confirmed: u64,
    /// Effects of all events.
    pub effects: u64,
    /// The last time of the run; it begins at 0.
    pub last: Time,
    /// Bytes after the last whole record of a recording that ends in the middle.
    pub unread_bytes: u64,
    /// How the replay ends.
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
    /// Not at all: whoever watched the replay has seen enough.
    Asked,
}

/// Why a replay did not reach the end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The files cannot be read.
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
    /// A record is not what was written.
    #[error("{path} is damaged in the record of step {step}: {what}")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// The event, counted from 1.
        step: u64,
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

/// The runs in a directory: itself, those in it, or those in its directories, as
/// several nodes leave them. The oldest first within each node.
pub fn runs(directory: &Path) -> Result<Vec<PathBuf>, ReplayError> {
    if !segments(directory)?.is_empty() {
        return Ok(vec![directory.to_owned()]);
    }
    let mut runs = Vec::new();
    for inner in directories(directory)? {
        if inner.file_name().is_some_and(is_run_name) {
            runs.push(inner);
            continue;
        }
        let of_node = directories(&inner)?.into_iter();
        runs.extend(of_node.filter(|run| run.file_name().is_some_and(is_run_name)));
    }
    Ok(runs)
}

impl Recording {
    /// Opens one run, a directory of segments.
    pub fn open(run: &Path) -> Result<Self, ReplayError> {
        let segments = segments(run)?;
        let first = segments
            .first()
            .ok_or_else(|| invalid(run, "it has no segments"))?;
        let header = read_header(first)?;
        let config = header::config(&header);
        let mut config = config.ok_or_else(|| invalid(first, "its header is incomplete"))?;
        let keys = header::signer_keys(&header);
        let (own, voting) =
            keys.map_err(|_| invalid(first, "a public key in its header is none"))?;
        let signatures = Signatures::default();
        let given = |key: Option<PublicKey>| key.map(|key| signatures.given_by(key));
        if let Some(cluster) = &mut config.cluster {
            cluster.signer = given(own);
        }
        if let Some(ledger) = &mut config.ledger {
            (ledger.signer, ledger.voting_key) = (given(own), given(voting));
        }
        Ok(Self {
            signatures,
            program: header.program,
            config,
            segments,
        })
    }

    /// What the node was built from. In place of its secret key it has a signer
    /// that gives out the recorded signatures, during [`replay`](Self::replay).
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The version of the program that recorded the run.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Replays the run on a fresh machine. `watch` sees every event and ends the
    /// replay when it breaks.
    pub fn replay<M>(
        &self,
        machine: M,
        mut watch: impl FnMut(&Stepped<'_, M>) -> ControlFlow<()>,
    ) -> Result<Replay, ReplayError>
    where
        M: Machine<Event = Event, Effect = Effect>,
    {
        let mut player = Player::new(machine, self.signatures.clone());
        for (number, path) in (1..).zip(&self.segments) {
            let mut bytes = read(path)?;
            let mut is_first = true;
            while bytes.has_remaining() {
                let rest = bytes.clone();
                let Some(record) = player.record(path, &mut bytes)? else {
                    player.replay.unread_bytes = u64::try_from(rest.len()).unwrap_or(u64::MAX);
                    return Ok(player.cut(&mut watch));
                };
                match record.body {
                    Some(Body::Header(header))
                        if is_first && header.segment == number && header::is_whole(&header) => {}
                    Some(body) if !is_first => {
                        if let Some(end) = player.take(path, body, &mut watch)? {
                            player.replay.end = end;
                            return Ok(player.replay);
                        }
                    }
                    _ => return Err(invalid(path, OUT_OF_ORDER)),
                }
                is_first = false;
            }
        }
        Ok(player.cut(&mut watch))
    }
}

const OUT_OF_ORDER: &str = "its records are out of order";

struct Player<M> {
    machine: M,
    out: Outbox<Effect>,
    digest: EffectDigest,
    /// What the signer of the machine gives out.
    signatures: Signatures,
    /// The event that was read last. It is taken when the next record shows
    /// whether the step signed something.
    next: Option<(Time, Event)>,
    /// The event before, for people.
    before: Option<Event>,
    replay: Replay,
}

impl<M: Machine<Event = Event, Effect = Effect>> Player<M> {
    fn new(machine: M, signatures: Signatures) -> Self {
        Self {
            machine,
            out: Outbox::new(),
            digest: EffectDigest::default(),
            signatures,
            next: None,
            before: None,
            replay: Replay {
                steps: 0,
                confirmed: 0,
                effects: 0,
                last: Time::ZERO,
                unread_bytes: 0,
                end: ReplayEnd::Cut,
            },
        }
    }

    /// The next record; `None` where the file ends in the middle of one.
    fn record(&self, path: &Path, bytes: &mut Bytes) -> Result<Option<Record>, ReplayError> {
        let mut body = bytes.clone();
        let length = match prost::decode_length_delimiter(&mut body) {
            Ok(length) => length,
            // The longest varint has ten bytes; a shorter rest may be a torn one.
            Err(_) if bytes.len() < 10 => return Ok(None),
            Err(_) => return Err(self.damaged(path, "its length cannot be read")),
        };
        if length > body.len() {
            return Ok(None);
        }
        let record = Record::decode(body.split_to(length));
        *bytes = body;
        record
            .map(Some)
            .map_err(|_| self.damaged(path, "it cannot be decoded"))
    }

    /// Takes a record that is no header; tells whether the replay ends with it.
    fn take(
        &mut self,
        path: &Path,
        body: Body,
        watch: &mut impl FnMut(&Stepped<'_, M>) -> ControlFlow<()>,
    ) -> Result<Option<ReplayEnd>, ReplayError> {
        let signatures = match &body {
            Body::Header(_) => return Err(invalid(path, OUT_OF_ORDER)),
            Body::Signed(_) if self.next.is_none() => return Err(invalid(path, OUT_OF_ORDER)),
            Body::Signed(signed) => self.signatures_of(path, signed)?,
            Body::Step(_) | Body::End(_) => Vec::new(),
        };
        if self.step(signatures, watch).is_break() {
            return Ok(Some(ReplayEnd::Asked));
        }
        match body {
            Body::Header(_) | Body::Signed(_) => Ok(None),
            Body::Step(step) => {
                self.next = Some(self.read(path, &step)?);
                Ok(None)
            }
            Body::End(end) => {
                self.check(end.effects)?;
                Ok(Some(end_of(end.reason())))
            }
        }
    }

    /// The recording ends in the middle: its last event can still be taken, but
    /// not be confirmed.
    fn cut(mut self, watch: &mut impl FnMut(&Stepped<'_, M>) -> ControlFlow<()>) -> Replay {
        if self.step(Vec::new(), watch).is_break() {
            self.replay.end = ReplayEnd::Asked;
        }
        self.replay
    }

    fn signatures_of(&self, path: &Path, signed: &Signed) -> Result<Vec<Signature>, ReplayError> {
        if signed_checksum(signed) != signed.checksum {
            return Err(self.damaged(path, "the checksum of its signatures is wrong"));
        }
        let signatures = signed.signatures.iter();
        signatures
            .map(|bytes| Signature::from_slice(bytes))
            .collect::<Result<_, _>>()
            .map_err(|_| self.damaged(path, "a signature is none"))
    }

    fn read(&mut self, path: &Path, step: &Step) -> Result<(Time, Event), ReplayError> {
        if checksum(step) != step.checksum {
            return Err(self.damaged(path, "its checksum is wrong"));
        }
        self.check(step.effects_before)?;
        let event = Event::from_bytes(&step.event);
        let event = event.map_err(|_| self.damaged(path, "the event cannot be decoded"))?;
        let now = Time(step.now_nanos);
        if now < self.replay.last {
            return Err(self.damaged(path, "time goes back"));
        }
        Ok((now, event))
    }

    /// Takes the event that was read last.
    fn step(
        &mut self,
        signatures: Vec<Signature>,
        watch: &mut impl FnMut(&Stepped<'_, M>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let Some((now, event)) = self.next.take() else {
            return ControlFlow::Continue(());
        };
        self.signatures.put(signatures);
        self.machine.step(now, event.clone(), &mut self.out);
        let effects = self.out.as_slice();
        self.replay.steps += 1;
        self.replay.last = now;
        let count = u64::try_from(effects.len()).unwrap_or(u64::MAX);
        self.replay.effects = self.replay.effects.saturating_add(count);
        let flow = watch(&Stepped {
            number: self.replay.steps,
            now,
            event: &event,
            effects,
            machine: &self.machine,
        });
        self.digest.add(effects);
        self.out.drain().for_each(drop);
        self.before = Some(event);
        flow
    }

    /// Whether all effects so far are those that were recorded.
    fn check(&mut self, recorded: u64) -> Result<(), ReplayError> {
        if self.digest.short() == recorded {
            self.replay.confirmed = self.replay.steps;
            return Ok(());
        }
        let event = self.before.as_ref();
        Err(ReplayError::Diverged {
            step: self.replay.steps,
            event: event.map_or_else(|| "nothing".to_owned(), |event| format!("{event:?}")),
        })
    }

    /// The record after the last step is damaged.
    fn damaged(&self, path: &Path, what: &'static str) -> ReplayError {
        ReplayError::Damaged {
            path: path.to_owned(),
            step: self.replay.steps.saturating_add(1),
            what,
        }
    }
}

fn directories(directory: &Path) -> Result<Vec<PathBuf>, ReplayError> {
    let mut inner = Vec::new();
    for entry in fs::read_dir(directory).map_err(io_error(directory))? {
        let path = entry.map_err(io_error(directory))?.path();
        if path.is_dir() {
            inner.push(path);
        }
    }
    inner.sort();
    Ok(inner)
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
        Ok(Some(Body::Header(header))) if header.format != FORMAT => {
            Err(invalid(path, "it has another format"))
        }
        Ok(Some(Body::Header(header))) if !header::is_whole(&header) => {
            Err(invalid(path, "its header is damaged"))
        }
        Ok(Some(Body::Header(header))) => Ok(header),
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
