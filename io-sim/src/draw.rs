//! The settings of a seed of the ledger.

use crate::config::{Ranges, SimConfig};
use crate::rng::{Domain, Stream};

/// How many ways to lie there are.
pub const STRATEGIES: u64 = 12;
/// Clusters of a platform at most.
const CLUSTERS_MAX: u64 = 4;

impl SimConfig {
    /// Draws the settings of a run of the ledger. With `fork`, more than a third
    /// lies and everything else is calm, so that forks are not left to chance.
    pub fn draw_ledger(seed: u64, ranges: &Ranges, fork: bool) -> Self {
        let mut s = Stream::new(seed, Domain::Config);
        let mut config = Self::default();
        config.draw_validators(&mut s, ranges);
        if fork {
            config.draw_fork(&mut s);
            return config;
        }
        config.draw_network(&mut s);
        config.draw_disk(&mut s, ranges);
        config.draw_process(&mut s);
        config.tame_for_ledger(&mut s);
        config.draw_lies(&mut s);
        config.draw_blocks(&mut s);
        config
    }

    /// Draws the settings of a run of clusters that share a ledger.
    pub fn draw_platform(seed: u64, ranges: &Ranges) -> Self {
        let mut config = Self::draw_ledger(seed, ranges, false);
        let mut s = Stream::new(seed ^ 1 << 60, Domain::Config);
        config.replicas = 1;
        config.clusters = s.range(1, config.nodes.min(CLUSTERS_MAX));
        config.cluster_clients = s.magnitude(1, 4);
        config.draw_node(&mut s, ranges);
        config.draw_load(&mut s);
        if s.coin() {
            config.guard_ppm = s.magnitude(50_000, 800_000);
        }
        if s.coin() {
            config.watchers = s.range(1, 3);
        }
        if s.coin() {
            config.transfers = s.range(1, 6);
        }
        if s.coin() && config.clusters > 1 {
            config.stray_ppm = s.magnitude(1_000, 50_000);
        }
        if s.coin() {
            config.early_stops = s.range(1, 8);
        }
        config.draw_operators(&mut s, ranges);
        config
    }

    /// Either members come and go, or machines are damaged and replaced: a budget of
    /// damage counts the members of the first hour.
    fn draw_operators(&mut self, s: &mut Stream, ranges: &Ranges) {
        if s.coin() {
            self.cluster_changes = 1;
            self.reconfigurations = s.range(2, 12);
            return;
        }
        self.spares = 0;
        self.cluster_damage = u64::from(s.coin());
        if self.cluster_damage == 1 {
            self.rots = self.rots.max(s.range(1, 4));
            self.lies = s.range(0, 3);
            self.misdirects = s.range(0, 2);
        }
        if s.coin() {
            self.wipes = s.range(0, ranges.wipes);
        }
    }

    /// Whether a third of the power or more lies.
    pub const fn may_fork(&self) -> bool {
        self.fork != 0
    }

    fn draw_validators(&mut self, s: &mut Stream, ranges: &Ranges) {
        self.nodes = s.range(ranges.nodes.0, ranges.nodes.1);
        self.clusters = match s.coin() {
            true => self.nodes,
            false => s.range(1, self.nodes),
        };
        self.spares = s.range(0, ranges.spares);
        self.clients = s.magnitude(1, 6);
        self.horizon_ms = s.magnitude(4_000, 20_000);
        self.delta_ms = s.magnitude(20, 400);
        self.idle_block_ms = s.magnitude(200, 5_000);
        self.epoch_blocks = match s.coin() {
            true => s.magnitude(2, 60),
            false => 10_000,
        };
        self.flood = u64::from(s.chance(200_000));
        self.think_mean_us = s.magnitude(1_000, 400_000);
        self.client_timeout_ms = s.magnitude(500, 5_000);
        self.request_timeout_ms = s.magnitude(500, 5_000);
        self.range_ppm = 500_000;
        self.wal_segment_bytes = *s.pick(&[32 << 10, 64 << 10, 256 << 10]);
        self.codec = u64::from(s.coin());
    }

    /// Faults within what the ledger bears: its log is repaired from others, and
    /// clocks have to be within seconds of each other.
    fn tame_for_ledger(&mut self, s: &mut Stream) {
        // Only what checksums find: a validator whose disk forgets votes unnoticed lies.
        self.read_fail_ppm = 0;
        self.transfers = 0;
        self.delay_mean_us = self.delay_mean_us.min(self.delta_ms * 500);
        self.wall_offset_ms_max = self.wall_offset_ms_max.min(1_500);
        self.clock_steps = self.clock_steps.min(3);
        self.lost_disks = match s.coin() {
            true => s.range(2, 6),
            false => 0,
        };
        self.reconfigurations = match s.coin() {
            true => s.range(1, 6),
            false => 0,
        };
        if s.coin() {
            self.disk_fulls = s.range(1, 2);
        }
        if s.coin() {
            self.slow_syncs = s.range(1, 3);
        }
        if s.chance(300_000) {
            self.paused_clock_steps = s.range(1, 2);
        }
    }

    fn draw_lies(&mut self, s: &mut Stream) {
        if s.chance(300_000) {
            return;
        }
        self.liars = s.range(1, (self.nodes - 1) / 3 + 1);
        if s.chance(250_000) {
            self.twins = s.range(1, self.liars);
        }
        for strategy in 0..STRATEGIES {
            if s.chance(400_000) {
                self.strategies |= 1 << strategy;
            }
        }
        if self.strategies == 0 {
            self.strategies = 1 << s.range(0, STRATEGIES - 1);
        }
    }

    /// How nodes that lag come back, and what is left of old blocks.
    fn draw_blocks(&mut self, s: &mut Stream) {
        if s.coin() {
            self.point_blocks = s.magnitude(2, 16);
            self.fetch_behind = s.magnitude(2, 40);
        }
        if s.coin() {
            self.retain_blocks = s.magnitude(4, 64);
        }
    }

    fn draw_fork(&mut self, s: &mut Stream) {
        self.fork = 1;
        self.liars = self.nodes;
        self.horizon_ms = 10_000;
        self.delay_mean_us = s.magnitude(20, 2_000);
        self.strategies = 1 | 1 << 10;
        if s.coin() {
            self.kills = s.range(1, 4);
        }
        if s.coin() {
            self.partitions = s.range(1, 4);
        }
        if s.chance(250_000) {
            self.fork = 2;
        }
        if s.chance(300_000) {
            self.strategies |= 1 << 4;
        }
    }
}
