//! Everything that is drawn once per seed.
//!
//! Swarm testing (Groce et al. 2012): each family of faults is switched off with
//! probability one half, because a fault that is always there hides what only
//! its absence shows. All settings are whole numbers with their unit in the name,
//! so that a trace can list them, and a replay can take them from the trace
//! instead of drawing them again.

use std::fmt;

use crate::rng::{Domain, Stream};

macro_rules! settings {
    ($($(#[doc = $doc:literal])* $name:ident = $default:expr;)*) => {
        /// The settings of one run.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct SimConfig {
            $($(#[doc = $doc])* pub $name: u64,)*
        }

        impl Default for SimConfig {
            /// A calm world: no faults, three nodes, four clients.
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl SimConfig {
            /// All settings with their names, in a fixed order.
            pub fn pairs(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }

            /// Sets one setting by name; `false` if there is none of that name.
            pub fn set(&mut self, name: &str, value: u64) -> bool {
                match name {
                    $(stringify!($name) => self.$name = value,)*
                    _ => return false,
                }
                true
            }
        }
    };
}

settings! {
    /// Voters at the start.
    nodes = 3;
    /// Nodes that run but take no part until a membership change.
    spares = 0;
    /// Clients.
    clients = 4;
    /// The first slots, to which clients turn; 0 for all.
    contacts = 0;
    /// How long faults and load last, in virtual milliseconds.
    horizon_ms = 30_000;
    /// How long the healed cluster may take to converge.
    heal_ms = 60_000;

    /// The shape of delays: 0 constant, 1 uniform, 2 exponential, 3 bimodal.
    delay_kind = 1;
    /// The least one-way delay, in microseconds.
    delay_base_us = 100;
    /// The mean of what is added to it.
    delay_mean_us = 400;
    /// Messages lost, in parts per million.
    loss_ppm = 0;
    /// Messages that arrive twice.
    duplicate_ppm = 0;
    /// How late the second copy is at most.
    duplicate_ms_max = 0;
    /// Messages that are held back for a while and so are overtaken.
    reorder_ppm = 0;
    /// How long they are held back at most.
    reorder_ms_max = 0;
    /// What a link carries, in bytes per millisecond; 0 for no limit.
    bandwidth_bytes_per_ms = 0;
    /// Messages damaged on the way. The transport's authentication drops them.
    corrupt_ppm = 0;
    /// 1: every message is encoded and decoded on the way.
    codec = 0;

    /// The mean time of a sync, in microseconds.
    sync_mean_us = 500;
    /// The mean time of any other file operation.
    file_mean_us = 20;
    /// The mean time of a store commit.
    store_mean_us = 50;
    /// Syncs that fail.
    sync_fail_ppm = 0;
    /// Writes that fail.
    write_fail_ppm = 0;
    /// Reads that fail, inside the fault budget.
    read_fail_ppm = 0;
    /// Creations that find no space.
    full_ppm = 0;
    /// Reads that return one sector of elsewhere, inside the fault budget.
    misread_ppm = 0;
    /// Of the unsynced sectors at a power loss, how many are lost.
    crash_drop_ppm = 500_000;
    /// How many of the others are torn.
    crash_tear_ppm = 100_000;

    /// How much later than its deadline a node is woken at most, in microseconds.
    wake_late_us = 0;
    /// Times are rounded up to multiples of this many nanoseconds, so that
    /// events meet in one instant.
    quantum_ns = 1;
    /// How far monotonic clocks drift at most, in parts per million.
    drift_ppm_max = 0;
    /// How far wall clocks are off at the start at most.
    wall_offset_ms_max = 0;
    /// How often a node is told the wall clock.
    clock_period_ms = 250;

    /// Partitions over the horizon.
    partitions = 0;
    /// How long a partition lasts on average.
    partition_mean_ms = 2_000;
    /// Links that stall over the horizon.
    clogs = 0;
    /// Processes killed (what they wrote survives).
    kills = 0;
    /// Machines that lose power (what they did not sync may not survive).
    power_losses = 0;
    /// Power losses of all machines at once.
    blackouts = 0;
    /// Processes stopped and resumed.
    pauses = 0;
    /// How long a process is down on average.
    down_mean_ms = 1_000;
    /// Graceful stops.
    shutdowns = 0;
    /// Wall clocks that jump.
    clock_steps = 0;
    /// Disks that stall.
    disk_stalls = 0;
    /// Disks that fail the next sync.
    sync_failures = 0;
    /// Sectors whose bits rot, inside the fault budget.
    rots = 0;
    /// Writes that land elsewhere, inside the fault budget.
    misdirects = 0;
    /// Disks whose syncs lie for a while, inside the fault budget.
    lies = 0;
    /// Disks that have no space for new files for a while.
    disk_fulls = 0;
    /// Disks whose syncs are slow for a while.
    slow_syncs = 0;
    /// Wall clocks that jump while their process is paused.
    paused_clock_steps = 0;
    /// Machines that lose their disk for ever and are replaced by new nodes.
    wipes = 0;
    /// Membership changes asked for.
    reconfigurations = 0;
    /// Leadership transfers asked for.
    transfers = 0;

    /// Bytes of a segment of the write-ahead log.
    wal_segment_bytes = 1 << 20;
    /// Entries after which the log is compacted.
    log_entries_max = 10_000;
    /// Entries kept when it is.
    log_trailing_entries = 1_000;
    /// The leader's heartbeat.
    heartbeat_ms = 100;
    /// The shortest election timeout.
    election_ms = 500;
    /// When a node gives up on a request.
    request_timeout_ms = 5_000;
    /// Entries in one Append message.
    append_entries_max = 1_024;
    /// Append messages in flight to one follower.
    inflight_max = 256;

    /// Keys that clients use.
    keys = 8;
    /// Operations on the first key, beyond its share.
    hot_ppm = 0;
    /// The mean pause of a client between operations, in microseconds.
    think_mean_us = 20_000;
    /// When a client gives up waiting.
    client_timeout_ms = 2_000;
    /// Clients that use a session.
    session_ppm = 500_000;
    /// Operations that read.
    read_ppm = 400_000;
    /// Reads that may be stale.
    stale_ppm = 50_000;
    /// Reads of a range.
    range_ppm = 100_000;
    /// Writes that delete.
    delete_ppm = 150_000;
    /// Writes with a condition.
    condition_ppm = 300_000;
    /// Bytes of padding in a value at most.
    value_bytes_max = 32;
    /// Operations on leases and locks.
    guard_ppm = 0;
    /// Clients that watch all keys.
    watchers = 0;

    /// Clusters that the validators of the ledger belong to.
    clusters = 0;
    /// 1: they replicate the state of those clusters as well.
    replicas = 0;
    /// Clients of each of those clusters.
    cluster_clients = 0;
    /// 1: operators change who is a member of those clusters.
    cluster_changes = 0;
    /// 1: the logs of those clusters are damaged as well, inside the fault budget.
    cluster_damage = 0;
    /// Processes that are killed, and asked to stop while they start again.
    early_stops = 0;
    /// Messages within a cluster that reach somebody of another one as well.
    stray_ppm = 0;
    /// Validators that lie.
    liars = 0;
    /// Of those, how many are two copies of one validator instead.
    twins = 0;
    /// The ways in which the others lie, as a bit set.
    strategies = 0;
    /// 1: so many lie that the ledger may fork, and the guilty must be named. 2: so many
    /// that they are a quorum by themselves; nobody honest may be accused.
    fork = 0;
    /// The delay of a message that validators reckon with.
    delta_ms = 250;
    /// Between two blocks when nobody wants anything.
    idle_block_ms = 5_000;
    /// Blocks of an epoch that nothing ends earlier.
    epoch_blocks = 10_000;
    /// 1: every certificate goes to everybody, and blocks travel with their transactions.
    flood = 0;
    /// Validators that lose their disk and come back under their name.
    lost_disks = 0;
    /// Blocks between two states that can be fetched.
    point_blocks = 1_024;
    /// Blocks that a node may be behind before it fetches a state.
    fetch_behind = 10_000;
    /// Blocks that every other node keeps whole; 0 for all.
    retain_blocks = 0;
}

/// Which faults a scenario may draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranges {
    /// Voters at the start, at least and at most.
    pub nodes: (u64, u64),
    /// Spare nodes at most.
    pub spares: u64,
    /// Membership changes at most.
    pub reconfigurations: u64,
    /// Whether logs are kept so short that snapshots must be sent.
    pub short_logs: bool,
    /// Whether synced sectors may be damaged.
    pub damage: bool,
    /// Machines replaced at most.
    pub wipes: u64,
}

impl SimConfig {
    /// Draws the settings of a seed.
    pub fn draw(seed: u64, ranges: &Ranges) -> Self {
        let mut stream = Stream::new(seed, Domain::Config);
        let mut config = Self::default();
        config.draw_topology(&mut stream, ranges);
        config.draw_network(&mut stream);
        config.draw_disk(&mut stream, ranges);
        config.draw_process(&mut stream);
        config.draw_node(&mut stream, ranges);
        config.draw_load(&mut stream);
        config.draw_late(&mut stream, ranges);
        config
    }

    /// The horizon in nanoseconds.
    pub const fn horizon_ns(&self) -> u64 {
        self.horizon_ms * 1_000_000
    }

    /// All slots: voters, spares, and those who replace wiped machines.
    pub const fn slots(&self) -> u64 {
        self.replacements_from() + self.wipes
    }

    /// The slots to which clients turn.
    pub fn contact_slots(&self) -> u64 {
        match self.contacts {
            0 => self.slots(),
            contacts => contacts.min(self.slots()),
        }
    }

    /// The first slot that stays empty until it replaces a wiped machine.
    pub const fn replacements_from(&self) -> u64 {
        self.nodes + self.spares
    }

    fn draw_topology(&mut self, s: &mut Stream, ranges: &Ranges) {
        self.nodes = s.range(ranges.nodes.0, ranges.nodes.1);
        self.spares = s.range(0, ranges.spares);
        if ranges.reconfigurations > 0 {
            self.spares = self.spares.max(1);
            self.reconfigurations = s.range(2, ranges.reconfigurations.max(2));
        }
        self.clients = s.magnitude(1, 16);
        self.horizon_ms = s.magnitude(8_000, 60_000);
    }

    pub(crate) fn draw_network(&mut self, s: &mut Stream) {
        self.delay_kind = s.range(0, 3);
        self.delay_base_us = s.magnitude(20, 5_000);
        self.delay_mean_us = s.magnitude(20, 30_000);
        if s.coin() {
            self.loss_ppm = s.magnitude(1_000, 300_000);
        }
        if s.coin() {
            self.duplicate_ppm = s.magnitude(1_000, 500_000);
            self.duplicate_ms_max = s.magnitude(1, 10_000);
        }
        if s.coin() {
            self.reorder_ppm = s.magnitude(1_000, 300_000);
            self.reorder_ms_max = s.magnitude(1, 2_000);
        }
        if s.chance(200_000) {
            self.bandwidth_bytes_per_ms = s.magnitude(200, 100_000);
        }
        self.codec = u64::from(s.coin());
        if s.coin() {
            self.corrupt_ppm = s.magnitude(100, 50_000);
        }
        if s.coin() {
            self.partitions = s.range(1, 12);
            self.partition_mean_ms = s.magnitude(200, 8_000);
        }
        if s.coin() {
            self.clogs = s.range(1, 12);
        }
    }

    pub(crate) fn draw_disk(&mut self, s: &mut Stream, ranges: &Ranges) {
        self.sync_mean_us = s.magnitude(50, 20_000);
        self.file_mean_us = s.magnitude(1, 200);
        self.store_mean_us = s.magnitude(5, 2_000);
        self.crash_drop_ppm = *s.pick(&[0, 200_000, 500_000, 900_000, 1_000_000]);
        self.crash_tear_ppm = *s.pick(&[0, 100_000, 500_000]);
        if s.coin() {
            self.sync_failures = s.range(1, 3);
        }
        if s.chance(250_000) {
            self.write_fail_ppm = s.magnitude(10, 1_000);
            self.full_ppm = s.magnitude(1_000, 50_000);
        }
        if ranges.damage && s.chance(250_000) {
            self.read_fail_ppm = s.magnitude(1_000, 100_000);
        }
        if s.coin() {
            self.disk_stalls = s.range(1, 5);
        }
        if ranges.damage && s.coin() {
            self.rots = s.range(1, 4);
        }
        if ranges.damage && s.chance(250_000) {
            self.misdirects = s.range(1, 2);
        }
    }

    pub(crate) fn draw_process(&mut self, s: &mut Stream) {
        if s.coin() {
            self.kills = s.range(1, 12);
        }
        if s.coin() {
            self.power_losses = s.range(1, 12);
        }
        if s.chance(300_000) {
            self.blackouts = s.range(1, 3);
        }
        if s.coin() {
            self.pauses = s.range(1, 8);
        }
        if s.chance(300_000) {
            self.shutdowns = s.range(1, 4);
        }
        self.down_mean_ms = s.magnitude(10, 6_000);
        self.wake_late_us = *s.pick(&[0, 0, 10, 200]);
        self.quantum_ns = *s.pick(&[1, 1, 1_000, 100_000, 1_000_000]);
        if s.coin() {
            self.drift_ppm_max = s.magnitude(1, 500);
        }
        if s.coin() {
            self.wall_offset_ms_max = s.magnitude(1, 10_000);
            self.clock_steps = s.range(0, 6);
        }
        if s.coin() {
            self.transfers = s.range(1, 6);
        }
    }

    pub(crate) fn draw_node(&mut self, s: &mut Stream, ranges: &Ranges) {
        self.wal_segment_bytes = *s.pick(&[32 << 10, 64 << 10, 256 << 10]);
        self.log_entries_max = s.magnitude(200, 10_000);
        if ranges.short_logs {
            self.log_entries_max = s.magnitude(16, 200);
        }
        self.log_trailing_entries = s.range(1, self.log_entries_max / 2);
        self.heartbeat_ms = s.range(20, 150);
        self.election_ms = self.heartbeat_ms * s.range(4, 8);
        self.request_timeout_ms = s.magnitude(500, 5_000);
        self.append_entries_max = s.magnitude(1, 1_024);
        self.inflight_max = s.magnitude(1, 256);
    }

    pub(crate) fn draw_load(&mut self, s: &mut Stream) {
        self.keys = s.magnitude(1, 32);
        if s.coin() {
            self.hot_ppm = s.range(100_000, 800_000);
        }
        self.think_mean_us = s.magnitude(200, 100_000);
        self.client_timeout_ms = s.magnitude(100, 8_000);
        self.session_ppm = *s.pick(&[0, 500_000, 1_000_000]);
        self.read_ppm = s.range(100_000, 800_000);
        self.stale_ppm = *s.pick(&[0, 100_000]);
        self.range_ppm = *s.pick(&[0, 200_000]);
        self.delete_ppm = s.range(0, 300_000);
        self.condition_ppm = s.range(0, 600_000);
        self.value_bytes_max = s.magnitude(1, 4_096);
    }

    /// Families that came later: drawn last, so that the others stay what they were.
    fn draw_late(&mut self, s: &mut Stream, ranges: &Ranges) {
        if s.coin() {
            self.disk_fulls = s.range(1, 3);
        }
        if s.coin() {
            self.slow_syncs = s.range(1, 4);
        }
        if s.coin() {
            self.paused_clock_steps = s.range(1, 4);
        }
        if s.coin() && ranges.damage {
            self.lies = s.range(1, 3);
        }
        if s.coin() && ranges.damage {
            self.misread_ppm = s.magnitude(1_000, 100_000);
        }
        if s.coin() && self.nodes >= 3 {
            self.wipes = ranges.wipes;
        }
        if s.coin() {
            self.guard_ppm = s.magnitude(50_000, 800_000);
        }
        if s.coin() {
            self.watchers = s.range(1, 4);
        }
    }
}

impl fmt::Display for SimConfig {
    /// One line with what differs from the calm world.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calm = Self::default();
        let mut first = true;
        for ((name, value), (_, usual)) in self.pairs().into_iter().zip(calm.pairs()) {
            if value != usual {
                write!(f, "{}{name}={value}", if first { "" } else { " " })?;
                first = false;
            }
        }
        Ok(())
    }
}
