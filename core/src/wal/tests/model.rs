//! Random appends, prunes, crashes, damage and recoveries against a plain list.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::disk::{Disk, Rng, WriteFault};
use super::host::Host;
use crate::mutant::Mutant;
use crate::wal::{Event, FileName, FileOp, Record, RecordKind, Recovered};

const HEADER_BYTES: usize = 92;

/// A batch as it was appended.
#[derive(Debug, Clone)]
struct Appended {
    records: Vec<Record>,
    acked: bool,
    /// Whether a planted fault touched its bytes.
    touched: bool,
    /// How many groups were reported durable before this one was.
    group: usize,
}

/// What the log should hold: the owner's view, kept without the log's code.
struct Model {
    rng: Rng,
    batches: Vec<Appended>,
    /// Appends of this life begin here.
    life: usize,
    groups: usize,
    durable_seen: usize,
    next_id: u64,
    next_index: u64,
    hard_state: Option<Record>,
    base: Option<Record>,
    /// All records that heads may repeat.
    heads: Vec<Record>,
    pruned_below: u64,
}

impl Model {
    fn new(seed: u64) -> Self {
        Self {
            rng: Rng(seed),
            batches: Vec::new(),
            life: 0,
            groups: 0,
            durable_seen: 0,
            next_id: 1,
            next_index: 1,
            hard_state: None,
            base: None,
            heads: Vec::new(),
            pruned_below: 0,
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

    fn entry(&mut self) -> Record {
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
            let vote = self.record(RecordKind::HardState, 0);
            self.hard_state = Some(vote.clone());
            records.push(vote);
        }
        records
    }

    fn append(&mut self, host: &mut Host) {
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
        let head: Vec<Record> = self.hard_state.iter().chain(&self.base).cloned().collect();
        self.heads.extend(head.iter().cloned());
        host.step(Event::SetHead(head));
        host.step(Event::Prune { below });
    }

    fn note_acks(&mut self, host: &Host) {
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
    fn live(&mut self, host: &mut Host, steps: usize) {
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
        self.note_acks(host);
    }

    /// Compares what was recovered with what was appended. With `Ok` the model
    /// holds exactly what the log holds.
    fn check(&mut self, found: &Recovered) -> Result<(), String> {
        let missing = self.missing(&found.records)?;
        let rotten = self.batches.iter().any(|batch| batch.touched);
        if !rotten && !found.damage.is_empty() {
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
            if absent == 0 || prefix {
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
            let repeats = matches!(record.kind, RecordKind::HardState | RecordKind::Base);
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
    fn adopt(&mut self, found: &Recovered) -> Result<(), String> {
        let missing = self.missing(&found.records)?;
        let repeats = |r: &&Record| matches!(r.kind, RecordKind::HardState | RecordKind::Base);
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
        let state = found
            .records
            .iter()
            .rfind(|r| r.kind == RecordKind::HardState);
        self.hard_state = state.cloned();
        Ok(())
    }

    /// Marks the batches whose bytes lie in this range.
    fn touch(&mut self, disk: &Disk, name: FileName, begin: usize, end: usize) {
        for batch in &mut self.batches {
            batch.touched |= batch.records.iter().any(|record| {
                places(disk, record)
                    .iter()
                    .any(|(file, from, to)| *file == name && *from < end && begin < *to)
            });
        }
    }
}

fn id_bytes(id: u64) -> [u8; 16] {
    let mut rng = Rng(id ^ 0x5eed);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&rng.next().to_be_bytes());
    bytes[8..].copy_from_slice(&rng.next().to_be_bytes());
    bytes
}

/// Where a record is on disk, found by its payload.
fn places(disk: &Disk, record: &Record) -> Vec<(FileName, usize, usize)> {
    let found = disk.find(&record.payload[..16]);
    let place =
        |(name, at): (FileName, usize)| (name, at - HEADER_BYTES, at + record.payload.len());
    found.into_iter().map(place).collect()
}

/// Crashes at any operation, over several lives, without damage: nothing
/// acknowledged is lost, nothing is there in part, nothing is invented.
fn crashes(seed: u64, mutant: Mutant) -> Result<(), String> {
    let mut model = Model::new(seed);
    let mut host = Host::new(Disk::default(), 65_536, mutant);
    host.step(Event::Start);
    for _ in 0..4 {
        // A crash may hit the recovery itself.
        if model.rng.chance(30) {
            for _ in 0..model.rng.below(12) {
                host.run_one();
            }
        } else {
            host.settle();
        }
        if let Some(found) = host.recovered.take() {
            model.check(&found)?;
            model.adopt(&found)?;
            if model.rng.chance(15) {
                host.disk.failing_sync = Some(model.rng.below(12));
            }
            if model.rng.chance(5) {
                host.disk.failing_op = Some(model.rng.below(60));
            }
            let steps = model.rng.below(120);
            model.live(&mut host, steps);
        }
        let mut disk = core::mem::take(&mut host.disk);
        disk.crash(&mut model.rng);
        host = Host::new(disk, 65_536, mutant);
        host.step(Event::Start);
    }
    host.settle();
    let found = host
        .recovered
        .take()
        .ok_or("recovery fails on a sound disk")?;
    model.check(&found)
}

/// One life, one fault in what is provably synced, a crash: everything that the
/// fault did not touch is there, and what it took is reported.
fn rots(seed: u64, mutant: Mutant) -> Result<(), String> {
    let mut model = Model::new(seed);
    let mut host = Host::recover(Disk::default(), 65_536, mutant);
    model.adopt(&host.recovered.take().ok_or("a new log opens")?)?;
    let steps = 20 + model.rng.below(150);
    model.live(&mut host, steps);
    host.settle();
    if model.rng.chance(40) {
        plant_write_fault(&mut model, &mut host);
    }
    // Evidence: a superblock, or a later group that stays intact.
    let marked = model.rng.chance(50);
    if marked {
        host.idle();
    } else {
        for _ in 0..2 {
            model.append(&mut host);
            host.settle();
        }
    }
    model.note_acks(&host);
    let mut disk = core::mem::take(&mut host.disk);
    disk.crash(&mut model.rng);
    let last_group = if marked { usize::MAX } else { model.groups };
    if model.batches.iter().all(|batch| !batch.touched) {
        plant_damage(&mut model, &mut disk, last_group);
    }
    let mut host = Host::recover(disk, 65_536, mutant);
    let found = host.recovered.take().ok_or("recovery fails")?;
    model.check(&found)?;
    // What is damaged stays damaged, whatever is appended behind it.
    host.append(vec![model.entry()]);
    host.settle();
    let again = Host::recover(host.disk, 65_536, mutant).recovered;
    let again = again.ok_or("the second recovery fails")?;
    if !again.records.starts_with(&found.records) || again.damage.len() < found.damage.len() {
        return Err(String::from(
            "a second recovery forgets what the first one found",
        ));
    }
    Ok(())
}

/// The write of the next group goes elsewhere, or nowhere.
fn plant_write_fault(model: &mut Model, host: &mut Host) {
    model.append(host);
    let own = model.batches.len() - 1;
    let segments: Vec<FileName> = host.disk.files.keys().copied().collect();
    let segments: Vec<FileName> = segments
        .into_iter()
        .filter(|name| matches!(name, FileName::Segment(_)))
        .collect();
    host.wake_due();
    if model.rng.chance(20) {
        host.disk.write_fault = Some(WriteFault::Lose);
        model.batches[own].touched = true;
        host.settle();
        return;
    }
    let name = segments[model.rng.below(segments.len())];
    let len = host.disk.files[&name].cached.len();
    let at = model.rng.below(len / 4096) * 4096;
    let before = host.disk.clone();
    host.disk.write_fault = Some(WriteFault::Misdirect(name, at));
    let from = host.done.len();
    host.settle();
    let size = host.done[from..].iter().find_map(|op| match op {
        FileOp::Write {
            file: FileName::Segment(_),
            data,
            ..
        } => Some(data.len()),
        _ => None,
    });
    model.touch(&before, name, at, at + size.unwrap_or(0));
    model.batches[own].touched = true;
}

/// Damages synced bytes of one batch: bits, or blocks that cannot be read.
fn plant_damage(model: &mut Model, disk: &mut Disk, last_group: usize) {
    let victims: Vec<usize> = (0..model.batches.len())
        .filter(|at| model.batches[*at].acked && model.batches[*at].group < last_group)
        .collect();
    if victims.is_empty() {
        return;
    }
    let victim = victims[model.rng.below(victims.len())];
    let records = &model.batches[victim].records;
    let record = records[model.rng.below(records.len())].clone();
    // A pruned record is nowhere, and one that heads repeat is in many places.
    let Some((name, begin, end)) = places(disk, &record).first().copied() else {
        return;
    };
    if model.rng.chance(25) {
        let block = begin / 4096;
        model.touch(disk, name, block * 4096, (block + 1) * 4096);
        disk.unreadable.insert((name, block));
        return;
    }
    let from = begin + model.rng.below(end - begin);
    let to = (from + 1 + model.rng.below(600)).min(end);
    model.touch(disk, name, from, to);
    disk.rot(name, from, to, &mut model.rng);
}

#[test]
fn crashes_lose_nothing_that_was_acknowledged() {
    for seed in 0..3000 {
        if let Err(why) = crashes(seed, Mutant::None) {
            panic!("seed {seed}: {why}");
        }
    }
}

#[test]
fn damage_is_told_from_torn_tails() {
    for seed in 0..2000 {
        if let Err(why) = rots(seed, Mutant::None) {
            panic!("seed {seed}: {why}");
        }
    }
}

#[cfg(feature = "mutants")]
fn killed_within(run: fn(u64, Mutant) -> Result<(), String>, mutant: Mutant, seeds: u64) {
    let kills = (0..seeds)
        .filter(|seed| run(*seed, mutant).is_err())
        .count();
    assert!(kills > 0, "{mutant:?} survives {seeds} seeds");
}

#[cfg(feature = "mutants")]
#[test]
fn planted_bugs_are_found() {
    killed_within(rots, Mutant::WalTruncatesSynced, 50);
    killed_within(crashes, Mutant::WalReadsPastTear, 200);
    killed_within(crashes, Mutant::WalIgnoresSyncError, 200);
    killed_within(rots, Mutant::WalChecksumWithoutPosition, 200);
}
