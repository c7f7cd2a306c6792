//! What the log should hold, as a plain list, and the comparison with it.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::disk::{Disk, Rng};
use super::host::Host;
use crate::io::{FileName, FileOp};
use crate::wal::{Event, Record, RecordKind, Recovered};

const HEADER_BYTES: usize = 100;

/// A batch as it was appended.
#[derive(Debug, Clone)]
pub struct Appended {
    pub records: Vec<Record>,
    pub acked: bool,
    /// Whether a planted fault touched its bytes.
    pub touched: bool,
    /// How many groups were reported durable before this one was.
    pub group: usize,
}

/// What the log should hold: the owner's view, kept without the log's code.
pub struct Model {
    pub rng: Rng,
    pub batches: Vec<Appended>,
    /// Appends of this life begin here.
    life: usize,
    pub groups: usize,
    durable_seen: usize,
    next_id: u64,
    next_index: u64,
    state: Option<Record>,
    base: Option<Record>,
    /// All records that heads may repeat.
    heads: Vec<Record>,
    pruned_below: u64,
    /// Whether damage may be reported although no batch was touched.
    pub allow_damage: bool,
}

impl Model {
    pub fn new(seed: u64) -> Self {
        Self {
            rng: Rng(seed),
            batches: Vec::new(),
            life: 0,
            groups: 0,
            durable_seen: 0,
            next_id: 1,
            next_index: 1,
            state: None,
            base: None,
            heads: Vec::new(),
            pruned_below: 0,
            allow_damage: false,
        }
    }

    /// A record whose payload nobody else has.
    fn record(&mut self, kind: RecordKind, index: u64) -> Record {
        let len = match self.rng.below(40) {
            0 => 60_000,
            1..=4 => 5_000,
            5..=9 => 0,
            _ => self.rng.below(300),
        };
        let len = if kind == RecordKind::Entry { len } else { 8 };
        let mut payload = id_bytes(self.next_id).to_vec();
        let mut filler = Rng(self.next_id);
        payload.extend((0..len).map(|_| filler.next() as u8));
        self.next_id += 1;
        Record {
            kind,
            index,
            payload: Bytes::from(payload),
        }
    }

    pub fn entry(&mut self) -> Record {
        let index = self.next_index;
        self.next_index += 1;
        self.record(RecordKind::Entry, index)
    }

    /// Begins with an entry or a truncation, so that each batch is recognised.
    fn batch(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        if self.rng.chance(10) && self.next_index > self.pruned_below + 3 {
            self.next_index -= 1 + self.rng.below(2) as u64;
            let index = self.next_index;
            records.push(self.record(RecordKind::Truncate, index));
        }
        for _ in 0..=self.rng.below(4) {
            let entry = self.entry();
            records.push(entry);
        }
        if self.rng.chance(30) {
            let vote = self.record(RecordKind::State, 0);
            self.state = Some(vote.clone());
            records.push(vote);
        }
        records
    }

    pub fn append(&mut self, host: &mut Host) {
        let records = self.batch();
        self.batches.push(Appended {
            records: records.clone(),
            acked: false,
            touched: false,
            group: usize::MAX,
        });
        host.append(records);
    }

    fn prune(&mut self, host: &mut Host) {
        let keep = self.rng.below(8) as u64;
        let below = self.next_index.saturating_sub(keep).max(self.pruned_below);
        if below <= 1 {
            return;
        }
        let base = self.record(RecordKind::Base, below - 1);
        self.base = Some(base);
        self.pruned_below = below;
        let head: Vec<Record> = self.state.iter().chain(&self.base).cloned().collect();
        self.heads.extend(head.iter().cloned());
        host.step(Event::SetHead(head));
        host.step(Event::Prune { below });
    }

    pub fn note_acks(&mut self, host: &Host) {
        for seq in &host.durable[self.durable_seen..] {
            self.groups += 1;
            let end = self.life + seq.0 as usize;
            for batch in &mut self.batches[self.life..end] {
                if !batch.acked {
                    batch.acked = true;
                    batch.group = self.groups;
                }
            }
        }
        self.durable_seen = host.durable.len();
    }

    /// A life of the log: random operations until a crash.
    pub fn live(&mut self, host: &mut Host, steps: usize) {
        for _ in 0..steps {
            match self.rng.below(20) {
                0..=5 => self.append(host),
                6 => self.prune(host),
                7..=8 => {
                    host.wake_due();
                }
                9 => host.settle(),
                10 => host.idle(),
                _ => {
                    host.run_one();
                }
            }
            if host.failed.is_some() {
                break;
            }
        }
        if self.rng.chance(60) {
            self.stop_before_a_sync(host);
        }
        self.note_acks(host);
    }

    /// Leaves a group written and not synced, which is when a crash tears.
    fn stop_before_a_sync(&mut self, host: &mut Host) {
        for _ in 0..=self.rng.below(5) {
            self.append_unless_failed(host);
        }
        for _ in 0..50 {
            let written = matches!(
                host.done.last(),
                Some(FileOp::Write {
                    file: FileName::Segment(_),
                    ..
                })
            );
            if written || host.failed.is_some() || !(host.run_one() || host.wake_due()) {
                return;
            }
        }
    }

    fn append_unless_failed(&mut self, host: &mut Host) {
        if host.failed.is_none() {
            self.append(host);
        }
    }

    /// Compares what was recovered with what was appended. With `Ok` the model
    /// holds exactly what the log holds.
    pub fn check(&mut self, found: &Recovered) -> Result<(), String> {
        let missing = self.missing(&found.records)?;
        let rotten = self.batches.iter().any(|batch| batch.touched);
        if !rotten && !self.allow_damage && !found.damage.is_empty() {
            return Err(format!("damage without cause: {:?}", found.damage));
        }
        let last = (0..self.batches.len()).rfind(|at| missing[*at].is_empty());
        let mut prefix = true;
        let mut lost_touched = false;
        for (at, batch) in self.batches.iter().enumerate() {
            let absent = missing[at].len();
            let whole = absent == batch.records.len();
            let prunable = batch
                .records
                .iter()
                .all(|r| r.kind != RecordKind::Entry || r.index < self.pruned_below);
            prefix &= whole && prunable;
            // Without superblocks files that a crash brought back are read again.
            let gone = prunable && self.allow_damage;
            if absent == 0 || prefix || gone {
                continue;
            }
            if batch.touched {
                lost_touched |= batch.acked;
            } else if batch.acked {
                return Err(format!("acknowledged batch {at} lost {:?}", missing[at]));
            } else if !whole {
                return Err(format!("batch {at} is there in part"));
            } else if last.is_some_and(|last| last > at) {
                return Err(format!("batch {at} is missing before another"));
            }
        }
        if lost_touched && found.damage.is_empty() {
            return Err(String::from("synced records are lost without report"));
        }
        Ok(())
    }

    /// Which records of each batch were not recovered. An error: a record that
    /// was never appended, or not at this place.
    fn missing(&self, records: &[Record]) -> Result<Vec<BTreeSet<usize>>, String> {
        let flat: Vec<(usize, usize, &Record)> = self
            .batches
            .iter()
            .enumerate()
            .flat_map(|(b, batch)| {
                batch
                    .records
                    .iter()
                    .enumerate()
                    .map(move |(r, x)| (b, r, x))
            })
            .collect();
        let mut missing = vec![BTreeSet::new(); self.batches.len()];
        let mut at = 0;
        for record in records {
            let repeats = matches!(record.kind, RecordKind::State | RecordKind::Base);
            if repeats && flat.get(at).is_none_or(|next| next.2 != record) {
                let known = self.heads.contains(record) || flat.iter().any(|x| x.2 == record);
                if known {
                    continue;
                }
            }
            let Some(skip) = flat[at..].iter().position(|x| x.2 == record) else {
                return Err(format!(
                    "{:?} {} does not belong here",
                    record.kind, record.index
                ));
            };
            for (b, r, _) in &flat[at..at + skip] {
                missing[*b].insert(*r);
            }
            at += skip + 1;
        }
        for (b, r, _) in &flat[at..] {
            missing[*b].insert(*r);
        }
        Ok(missing)
    }

    /// Forgets what a crash took: unacknowledged batches that are not there.
    pub fn adopt(&mut self, found: &Recovered) -> Result<(), String> {
        let missing = self.missing(&found.records)?;
        let repeats = |r: &&Record| matches!(r.kind, RecordKind::State | RecordKind::Base);
        self.heads
            .extend(found.records.iter().filter(repeats).cloned());
        let mut at = 0;
        self.batches.retain(|_| {
            at += 1;
            missing[at - 1].is_empty()
        });
        for batch in &mut self.batches {
            // What was recovered stays recovered.
            batch.acked = true;
            batch.group = self.groups;
        }
        self.life = self.batches.len();
        self.durable_seen = 0;
        let entries = found.records.iter().rfind(|r| r.kind == RecordKind::Entry);
        let last = entries.map_or(0, |r| r.index);
        self.next_index = self.next_index.max(last + 1).max(self.pruned_below + 1);
        let state = found.records.iter().rfind(|r| r.kind == RecordKind::State);
        self.state = state.cloned();
        Ok(())
    }

    /// Marks the batches whose bytes lie in this range.
    pub fn touch(&mut self, disk: &Disk, name: FileName, begin: usize, end: usize) {
        let places = places(disk, name);
        for batch in &mut self.batches {
            batch.touched |= batch.records.iter().any(|record| {
                let of_record = places.iter().filter(|place| place.0 == id_of(record));
                let mut ranges = of_record.map(|place| range(place.1, record));
                ranges.any(|(from, to)| from < end && begin < to)
            });
        }
    }
}

/// What all payloads begin with, followed by a number of their own.
const TAG: [u8; 8] = *b"\xd7payload";

fn id_bytes(id: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&TAG);
    bytes[8..].copy_from_slice(&id.to_be_bytes());
    bytes
}

pub fn id_of(record: &Record) -> &[u8] {
    &record.payload[8..16]
}

/// The numbers and places of all payloads in a file, found by their bytes.
pub fn places(disk: &Disk, name: FileName) -> Vec<(Vec<u8>, usize)> {
    let bytes = &disk.files[&name].cached;
    let found = disk.find(name, &TAG);
    let whole = found.into_iter().filter(|at| at + 16 <= bytes.len());
    whole
        .map(|at| (bytes[at + 8..at + 16].to_vec(), at))
        .collect()
}

/// The bytes of a record whose payload is at `at`.
pub fn range(at: usize, record: &Record) -> (usize, usize) {
    (at - HEADER_BYTES, at + record.payload.len())
}
