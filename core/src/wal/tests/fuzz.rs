//! Random lives of a log against the model: crashes, then damage.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::disk::{Disk, WriteFault};
use super::host::Host;
use super::model::{Model, id_of, places, range};
use crate::io::{FileName, FileOp};
use crate::mutant::Mutant;
use crate::wal::{Event, Recovered};

/// What a run came across, so that a test can show that it tests something.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    torn: usize,
    damaged: usize,
    records: usize,
    failed: usize,
    removed: usize,
}

impl Seen {
    fn note(&mut self, found: &Recovered) {
        self.torn += usize::from(found.torn_bytes > 0);
        self.damaged += usize::from(!found.damage.is_empty());
        self.records += found.records.len();
    }

    fn note_life(&mut self, host: &Host) {
        self.failed += usize::from(host.failed.is_some());
        let removes = host
            .done
            .iter()
            .filter(|op| matches!(op, FileOp::Remove { .. }));
        self.removed += removes.count();
    }

    fn plus(self, other: Self) -> Self {
        Self {
            torn: self.torn + other.torn,
            damaged: self.damaged + other.damaged,
            records: self.records + other.records,
            failed: self.failed + other.failed,
            removed: self.removed + other.removed,
        }
    }
}

/// Crashes at any operation, over several lives, without damage: nothing
/// acknowledged is lost, nothing is there in part, nothing is invented.
fn crashes(seed: u64, mutant: Mutant) -> Result<Seen, String> {
    let mut seen = Seen::default();
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
            seen.note(&found);
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
        seen.note_life(&host);
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
    seen.note(&found);
    model.check(&found)?;
    Ok(seen)
}

/// One life, one fault in what is provably synced, a crash: everything that the
/// fault did not touch is there, and what it took is reported.
fn rots(seed: u64, mutant: Mutant) -> Result<Seen, String> {
    let mut seen = Seen::default();
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
    let mut both = false;
    if !marked && model.rng.chance(40) {
        // Without a mark of their own the groups behind are evidence enough.
        both = model.rng.chance(30);
        let slot = model.rng.below(2) as u8;
        disk.rot(FileName::Superblock(slot), 0, 64, &mut model.rng);
        if both {
            disk.rot(FileName::Superblock(1 - slot), 0, 64, &mut model.rng);
        }
    }
    let mut host = Host::recover(disk, 65_536, mutant);
    let found = host.recovered.take().ok_or("recovery fails")?;
    if both {
        if found.damage.is_empty() {
            return Err(String::from("an unknown end is not reported"));
        }
        // Whether anything is missing at the end cannot be known.
        model.allow_damage = true;
    }
    seen.note(&found);
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
    Ok(seen)
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
    let place = disk.files.keys().find_map(|name| {
        let places = places(disk, *name);
        let found = places.iter().find(|place| place.0 == id_of(&record))?;
        Some((*name, range(found.1, &record)))
    });
    let Some((name, (begin, end))) = place else {
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

/// Runs all seeds; the first violation panics with its seed.
fn sweep(run: fn(u64, Mutant) -> Result<Seen, String>, seeds: u64) -> Seen {
    (0..seeds).fold(Seen::default(), |seen, seed| {
        match run(seed, Mutant::None) {
            Ok(more) => seen.plus(more),
            Err(why) => panic!("seed {seed}: {why}"),
        }
    })
}

#[test]
fn crashes_lose_nothing_that_was_acknowledged() {
    let seen = sweep(crashes, 3000);
    assert!(seen.torn > 1000 && seen.failed > 300, "{seen:?}");
    assert!(seen.records > 100_000 && seen.removed > 1000, "{seen:?}");
    assert_eq!(seen.damaged, 0);
}

#[test]
fn damage_is_told_from_torn_tails() {
    let seen = sweep(rots, 2000);
    assert!(seen.damaged > 1000, "{seen:?}");
}

#[cfg(feature = "mutants")]
fn killed_within(run: fn(u64, Mutant) -> Result<Seen, String>, mutant: Mutant, seeds: u64) {
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
