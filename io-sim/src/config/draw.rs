//! The settings of a seed.

use super::{Ranges, SimConfig};
use crate::rng::Stream;

impl SimConfig {
    pub(super) fn draw_topology(&mut self, s: &mut Stream, ranges: &Ranges) {
        self.topology.nodes = s.range(ranges.nodes.0, ranges.nodes.1);
        self.topology.spares = s.range(0, ranges.spares);
        if ranges.reconfigurations > 0 {
            self.topology.spares = self.topology.spares.max(1);
            self.operators.reconfigurations = s.range(2, ranges.reconfigurations.max(2));
        }
        self.load.clients = s.magnitude(1, 16);
        self.span.horizon_ms = s.magnitude(8_000, 60_000);
    }

    pub(super) fn draw_network(&mut self, s: &mut Stream) {
        self.network.delay_kind = s.range(0, 3);
        self.network.delay_base_us = s.magnitude(20, 5_000);
        self.network.delay_mean_us = s.magnitude(20, 30_000);
        if s.coin() {
            self.network.loss_ppm = s.magnitude(1_000, 300_000);
        }
        if s.coin() {
            self.network.duplicate_ppm = s.magnitude(1_000, 500_000);
            self.network.duplicate_ms_max = s.magnitude(1, 10_000);
        }
        if s.coin() {
            self.network.reorder_ppm = s.magnitude(1_000, 300_000);
            self.network.reorder_ms_max = s.magnitude(1, 2_000);
        }
        if s.chance(200_000) {
            self.network.bandwidth_bytes_per_ms = s.magnitude(200, 100_000);
        }
        self.network.codec = u64::from(s.coin());
        if s.coin() {
            self.network.corrupt_ppm = s.magnitude(100, 50_000);
        }
        if s.coin() {
            self.network.partitions = s.range(1, 12);
            self.network.partition_mean_ms = s.magnitude(200, 8_000);
        }
        if s.coin() {
            self.network.clogs = s.range(1, 12);
        }
    }

    pub(super) fn draw_disk(&mut self, s: &mut Stream, ranges: &Ranges) {
        self.disk.sync_mean_us = s.magnitude(50, 20_000);
        self.disk.file_mean_us = s.magnitude(1, 200);
        self.disk.store_mean_us = s.magnitude(5, 2_000);
        self.disk.crash_drop_ppm = *s.pick(&[0, 200_000, 500_000, 900_000, 1_000_000]);
        self.disk.crash_tear_ppm = *s.pick(&[0, 100_000, 500_000]);
        if s.coin() {
            self.disk.sync_failures = s.range(1, 3);
        }
        if s.chance(250_000) {
            self.disk.write_fail_ppm = s.magnitude(10, 1_000);
            self.disk.full_ppm = s.magnitude(1_000, 50_000);
        }
        if ranges.damage && s.chance(250_000) {
            self.disk.read_fail_ppm = s.magnitude(1_000, 100_000);
        }
        if s.coin() {
            self.disk.disk_stalls = s.range(1, 5);
        }
        if ranges.damage && s.coin() {
            self.disk.rots = s.range(1, 4);
        }
        if ranges.damage && s.chance(250_000) {
            self.disk.misdirects = s.range(1, 2);
        }
    }

    pub(super) fn draw_process(&mut self, s: &mut Stream) {
        if s.coin() {
            self.process.kills = s.range(1, 12);
        }
        if s.coin() {
            self.process.power_losses = s.range(1, 12);
        }
        if s.chance(300_000) {
            self.process.blackouts = s.range(1, 3);
        }
        if s.coin() {
            self.process.pauses = s.range(1, 8);
        }
        if s.chance(300_000) {
            self.process.shutdowns = s.range(1, 4);
        }
        self.process.down_mean_ms = s.magnitude(10, 6_000);
        self.process.wake_late_us = *s.pick(&[0, 0, 10, 200]);
        self.process.quantum_ns = *s.pick(&[1, 1, 1_000, 100_000, 1_000_000]);
        if s.coin() {
            self.clock.drift_ppm_max = s.magnitude(1, 500);
        }
        if s.coin() {
            self.clock.wall_offset_ms_max = s.magnitude(1, 10_000);
            self.clock.clock_steps = s.range(0, 6);
        }
        if s.coin() {
            self.operators.transfers = s.range(1, 6);
        }
    }

    pub(super) fn draw_node(&mut self, s: &mut Stream, ranges: &Ranges) {
        self.cluster.wal_segment_bytes = *s.pick(&[32 << 10, 64 << 10, 256 << 10]);
        self.cluster.log_entries_max = s.magnitude(200, 10_000);
        if ranges.short_logs {
            self.cluster.log_entries_max = s.magnitude(16, 200);
        }
        self.cluster.log_trailing_entries = s.range(1, self.cluster.log_entries_max / 2);
        self.cluster.heartbeat_ms = s.range(20, 150);
        self.cluster.election_ms = self.cluster.heartbeat_ms * s.range(4, 8);
        self.cluster.request_timeout_ms = s.magnitude(500, 5_000);
        self.cluster.append_entries_max = s.magnitude(1, 1_024);
        self.cluster.inflight_max = s.magnitude(1, 256);
    }

    pub(super) fn draw_load(&mut self, s: &mut Stream) {
        self.load.keys = s.magnitude(1, 32);
        if s.coin() {
            self.load.hot_ppm = s.range(100_000, 800_000);
        }
        self.load.think_mean_us = s.magnitude(200, 100_000);
        self.load.client_timeout_ms = s.magnitude(100, 8_000);
        self.load.session_ppm = *s.pick(&[0, 500_000, 1_000_000]);
        self.load.read_ppm = s.range(100_000, 800_000);
        self.load.stale_ppm = *s.pick(&[0, 100_000]);
        self.load.range_ppm = *s.pick(&[0, 200_000]);
        self.load.delete_ppm = s.range(0, 300_000);
        self.load.condition_ppm = s.range(0, 600_000);
        self.load.value_bytes_max = s.magnitude(1, 4_096);
    }

    /// Families that came later: drawn last, so that the others stay what they were.
    pub(super) fn draw_late(&mut self, s: &mut Stream, ranges: &Ranges) {
        if s.coin() {
            self.disk.disk_fulls = s.range(1, 3);
        }
        if s.coin() {
            self.disk.slow_syncs = s.range(1, 4);
        }
        if s.coin() {
            self.clock.paused_clock_steps = s.range(1, 4);
        }
        if s.coin() && ranges.damage {
            self.disk.lying_syncs = s.range(1, 3);
        }
        if s.coin() && ranges.damage {
            self.disk.misread_ppm = s.magnitude(1_000, 100_000);
        }
        if s.coin() && self.topology.nodes >= 3 {
            self.topology.wipes = ranges.wipes;
        }
        if s.coin() {
            self.load.guard_ppm = s.magnitude(50_000, 800_000);
        }
        if s.coin() {
            self.load.watchers = s.range(1, 4);
        }
        self.draw_pending(s);
    }

    /// What slow volumes may have under way.
    pub(super) fn draw_pending(&mut self, s: &mut Stream) {
        if s.chance(250_000) {
            self.disk.writes_pending_max = s.magnitude(2, 64);
        }
    }
}
