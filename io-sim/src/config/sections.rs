//! The settings, in sections: one for each concern, so that who needs to know of disks
//! takes those of disks. A protocol adds a section of its own.
//!
//! Names are unique over all sections, because traces and command lines name a setting
//! without its section.

/// What settings were called when traces were recorded that must still replay.
const OLD_NAMES: [(&str, &str); 3] = [
    ("liars", "byzantine_nodes"),
    ("lies", "lying_syncs"),
    ("point_blocks", "checkpoint_blocks"),
];

/// The present name of a setting that may be given by an old one.
fn renamed(name: &str) -> &str {
    let old = OLD_NAMES.iter().find(|(old, _)| *old == name);
    old.map_or(name, |(_, present)| present)
}

macro_rules! settings {
    ($($(#[doc = $about:literal])* $section:ident: $Section:ident {
        $($(#[doc = $doc:literal])* $name:ident = $default:expr;)*
    })*) => {
        $(
            $(#[doc = $about])*
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub struct $Section {
                $($(#[doc = $doc])* pub $name: u64,)*
            }

            impl Default for $Section {
                fn default() -> Self {
                    Self { $($name: $default,)* }
                }
            }
        )*

        /// The settings of one run. By default a calm world: no faults, three nodes, four
        /// clients.
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        pub struct SimConfig {
            $($(#[doc = $about])* pub $section: $Section,)*
        }

        impl SimConfig {
            /// All settings with their names, in a fixed order.
            pub fn pairs(&self) -> Vec<(&'static str, u64)> {
                vec![$($((stringify!($name), self.$section.$name),)*)*]
            }

            /// Sets one setting by name, or by one that it had; `false` if there is none of
            /// that name.
            pub fn set(&mut self, name: &str, value: u64) -> bool {
                match renamed(name) {
                    $($(stringify!($name) => self.$section.$name = value,)*)*
                    _ => return false,
                }
                true
            }
        }
    };
}

settings! {
    /// Who is there: nodes, and the clusters that they form.
    topology: TopologySettings {
        /// Voters at the start.
        nodes = 3;
        /// Nodes that run but take no part until a membership change.
        spares = 0;
        /// Machines that lose their disk for ever and are replaced by new nodes.
        wipes = 0;
        /// Clusters that the validators of the ledger belong to.
        clusters = 0;
        /// 1: they replicate the state of those clusters as well.
        replicas = 0;
    }

    /// How long a run lasts.
    span: SpanSettings {
        /// How long faults and load last, in virtual milliseconds.
        horizon_ms = 30_000;
        /// How long the healed cluster may take to converge.
        heal_ms = 60_000;
    }

    /// What the network does to messages.
    network: NetworkSettings {
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
        /// Partitions over the horizon.
        partitions = 0;
        /// How long a partition lasts on average.
        partition_mean_ms = 2_000;
        /// Links that stall over the horizon.
        clogs = 0;
        /// Messages within a cluster that reach somebody of another one as well.
        stray_ppm = 0;
    }

    /// What disks and stores do to what is written.
    disk: DiskSettings {
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
        /// Writes that a part has under way at most: few, so that parts are seen which
        /// take nothing more until their disk has gone on.
        writes_pending_max = 1_024;
        /// Of the unsynced sectors at a power loss, how many are lost.
        crash_drop_ppm = 500_000;
        /// How many of the others are torn.
        crash_tear_ppm = 100_000;
        /// Disks that stall.
        disk_stalls = 0;
        /// Disks that fail the next sync.
        sync_failures = 0;
        /// Sectors whose bits rot, inside the fault budget.
        rots = 0;
        /// Writes that land elsewhere, inside the fault budget.
        misdirects = 0;
        /// Disks whose syncs lie for a while, inside the fault budget.
        lying_syncs = 0;
        /// Disks that have no space for new files for a while.
        disk_fulls = 0;
        /// Disks whose syncs are slow for a while.
        slow_syncs = 0;
        /// Validators that lose their disk and come back under their name.
        lost_disks = 0;
        /// 1: the logs of those clusters are damaged as well, inside the fault budget.
        cluster_damage = 0;
    }

    /// What befalls processes and machines, and how exactly they are woken.
    process: ProcessSettings {
        /// How much later than its deadline a node is woken at most, in microseconds.
        wake_late_us = 0;
        /// Times are rounded up to multiples of this many nanoseconds, so that
        /// events meet in one instant.
        quantum_ns = 1;
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
        /// Processes that are killed, and asked to stop while they start again.
        early_stops = 0;
    }

    /// How far clocks are off.
    clock: ClockSettings {
        /// How far monotonic clocks drift at most, in parts per million.
        drift_ppm_max = 0;
        /// How far wall clocks are off at the start at most.
        wall_offset_ms_max = 0;
        /// How often a node is told the wall clock.
        clock_period_ms = 250;
        /// Wall clocks that jump.
        clock_steps = 0;
        /// Wall clocks that jump while their process is paused.
        paused_clock_steps = 0;
    }

    /// What operators of clusters, and governors of the ledger, ask for.
    operators: OperatorSettings {
        /// Membership changes asked for.
        reconfigurations = 0;
        /// Leadership transfers asked for.
        transfers = 0;
        /// 1: operators change who is a member of those clusters.
        cluster_changes = 0;
    }

    /// What the part of a node in its cluster is built from.
    cluster: ClusterSettings {
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
    }

    /// What clients do.
    load: LoadSettings {
        /// Clients.
        clients = 4;
        /// Clients of each of those clusters.
        cluster_clients = 0;
        /// The first slots, to which clients turn; 0 for all.
        contacts = 0;
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
    }

    /// Who lies on the ledger, and how.
    adversary: AdversarySettings {
        /// Validators that are Byzantine.
        byzantine_nodes = 0;
        /// Of those, how many are two copies of one validator instead.
        twins = 0;
        /// The ways in which the others deviate, as a bit set.
        strategies = 0;
        /// 1: so many are Byzantine that the ledger may fork, and the guilty must be named. 2: so
        /// many that they are a quorum by themselves; nobody honest may be named.
        fork = 0;
    }

    /// What the part of a node in the ledger is built from.
    ledger: LedgerSettings {
        /// The delay of a message that validators reckon with.
        delta_ms = 250;
        /// Between two blocks when nobody wants anything.
        idle_block_ms = 5_000;
        /// Blocks of an epoch that nothing ends earlier.
        epoch_blocks = 10_000;
        /// 1: every certificate goes to everybody, and blocks travel with their transactions.
        flood = 0;
        /// Blocks between two states that can be fetched.
        checkpoint_blocks = 1_024;
        /// Blocks that a node may be behind before it fetches a state.
        fetch_behind = 10_000;
        /// Blocks that every other node keeps whole; 0 for all.
        retain_blocks = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Traces of earlier versions replay.
    #[test]
    fn settings_are_known_by_the_names_that_they_had() {
        let mut config = SimConfig::default();
        for (old, present) in OLD_NAMES {
            assert!(config.set(old, 7), "{old}");
            assert!(config.pairs().contains(&(present, 7)), "{present}");
            assert!(config.pairs().iter().all(|(name, _)| *name != old));
        }
        assert!(!config.set("no such setting", 7));
    }
}
