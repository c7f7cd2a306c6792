//! The encoding of everything that Raft stores or sends.
//!
//! Decoders are total and canonical: unsorted members, gaps between entries and
//! lengths over their limit are refused before anything is kept.

use super::log::ENTRY_OVERHEAD_BYTES;
use super::message::{
    AppendResult, Body, CampaignId, Incarnation, InflightId, Message, RoundId, SnapshotResult,
};
use super::snapshot::CHUNK_BYTES_MAX;
use super::types::{Base, Entry, EntryKind, HardState, Membership, SnapshotMeta};
use crate::codec::{Decode, DecodeError, Encode, Reader, Writer, codec_newtype};
use crate::limits::{
    APPEND_ENTRIES_MAX, ENTRY_BYTES_MAX, LEARNERS_MAX, MESSAGE_BYTES_MAX, SNAPSHOT_ANNEX_BYTES_MAX,
    VOTERS_MAX,
};

/// Bytes of an encoded entry beside its data.
const ENTRY_FIELDS_BYTES: usize = 16 + 1 + 16 + 4;

const _: () = assert!(CHUNK_BYTES_MAX + 2048 < MESSAGE_BYTES_MAX);
const _: () = assert!(ENTRY_BYTES_MAX + ENTRY_OVERHEAD_BYTES < MESSAGE_BYTES_MAX);

codec_newtype!(u64: InflightId, RoundId, CampaignId, Incarnation);

impl Encode for EntryKind {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(self.tag());
    }
}

impl Decode for EntryKind {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let tag = reader.u8()?;
        Self::from_tag(tag).ok_or(DecodeError::UnknownTag {
            what: "entry kind",
            tag,
        })
    }
}

impl Encode for Entry {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.id);
        writer.put(&self.kind);
        writer.put(&self.chain);
        writer.blob(&self.data);
    }

    fn size_hint(&self) -> usize {
        ENTRY_FIELDS_BYTES + self.data.len()
    }
}

impl Decode for Entry {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: reader.get()?,
            kind: reader.get()?,
            chain: reader.get()?,
            data: reader.blob(ENTRY_BYTES_MAX)?,
        })
    }
}

impl Encode for HardState {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.term);
        writer.put(&self.voted_for);
        writer.put(&self.commit);
        writer.u64(self.incarnation);
        writer.put(&self.repair_upto);
    }
}

impl Decode for HardState {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            term: reader.get()?,
            voted_for: reader.get()?,
            commit: reader.get()?,
            incarnation: reader.u64()?,
            repair_upto: reader.get()?,
        })
    }
}

impl Encode for Membership {
    fn encode(&self, writer: &mut Writer) {
        writer.seq(&self.voters);
        writer.seq(&self.outgoing);
        writer.seq(&self.learners);
    }
}

impl Decode for Membership {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let membership = Self {
            voters: reader.seq(VOTERS_MAX)?,
            outgoing: reader.seq(VOTERS_MAX)?,
            learners: reader.seq(LEARNERS_MAX)?,
        };
        match membership.broken_rule() {
            Some(rule) => Err(DecodeError::Invalid { what: rule.text() }),
            None => Ok(membership),
        }
    }
}

impl Encode for Base {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.id);
        writer.put(&self.chain);
        writer.put(&self.membership);
    }
}

impl Decode for Base {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: reader.get()?,
            chain: reader.get()?,
            membership: reader.get()?,
        })
    }
}

impl Encode for SnapshotMeta {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.base);
        writer.raw(&self.digest);
        writer.blob(&self.annex);
    }
}

impl Decode for SnapshotMeta {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            base: reader.get()?,
            digest: reader.array()?,
            annex: reader.blob(SNAPSHOT_ANNEX_BYTES_MAX)?,
        })
    }
}

impl Encode for AppendResult {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Match { upto } => {
                writer.u8(0);
                writer.put(upto);
            }
            Self::Reject { prev, hint } => {
                writer.u8(1);
                writer.put(prev);
                writer.put(hint);
            }
            Self::Busy => writer.u8(2),
        }
    }
}

impl Decode for AppendResult {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            0 => Ok(Self::Match {
                upto: reader.get()?,
            }),
            1 => Ok(Self::Reject {
                prev: reader.get()?,
                hint: reader.get()?,
            }),
            2 => Ok(Self::Busy),
            tag => Err(DecodeError::UnknownTag {
                what: "append result",
                tag,
            }),
        }
    }
}

impl Encode for SnapshotResult {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Next { chunk } => {
                writer.u8(0);
                writer.u64(*chunk);
            }
            Self::Installed { upto } => {
                writer.u8(1);
                writer.put(upto);
            }
            Self::Refused => writer.u8(2),
        }
    }
}

impl Decode for SnapshotResult {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            0 => Ok(Self::Next {
                chunk: reader.u64()?,
            }),
            1 => Ok(Self::Installed {
                upto: reader.get()?,
            }),
            2 => Ok(Self::Refused),
            tag => Err(DecodeError::UnknownTag {
                what: "snapshot result",
                tag,
            }),
        }
    }
}

impl Encode for Message {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.term);
        writer.put(&self.body);
    }

    fn size_hint(&self) -> usize {
        let fields = 128;
        match &self.body {
            Body::Append { entries, .. } => {
                fields + entries.len() * ENTRY_FIELDS_BYTES + entries.payload_bytes()
            }
            Body::Snapshot { data, .. } => fields + data.len(),
            _ => fields,
        }
    }
}

impl Decode for Message {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            term: reader.get()?,
            body: reader.get()?,
        })
    }
}

/// Appends several encodable values.
macro_rules! put {
    ($writer:ident: $($value:expr),+) => {{ $($writer.put($value);)+ }};
}

impl Encode for Body {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(tag(self));
        match self {
            Self::PreVote { campaign, last } => put!(writer: campaign, last),
            Self::PreVoteReply { campaign, granted } | Self::VoteReply { campaign, granted } => {
                writer.put(campaign);
                writer.bool(*granted);
            }
            Self::Vote {
                campaign,
                last,
                transfer,
            } => {
                put!(writer: campaign, last);
                writer.bool(*transfer);
            }
            Self::Append {
                inflight,
                round,
                prev,
                prev_chain,
                commit,
                quiet,
                entries,
            } => {
                put!(writer: inflight, round, prev, prev_chain, commit);
                writer.bool(*quiet);
                writer.seq(entries);
            }
            Self::AppendReply {
                inflight,
                round,
                incarnation,
                result,
            } => put!(writer: inflight, round, incarnation, result),
            Self::Snapshot {
                inflight,
                round,
                meta,
                chunk,
                data,
                last,
            } => {
                put!(writer: inflight, round, &**meta);
                writer.u64(*chunk);
                writer.blob(data);
                writer.bool(*last);
            }
            Self::SnapshotReply {
                inflight,
                round,
                incarnation,
                result,
            } => put!(writer: inflight, round, incarnation, result),
            Self::TimeoutNow => {}
        }
    }
}

/// The byte that stands for a kind of message.
const fn tag(body: &Body) -> u8 {
    match body {
        Body::PreVote { .. } => 0,
        Body::PreVoteReply { .. } => 1,
        Body::Vote { .. } => 2,
        Body::VoteReply { .. } => 3,
        Body::Append { .. } => 4,
        Body::AppendReply { .. } => 5,
        Body::Snapshot { .. } => 6,
        Body::SnapshotReply { .. } => 7,
        Body::TimeoutNow => 8,
    }
}

impl Decode for Body {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            0 => Ok(Self::PreVote {
                campaign: reader.get()?,
                last: reader.get()?,
            }),
            1 => Ok(Self::PreVoteReply {
                campaign: reader.get()?,
                granted: reader.bool()?,
            }),
            2 => Ok(Self::Vote {
                campaign: reader.get()?,
                last: reader.get()?,
                transfer: reader.bool()?,
            }),
            3 => Ok(Self::VoteReply {
                campaign: reader.get()?,
                granted: reader.bool()?,
            }),
            4 => decode_append(reader),
            5 => Ok(Self::AppendReply {
                inflight: reader.get()?,
                round: reader.get()?,
                incarnation: reader.get()?,
                result: reader.get()?,
            }),
            6 => Ok(Self::Snapshot {
                inflight: reader.get()?,
                round: reader.get()?,
                meta: reader.get()?,
                chunk: reader.u64()?,
                data: reader.blob(CHUNK_BYTES_MAX)?,
                last: reader.bool()?,
            }),
            7 => Ok(Self::SnapshotReply {
                inflight: reader.get()?,
                round: reader.get()?,
                incarnation: reader.get()?,
                result: reader.get()?,
            }),
            8 => Ok(Self::TimeoutNow),
            tag => Err(DecodeError::UnknownTag {
                what: "raft message",
                tag,
            }),
        }
    }
}

/// Decodes an Append. Entries that do not follow each other never get further
/// (logcabin #160).
fn decode_append(reader: &mut Reader<'_>) -> Result<Body, DecodeError> {
    let inflight = reader.get()?;
    let round = reader.get()?;
    let prev: crate::types::LogId = reader.get()?;
    let prev_chain = reader.get()?;
    let commit = reader.get()?;
    let quiet = reader.bool()?;
    let entries: alloc::vec::Vec<Entry> = reader.seq(APPEND_ENTRIES_MAX)?;
    let mut before = prev;
    for entry in &entries {
        let follows = before.index.0.checked_add(1) == Some(entry.id.index.0);
        if !follows || entry.id.term < before.term {
            return Err(DecodeError::Invalid {
                what: "order of entries",
            });
        }
        before = entry.id;
    }
    Ok(Body::Append {
        inflight,
        round,
        prev,
        prev_chain,
        commit,
        quiet,
        entries: entries.into(),
    })
}
