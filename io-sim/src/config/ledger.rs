//! The settings of a seed of the ledger, and of clusters that share one.

use super::{Ranges, SimConfig};
use crate::rng::{Domain, Stream};

/// How many ways to deviate there are.
const STRATEGIES: u64 = 12;
/// Clusters of a platform at most.
pub const CLUSTERS_MAX: u64 = 4;

impl SimConfig {
    /// Draws the settings of a run of the ledger. With `fork`, more than a third
    /// is Byzantine and everything else is calm, so that forks are not left to chance.
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
        config.draw_byzantine(&mut s);
        config.draw_blocks(&mut s);
        config
    }

    /// Draws the settings of a run of clusters that share a ledger.
    pub fn draw_platform(seed: u64, ranges: &Ranges) -> Self {
        let mut config = Self::draw_ledger(seed, ranges, false);
        let mut s = Stream::new(seed ^ 1 << 60, Domain::Config);
        config.topology.replicas = 1;
        config.topology.clusters = s.range(1, config.topology.nodes.min(CLUSTERS_MAX));
        config.load.cluster_clients = s.magnitude(1, 4);
        config.draw_node(&mut s, ranges);
        config.draw_load(&mut s);
        if s.coin() {
            config.load.guard_ppm = s.magnitude(50_000, 800_000);
        }
        if s.coin() {
            config.load.watchers = s.range(1, 3);
        }
        if s.coin() {
            config.operators.transfers = s.range(1, 6);
        }
        if s.coin() && config.topology.clusters > 1 {
            config.network.stray_ppm = s.magnitude(1_000, 50_000);
        }
        if s.coin() {
            config.process.early_stops = s.range(1, 8);
        }
        config.draw_operators(&mut s, ranges);
        config
    }

    /// Either members come and go, or machines are damaged and replaced: a budget of
    /// damage counts the members of the first hour.
    fn draw_operators(&mut self, s: &mut Stream, ranges: &Ranges) {
        if s.coin() {
            self.operators.cluster_changes = 1;
            self.operators.reconfigurations = s.range(2, 12);
            return;
        }
        self.topology.spares = 0;
        self.disk.cluster_damage = u64::from(s.coin());
        if self.disk.cluster_damage == 1 {
            self.disk.rots = self.disk.rots.max(s.range(1, 4));
            self.disk.lying_syncs = s.range(0, 3);
            self.disk.misdirects = s.range(0, 2);
        }
        if s.coin() {
            self.topology.wipes = s.range(0, ranges.wipes);
        }
    }

    /// Whether a third of the power or more is Byzantine.
    pub const fn may_fork(&self) -> bool {
        self.adversary.fork != 0
    }

    fn draw_validators(&mut self, s: &mut Stream, ranges: &Ranges) {
        self.topology.nodes = s.range(ranges.nodes.0, ranges.nodes.1);
        self.topology.clusters = match s.coin() {
            true => self.topology.nodes,
            false => s.range(1, self.topology.nodes),
        };
        self.topology.spares = s.range(0, ranges.spares);
        self.load.clients = s.magnitude(1, 6);
        self.span.horizon_ms = s.magnitude(4_000, 20_000);
        self.ledger.delta_ms = s.magnitude(20, 400);
        self.ledger.idle_block_ms = s.magnitude(200, 5_000);
        self.ledger.epoch_blocks = match s.coin() {
            true => s.magnitude(2, 60),
            false => 10_000,
        };
        self.ledger.flood = u64::from(s.chance(200_000));
        self.load.think_mean_us = s.magnitude(1_000, 400_000);
        self.load.client_timeout_ms = s.magnitude(500, 5_000);
        self.cluster.request_timeout_ms = s.magnitude(500, 5_000);
        self.load.range_ppm = 500_000;
        self.cluster.wal_segment_bytes = *s.pick(&[32 << 10, 64 << 10, 256 << 10]);
        self.network.codec = u64::from(s.coin());
    }

    /// Faults within what the ledger bears: its log is repaired from others, and
    /// clocks have to be within seconds of each other.
    fn tame_for_ledger(&mut self, s: &mut Stream) {
        // Only what checksums find: a validator whose disk forgets votes unnoticed is Byzantine.
        self.disk.read_fail_ppm = 0;
        self.operators.transfers = 0;
        self.network.delay_mean_us = self.network.delay_mean_us.min(self.ledger.delta_ms * 500);
        self.clock.wall_offset_ms_max = self.clock.wall_offset_ms_max.min(1_500);
        self.clock.clock_steps = self.clock.clock_steps.min(3);
        self.disk.lost_disks = match s.coin() {
            true => s.range(2, 6),
            false => 0,
        };
        self.operators.reconfigurations = match s.coin() {
            true => s.range(1, 6),
            false => 0,
        };
        if s.coin() {
            self.disk.disk_fulls = s.range(1, 2);
        }
        if s.coin() {
            self.disk.slow_syncs = s.range(1, 3);
        }
        if s.chance(300_000) {
            self.clock.paused_clock_steps = s.range(1, 2);
        }
    }

    fn draw_byzantine(&mut self, s: &mut Stream) {
        if s.chance(300_000) {
            return;
        }
        self.adversary.byzantine_nodes = s.range(1, (self.topology.nodes - 1) / 3 + 1);
        if s.chance(250_000) {
            self.adversary.twins = s.range(1, self.adversary.byzantine_nodes);
        }
        for strategy in 0..STRATEGIES {
            if s.chance(400_000) {
                self.adversary.strategies |= 1 << strategy;
            }
        }
        if self.adversary.strategies == 0 {
            self.adversary.strategies = 1 << s.range(0, STRATEGIES - 1);
        }
    }

    /// How nodes that lag come back, and what is left of old blocks.
    fn draw_blocks(&mut self, s: &mut Stream) {
        if s.coin() {
            self.ledger.checkpoint_blocks = s.magnitude(2, 16);
            self.ledger.fetch_behind = s.magnitude(2, 40);
        }
        if s.coin() {
            // Who lacks a block that all others have pruned fetches a state, so one is to
            // be had: an operator cannot choose fewer blocks than lie between two states.
            let least = self.ledger.checkpoint_blocks.max(4);
            self.ledger.retain_blocks = s.magnitude(4, 64).max(least);
        }
        self.draw_pending(s);
    }

    fn draw_fork(&mut self, s: &mut Stream) {
        self.adversary.fork = 1;
        self.adversary.byzantine_nodes = self.topology.nodes;
        self.span.horizon_ms = 10_000;
        self.network.delay_mean_us = s.magnitude(20, 2_000);
        self.adversary.strategies = 1 | 1 << 10;
        if s.coin() {
            self.process.kills = s.range(1, 4);
        }
        if s.coin() {
            self.network.partitions = s.range(1, 4);
        }
        if s.chance(250_000) {
            self.adversary.fork = 2;
        }
        if s.chance(300_000) {
            self.adversary.strategies |= 1 << 4;
        }
    }
}
