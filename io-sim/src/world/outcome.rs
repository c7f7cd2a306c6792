//! What a run reports.

use std::fmt;

use super::World;
use super::stage::Stage;
use crate::actors::ActorStats;
use crate::config::CLUSTERS_MAX;
use crate::disk::DiskStats;
use crate::network::{DecisionKey, NetworkStats};
use crate::plan::{FaultKind, VolumeFaults};
use crate::subject::Subject;

/// The rolling digest at one point of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// After how many events.
    pub event: u64,
    /// At which world time.
    pub at: u64,
    /// The digest.
    pub hash: [u8; 32],
}

/// A violated property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The event that showed it.
    pub event: u64,
    /// When, in world time.
    pub at: u64,
    /// Which property.
    pub checker: &'static str,
    /// What was seen.
    pub message: String,
}

macro_rules! coverage {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// Situations that a run met, counted. A situation that no run of a suite
        /// meets is one that the suite does not test.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct Coverage {
            $($(#[doc = $doc])* pub $name: u64,)*
        }

        impl Coverage {
            /// All counts with their names.
            pub fn pairs(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }

            /// The situations that were never met.
            pub fn unmet(&self) -> Vec<&'static str> {
                let pairs = self.pairs().into_iter();
                pairs.filter(|(_, count)| *count == 0).map(|(name, _)| name).collect()
            }

            /// Adds another run's counts.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

coverage! {
    /// Nodes that became leaders.
    elections,
    /// Processes that started.
    boots,
    /// Processes that halted.
    halts,
    /// Parts that halted while the rest of their node went on.
    parts_halted,
    /// Crashes between two effects of one step.
    boundary_crashes,
    /// File operations that failed.
    disk_failures,
    /// Sectors of synced data that were damaged.
    damages,
    /// New nodes that took the place of wiped ones.
    replacements,
    /// Damaged frames that the decoder refused.
    frames_refused,
    /// Damaged frames that decode as another message: only the transport's
    /// authentication stops those.
    frames_plausible,
    /// Nodes that began to repair their logs.
    repairs,
    /// Chunks of snapshots sent.
    snapshot_chunks,
    /// Appends refused because logs differed.
    append_rejects,
    /// Leaderships handed over.
    transfers,
    /// Requests passed on to the leader.
    forwards,
    /// Membership changes and transfers that began.
    changes_accepted,
    /// Pre-votes refused: a follower that hears its leader, or a longer log.
    prevotes_refused,
    /// Votes refused.
    votes_refused,
    /// Snapshots that a follower installed.
    snapshots_installed,
    /// Leaders that gave up their role.
    step_downs,
    /// Logs that were repaired until the node took part again.
    repaired,
    /// Memberships in which two majorities count.
    joint_memberships,
    /// Requests refused for certain.
    refusals,
    /// Requests whose fate the node did not know.
    unknown_answers,
    /// Writes whose condition did not hold.
    conditions_failed,
    /// Sessions that had ended when they were used.
    sessions_ended,
    /// Leases that had ended when they were used.
    leases_ended,
    /// Locks that somebody else held.
    locks_contended,
    /// Changes that watchers were told of.
    changes_watched,
    /// Watchers that came too late for what they wanted.
    watches_compacted,
    /// Keys whose history the search gave up on.
    keys_undecided,
    /// Blocks of the ledger that became final.
    blocks_final,
    /// Epochs of the ledger that ended.
    epochs_ended,
    /// Views of the ledger that were given up.
    views_given_up,
    /// Messages that Byzantine validators sent.
    deviations,
    /// Those of them that no decoder takes.
    deviations_unreadable,
    /// Times that an honest node heard both halves of an equivocation and reported it.
    equivocations_reported,
    /// Validators convicted of equivocation.
    convictions,
    /// Validators that lost their disk and came back.
    disks_lost,
    /// Changes of validators or parameters that came into force.
    changes_in_force,
    /// Validators that vote with another key than before.
    keys_rotated,
    /// Blocks and certificates that nodes asked each other for.
    questions,
    /// Answers with transactions that a validator lacked of a leader's block.
    bodies_sent,
    /// Final blocks handed to those who lagged.
    catch_ups,
    /// States of the ledger that were fetched instead of executing all blocks.
    states_fetched,
    /// Receipts that could not be had, because the blocks were pruned or never there.
    receipts_gone,
    /// Receipts that were checked with nothing but the genesis.
    receipts_checked,
    /// Forks whose authors were convicted.
    forks_convicted,
    /// Forks by a quorum of Byzantine validators that convict a third or less.
    forks_unproven,
    /// Messages to nodes that there is no connection to.
    unconnected,
    /// Messages that waited because their part did not take them.
    messages_held,
    /// Messages of one cluster that reached somebody of another one.
    strays,
    /// Validators that no genesis named.
    outsiders_joined,
    /// Draws for order and delays.
    scheduled,
}

/// The result of one run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The first violation, if any.
    pub violation: Option<Violation>,
    /// Steps of nodes.
    pub events: u64,
    /// Virtual time in nanoseconds.
    pub simulated: u64,
    /// The digest of the whole run.
    pub digest: [u8; 32],
    /// The digests on the way.
    pub checkpoints: Vec<Checkpoint>,
    /// Faults injected, by [`FaultKind::ordinal`].
    pub faults: [u64; FaultKind::COUNT],
    /// Those of them that hit volumes.
    pub volume_faults: VolumeFaults,
    /// How often each of the first clusters lost its leader: to a crash, or to another one.
    pub leaders_lost: LeadersLost,
    /// Situations met.
    pub coverage: Coverage,
    /// What the network did.
    pub network: NetworkStats,
    /// What the disks did, all together.
    pub disks: DiskStats,
    /// What the clients did.
    pub clients: ActorStats,
    /// Committed entries and final blocks.
    pub committed: u64,
    /// For each number of a client, the most operations that one of this number completed.
    pub completed_each: Vec<u64>,
    /// Losses, delays and copies that were drawn, up to a bound: what a replay
    /// needs to have them without drawing.
    pub decisions: Vec<(DecisionKey, u64)>,
    /// The steps described, if they were asked for.
    pub lines: Vec<String>,
}

/// How often clusters lost their leaders, by their places in the topology.
pub type LeadersLost = [u64; CLUSTERS_MAX as usize];

impl<S: Subject> World<S> {
    pub(super) fn finish(mut self) -> Outcome {
        for host in &self.hosts {
            if let Some(subject) = &host.subject {
                self.rolling.add(&subject.digest());
            }
        }
        self.rolling.add(&self.events);
        for fingerprint in self.stage.all().filter_map(|actor| actor.fingerprint()) {
            self.rolling.add(&fingerprint);
        }
        let mut disks = DiskStats::default();
        for host in &self.hosts {
            let devices = host.devices.values();
            devices.for_each(|device| disks.add(&device.disk.stats));
        }
        self.court.cover(&mut self.coverage);
        let mut clients = ActorStats::default();
        for actor in self.stage.all() {
            clients.add(&actor.stats());
        }
        Outcome {
            violation: self.violation,
            events: self.events,
            simulated: self.now,
            digest: self.rolling.checkpoint(),
            checkpoints: self.checkpoints,
            faults: self.faults,
            volume_faults: self.volume_faults,
            leaders_lost: self.leaders_lost,
            coverage: self.coverage,
            network: self.network.stats,
            disks,
            clients,
            completed_each: most_of_each(&self.stage),
            decisions: self.network.take_decisions(),
            committed: self.court.committed(),
            lines: self.lines,
        }
    }
}

/// For each number of a client, the most that one of this number has completed: clients
/// of the ledger and of each cluster do what the workload says for their number.
fn most_of_each<S: Subject>(stage: &Stage<S>) -> Vec<u64> {
    let mut most = Vec::new();
    for each in stage.all().map(|actor| actor.completed()) {
        most.resize(most.len().max(each.len()), 0);
        for (most, completed) in most.iter_mut().zip(each) {
            *most = completed.max(*most);
        }
    }
    most
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.at / 1_000_000_000, self.at % 1_000_000_000);
        write!(
            f,
            "{} violated at event {} ({seconds}.{nanos:09} s): {}",
            self.checker, self.event, self.message
        )
    }
}
