//! The records of the write-ahead log: how Raft's writes look on disk.

use bytes::Bytes;

use crate::codec::{Decode, DecodeError, Encode};
use crate::proof::AppliedLog;
use crate::raft::{Base, Entry, HardState, Persist};
use crate::store::StoreOp;
use crate::types::Index;
use crate::wal::{Batch, Record, RecordKind, WalSeq};

/// A base with its effect on the entries that stand before it in the log.
#[derive(Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub(super) struct BaseRecord {
    /// All entries before this record are void, not only those up to the base.
    pub(super) reset: bool,
    pub(super) base: Base,
    /// The log accumulator up to the base, if it is known.
    pub(super) accumulator: Option<AppliedLog>,
}

/// A decoded record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    HardState(HardState),
    Base(BaseRecord),
    Truncate(Index),
    Entry(Entry),
}

/// The batch of one write of Raft. The hard state comes first: a term is never
/// younger than the first entry of it (P2), even for a reader of half a batch.
pub(super) fn batch(seq: WalSeq, persist: &Persist, accumulator: Option<&AppliedLog>) -> Batch {
    let mut records = alloc::vec::Vec::with_capacity(persist.append.len().saturating_add(3));
    if let Some(hard_state) = &persist.hard_state {
        records.push(hard_state_record(hard_state));
    }
    if let Some(base) = &persist.base {
        records.push(base_record(base, accumulator, persist.reset));
    }
    if let Some(from) = persist.truncate_from {
        records.push(Record {
            kind: RecordKind::Truncate,
            index: from.0,
            payload: Bytes::new(),
        });
    }
    records.extend(persist.append.iter().map(entry_record));
    assert!(
        !records.is_empty(),
        "Raft asks only for writes that write something"
    );
    Batch { seq, records }
}

/// Term, vote and commit.
pub(super) fn hard_state_record(hard_state: &HardState) -> Record {
    Record {
        kind: RecordKind::State,
        index: 0,
        payload: hard_state.to_bytes(),
    }
}

/// Where the log begins.
pub(super) fn base_record(base: &Base, accumulator: Option<&AppliedLog>, reset: bool) -> Record {
    let index = base.id.index.0;
    let payload = BaseRecord {
        base: base.clone(),
        reset,
        accumulator: accumulator.cloned(),
    }
    .to_bytes();
    Record {
        kind: RecordKind::Base,
        index,
        payload,
    }
}

/// The store's key for the base of the state that was installed last. Above all
/// keys of [`kv`](crate::kv).
pub(super) const INSTALLED_KEY: &[u8] = &[0x02];

/// Remembers the base of a state beside it, in the batch that puts it into force:
/// the log follows later, and a crash may come first.
pub(super) fn installed_op(base: &Base, accumulator: Option<&AppliedLog>) -> StoreOp {
    let record = BaseRecord {
        base: base.clone(),
        reset: true,
        accumulator: accumulator.cloned(),
    };
    StoreOp::Put {
        key: Bytes::from_static(INSTALLED_KEY),
        value: record.to_bytes(),
    }
}

fn entry_record(entry: &Entry) -> Record {
    Record {
        kind: RecordKind::Entry,
        index: entry.id.index.0,
        payload: entry.to_bytes(),
    }
}

/// Decodes a record. The log has checked its checksum, so an error here is a
/// version that this program does not know, not damage.
pub(super) fn decode(record: &Record) -> Result<Content, DecodeError> {
    Ok(match record.kind {
        RecordKind::State => Content::HardState(HardState::from_bytes(&record.payload)?),
        RecordKind::Base => Content::Base(BaseRecord::from_bytes(&record.payload)?),
        RecordKind::Truncate => Content::Truncate(Index(record.index)),
        RecordKind::Entry => {
            let entry = Entry::from_bytes(&record.payload)?;
            if entry.id.index.0 != record.index {
                return Err(DecodeError::Invalid {
                    what: "index of an entry record",
                });
            }
            Content::Entry(entry)
        }
    })
}
