//! The plan of faults of a run, drawn before it begins.
//!
//! A plan is a list, so that a trace can record it and a minimiser can take
//! single faults away. Faults of a family that the configuration switched off do
//! not occur.

use crate::config::SimConfig;
use crate::rng::{Domain, Keyed, Stream};
use decube_core::io::Volume;

/// A kind of fault. The names are what traces have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// Links are cut. `a`: the slots of one side as a bit set; `b`: the
    /// [shape](PartitionShape); `c`: 1 if the transport notices.
    Partition,
    /// Links from slot `a` to slot `b` hold everything back.
    Clog,
    /// The process of slot `a` dies; `b`: 1 to die between two effects of a step.
    Kill,
    /// The machine of slot `a` loses power; `b` as for a kill.
    PowerLoss,
    /// All machines lose power at once.
    Blackout,
    /// The process of slot `a` is stopped and resumed.
    Pause,
    /// The process of slot `a` is asked to stop.
    Shutdown,
    /// The wall clock of slot `a` jumps by `b` milliseconds, back if `c` is 1.
    ClockStep,
    /// The disk of slot `a` does nothing.
    DiskStall,
    /// The next sync of slot `a` fails.
    SyncFailure,
    /// A bit rots on the disk of slot `a`; `b` chooses where.
    Rot,
    /// A write on the disk of slot `a` lands elsewhere; `b` chooses where.
    Misdirect,
    /// The next `b` syncs of slot `a` report success and do nothing.
    LyingSyncs,
    /// The disk of slot `a` has no space for new files.
    DiskFull,
    /// Syncs of slot `a` take `b` times as long.
    SlowSync,
    /// The wall clock of slot `a` jumps, as `b` and `c` say for a clock step,
    /// while its process is paused.
    PausedClockStep,
    /// The machine of slot `a` loses its disk and is gone; a new one takes its place.
    Wipe,
    /// An operator asks for the voters in the bit set `a`, the learners in `b`.
    Reconfigure,
    /// An operator asks the leader to hand over to slot `a`.
    Transfer,
    /// The machine of slot `a` loses its disk and comes back under its name.
    LostDisk,
}

const WORDS: [(FaultKind, &str); 20] = [
    (FaultKind::Partition, "partition"),
    (FaultKind::Clog, "clog"),
    (FaultKind::Kill, "kill"),
    (FaultKind::PowerLoss, "power-loss"),
    (FaultKind::Blackout, "blackout"),
    (FaultKind::Pause, "pause"),
    (FaultKind::Shutdown, "shutdown"),
    (FaultKind::ClockStep, "clock-step"),
    (FaultKind::DiskStall, "disk-stall"),
    (FaultKind::SyncFailure, "sync-failure"),
    (FaultKind::Rot, "rot"),
    (FaultKind::Misdirect, "misdirect"),
    (FaultKind::LyingSyncs, "lying-sync"),
    (FaultKind::DiskFull, "disk-full"),
    (FaultKind::SlowSync, "slow-sync"),
    (FaultKind::PausedClockStep, "paused-clock-step"),
    (FaultKind::Wipe, "wipe"),
    (FaultKind::Reconfigure, "reconfigure"),
    (FaultKind::Transfer, "transfer"),
    (FaultKind::LostDisk, "lost-disk"),
];

/// How many faults of each kind, by [`FaultKind::ordinal`], hit each volume.
pub type VolumeFaults = [[u64; FaultKind::COUNT]; Volume::ALL.len()];

impl FaultKind {
    /// Its name in traces.
    pub fn name(self) -> &'static str {
        let found = WORDS.iter().find(|(kind, _)| *kind == self);
        found.expect("every kind has a name").1
    }

    /// The kind that a name stands for.
    pub fn from_name(name: &str) -> Option<Self> {
        WORDS
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(kind, _)| *kind)
    }

    /// Its position in lists of all kinds.
    pub fn ordinal(self) -> usize {
        let found = WORDS.iter().position(|(kind, _)| *kind == self);
        found.expect("every kind has a name")
    }

    /// How many kinds there are.
    pub const COUNT: usize = WORDS.len();

    /// All kinds with their names.
    pub const fn all() -> [(Self, &'static str); Self::COUNT] {
        WORDS
    }
}

/// How a partition cuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionShape {
    /// The two sides hear nothing of each other.
    TwoWay,
    /// The rest hears nothing of the named side, but not the other way round.
    OneWayOut,
    /// The named side hears nothing of the rest, but not the other way round.
    OneWayIn,
    /// As two-way, but the lowest slot still reaches everybody.
    Bridge,
    /// Everybody reaches only the two neighbours; the bit set is not used.
    Ring,
    /// As two-way, but on the named side are those who lead when it begins, if somebody
    /// does: they go on taking writes that nobody else gets.
    Leaders,
}

impl PartitionShape {
    /// The shape with this number.
    pub const fn from_number(number: u64) -> Self {
        match number {
            0 => Self::TwoWay,
            1 => Self::OneWayOut,
            2 => Self::OneWayIn,
            3 => Self::Bridge,
            4 => Self::Ring,
            _ => Self::Leaders,
        }
    }

    /// Whether it cuts the link `from -> to` when `side` is one side.
    pub const fn cuts(self, side: u64, from: usize, to: usize, slots: usize) -> bool {
        let (out, inside) = (names(side, from), names(side, to));
        match self {
            Self::TwoWay | Self::Leaders => out != inside,
            Self::OneWayOut => out && !inside,
            Self::OneWayIn => !out && inside,
            Self::Bridge => out != inside && from != 0 && to != 0,
            Self::Ring => (from + 1) % slots != to && (to + 1) % slots != from,
        }
    }
}

/// Whether a set of slots has this one. Only the first 64 slots can be named.
pub const fn names(set: u64, slot: usize) -> bool {
    slot < 64 && set >> slot & 1 == 1
}

/// One fault of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// When it begins, in nanoseconds of world time.
    pub at: u64,
    /// How long it lasts.
    pub duration: u64,
    /// What it is.
    pub kind: FaultKind,
    /// Its arguments, as the kind says.
    pub args: [u64; 3],
}

impl Fault {
    /// The links that a partition cuts between so many slots.
    pub fn cut_links(&self, slots: usize) -> Vec<(usize, usize)> {
        let shape = PartitionShape::from_number(self.args[1]);
        let pairs = (0..slots).flat_map(|from| (0..slots).map(move |to| (from, to)));
        pairs
            .filter(|(from, to)| from != to && shape.cuts(self.args[0], *from, *to, slots))
            .collect()
    }

    /// By how many nanoseconds a wall clock jumps.
    pub fn clock_step_ns(&self) -> i64 {
        let forward = i64::try_from(self.args[1] * MILLI).unwrap_or(i64::MAX);
        match self.args[2] {
            1 => -forward,
            _ => forward,
        }
    }
}

/// Draws the plan of a seed.
pub fn draw(seed: u64, config: &SimConfig) -> Vec<Fault> {
    let mut planner = Planner {
        stream: Stream::new(seed, Domain::Plan),
        victims: victims(seed, config),
        config,
        faults: Vec::new(),
    };
    planner.network();
    planner.processes();
    planner.disks();
    planner.operators();
    planner.late();
    let mut faults = planner.faults;
    faults.sort_by_key(|fault| (fault.at, fault.kind));
    faults
}

/// The fault budget: the slots whose disks may return something else than what
/// was synced. Always fewer than a quorum, because no protocol survives more.
pub fn victims(seed: u64, config: &SimConfig) -> Vec<u64> {
    let budget = (config.topology.nodes.max(1) - 1) / 2;
    let first = Keyed::new(seed, Domain::Rot)
        .at(0, 0)
        .below(config.topology.nodes.max(1));
    (0..budget)
        .map(|next| (first + next) % config.topology.nodes)
        .collect()
}

struct Planner<'a> {
    stream: Stream,
    victims: Vec<u64>,
    config: &'a SimConfig,
    faults: Vec<Fault>,
}

const MILLI: u64 = 1_000_000;

impl Planner<'_> {
    fn network(&mut self) {
        for _ in 0..self.config.network.partitions {
            self.partition();
        }
        for _ in 0..self.config.network.clogs {
            let (from, to) = (self.slot(), self.slot());
            let duration = self.stream.magnitude(10, 5_000) * MILLI;
            if from != to {
                self.add(FaultKind::Clog, duration, [from, to, 0]);
            }
        }
    }

    /// One partition, or a link that flaps: the same cut several times.
    fn partition(&mut self) {
        let slots = self.config.replacements_from();
        let side = if self.stream.coin() {
            1 << self.slot()
        } else {
            self.stream.range(1, (1 << slots) - 1)
        };
        let shape = self.stream.range(0, 5);
        let notices = self.stream.range(0, 1);
        let mean = self.config.network.partition_mean_ms * MILLI;
        let duration = self.stream.draw().exponential(mean).max(MILLI);
        let args = [side, shape, notices];
        if self.stream.chance(200_000) {
            let mut at = self.moment();
            for _ in 0..self.stream.range(2, 8) {
                self.add_at(FaultKind::Partition, at, duration / 8, args);
                at += duration / 4 + MILLI;
            }
        } else {
            self.add(FaultKind::Partition, duration, args);
        }
    }

    fn processes(&mut self) {
        for (kind, count) in [
            (FaultKind::Kill, self.config.process.kills),
            (FaultKind::PowerLoss, self.config.process.power_losses),
            (FaultKind::Shutdown, self.config.process.shutdowns),
            (FaultKind::Blackout, self.config.process.blackouts),
        ] {
            for _ in 0..count {
                let down = self
                    .stream
                    .draw()
                    .exponential(self.config.process.down_mean_ms * MILLI);
                let args = [self.slot(), self.stream.range(0, 1), 0];
                self.add(kind, down.max(MILLI), args);
            }
        }
        for _ in 0..self.config.process.pauses {
            let duration = self.stream.magnitude(1, 10_000) * MILLI;
            let slot = self.slot();
            self.add(FaultKind::Pause, duration, [slot, 0, 0]);
        }
        for _ in 0..self.config.clock.clock_steps {
            let args = [
                self.slot(),
                self.stream.magnitude(1, 10_000),
                self.stream.range(0, 1),
            ];
            self.add(FaultKind::ClockStep, 0, args);
        }
    }

    fn disks(&mut self) {
        for _ in 0..self.config.disk.disk_stalls {
            let duration = self.stream.magnitude(10, 3_000) * MILLI;
            let slot = self.slot();
            self.add(FaultKind::DiskStall, duration, [slot, 0, 0]);
        }
        for _ in 0..self.config.disk.sync_failures {
            let slot = self.slot();
            self.add(FaultKind::SyncFailure, 0, [slot, 0, 0]);
        }
        if self.victims.is_empty() {
            return;
        }
        for (kind, count) in [
            (FaultKind::Rot, self.config.disk.rots),
            (FaultKind::Misdirect, self.config.disk.misdirects),
        ] {
            for _ in 0..count {
                let slot = *self.stream.pick(&self.victims);
                let place = self.stream.draw().0;
                let at = self.moment();
                self.add_at(kind, at, 0, [slot, place, 0]);
                // Damage that nobody reads harms nobody: restart the victim.
                let down = self.stream.magnitude(1, 1_000) * MILLI;
                self.add_at(FaultKind::Kill, at + MILLI, down, [slot, 0, 0]);
            }
        }
    }

    fn operators(&mut self) {
        let slots = self.config.replacements_from();
        for _ in 0..self.config.operators.reconfigurations {
            let voters = self.stream.range(1, (1 << slots) - 1);
            let learners = self.stream.range(0, (1 << slots) - 1) & !voters;
            self.add(FaultKind::Reconfigure, 0, [voters, learners, 0]);
        }
        for _ in 0..self.config.operators.transfers {
            let slot = self.slot();
            self.add(FaultKind::Transfer, 0, [slot, 0, 0]);
        }
    }

    /// Families that came later: drawn last, so that the others stay what they were.
    fn late(&mut self) {
        for _ in 0..self.config.disk.disk_fulls {
            let duration = self.stream.magnitude(10, 3_000) * MILLI;
            let slot = self.slot();
            self.add(FaultKind::DiskFull, duration, [slot, 0, 0]);
        }
        for _ in 0..self.config.disk.slow_syncs {
            let duration = self.stream.magnitude(100, 10_000) * MILLI;
            let args = [self.slot(), self.stream.magnitude(2, 50), 0];
            self.add(FaultKind::SlowSync, duration, args);
        }
        for _ in 0..self.config.clock.paused_clock_steps {
            let duration = self.stream.magnitude(1, 10_000) * MILLI;
            let jump = self.stream.magnitude(1, 10_000);
            let args = [self.slot(), jump, self.stream.range(0, 1)];
            self.add(FaultKind::PausedClockStep, duration, args);
        }
        for _ in 0..self.config.disk.lost_disks {
            let slot = self.stream.range(0, self.config.topology.nodes - 1);
            let down = self.stream.magnitude(1, 3_000) * MILLI;
            self.add(FaultKind::LostDisk, down, [slot, 0, 0]);
        }
        for _ in 0..self.config.process.early_stops {
            self.early_stop();
        }
        if self.victims.is_empty() {
            return;
        }
        for _ in 0..self.config.disk.lying_syncs {
            let slot = *self.stream.pick(&self.victims);
            let at = self.moment();
            let syncs = self.stream.magnitude(1, 20);
            self.add_at(FaultKind::LyingSyncs, at, 0, [slot, syncs, 0]);
            // A lie comes out when the power fails.
            let later = self.stream.magnitude(100, 5_000) * MILLI;
            let down = self.stream.magnitude(1, 1_000) * MILLI;
            self.add_at(FaultKind::PowerLoss, at + later, down, [slot, 0, 0]);
        }
        for _ in 0..self.config.topology.wipes {
            let slot = *self.stream.pick(&self.victims);
            self.add(FaultKind::Wipe, 0, [slot, 0, 0]);
        }
    }

    /// A process is killed, and asked to stop while it starts again.
    fn early_stop(&mut self) {
        let slot = self.slot();
        let at = self.moment();
        let down = self.stream.magnitude(1, 500) * MILLI;
        self.add_at(FaultKind::Kill, at, down, [slot, 0, 0]);
        let stop = at + down + self.stream.magnitude(10, 200_000) * 1_000;
        let down = self.stream.magnitude(1, 500) * MILLI;
        self.add_at(FaultKind::Shutdown, stop, down, [slot, 0, 0]);
    }

    fn slot(&mut self) -> u64 {
        self.stream.range(0, self.config.replacements_from() - 1)
    }

    fn moment(&mut self) -> u64 {
        self.stream.range(0, self.config.horizon_ns() - 1)
    }

    fn add(&mut self, kind: FaultKind, duration: u64, args: [u64; 3]) {
        let at = self.moment();
        self.add_at(kind, at, duration, args);
    }

    fn add_at(&mut self, kind: FaultKind, at: u64, duration: u64, args: [u64; 3]) {
        self.faults.push(Fault {
            at,
            duration,
            kind,
            args,
        });
    }
}
