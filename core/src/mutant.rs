//! Planted bugs. The simulator must find each of them within a stated budget of
//! seeds, or it proves nothing.
//!
//! A mutant is selected at run time in a machine's configuration and exists only
//! under the feature `mutants`: without it [`Mutant::is`] is `false` at compile
//! time and the planted branch is not in the binary.

/// Which bug is planted. Each variant names the real incident it repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[non_exhaustive]
pub enum Mutant {
    /// None: the code as it is meant.
    #[default]
    None,
    /// A vote is granted before term and vote are durable (raft-rs #372).
    VoteNotDurable,
    /// A step-down inside a term forgets the vote of that term (CCF #5891).
    VoteForgottenInTerm,
    /// Entries of older terms are committed by counting (Raft paper, figure 8).
    CommitOldTerm,
    /// A follower commits beyond what the message verified (CCF #8172).
    CommitBeyondVerified,
    /// A duplicate append truncates a matching suffix (hashicorp/raft 0f31a01).
    TruncateMatching,
    /// The log check compares indexes although terms differ (hashicorp/raft #94).
    UpToDateByIndex,
    /// The leader counts its own entries before they are durable (openraft a9f696a).
    LeaderCountsUnsynced,
    /// A follower acknowledges entries before they are durable.
    AckBeforeSync,
    /// The append handler does not check the previous entry.
    SkipPrevCheck,
    /// The quorum counts one voter too few.
    QuorumTooSmall,
    /// Learners are counted in the commit quorum.
    LearnerCounts,
    /// A read is served before the leader committed in its term (etcd #7331).
    ReadBeforeTermCommit,
    /// Late acknowledgements satisfy a newer read round (etcd #20418).
    ReadRoundReused,
    /// A membership change takes effect only when committed.
    MembershipAtCommit,
    /// An installed snapshot keeps the old membership (openraft #1808).
    SnapshotKeepsMembership,
    /// A log that begins again behind a snapshot takes over what was durable of the
    /// log before it (found by `raft-reconfig` seed 1203).
    ResetKeepsDurable,
    /// Recovery takes damage before the synced mark for a torn tail and goes on.
    WalTruncatesSynced,
    /// Recovery continues after a torn record.
    WalReadsPastTear,
    /// An error of sync is taken for success (fsyncgate).
    WalIgnoresSyncError,
    /// The checksum leaves out the record's position, so a misdirected write passes.
    WalChecksumWithoutPosition,
    /// A retried session command is applied twice.
    SessionAppliesTwice,
    /// A lease expires by the local clock instead of the log's.
    LeaseByLocalClock,
    /// A reused lock hands out an old fencing token.
    FencingTokenReused,
    /// Two thirds, rounded down, are taken for a quorum (REChain: two of four).
    BftQuorumRoundedDown,
    /// A certificate with bad signatures is accepted (malachite 961fa4e0).
    BftCertSignaturesUnchecked,
    /// A vote of the ledger is sent before it is durable (telcoin #964).
    BftVoteNotDurable,
    /// The vote guard is empty after a restart (asonnino/hotstuff #15).
    BftGuardNotRecovered,
    /// Own votes do not count again after a restart (commonware #4275).
    BftOwnVotesNotRecovered,
    /// Two blocks of one view are notarised.
    BftNotarizesTwice,
    /// A view that was given up is finalised (ava #280).
    BftFinalizesAfterNullify,
    /// A block may skip views that were not given up (hotstuff_rs 478fe0d).
    BftSkipsUnchecked,
    /// Votes for different blocks of one view are added up.
    BftTallyIgnoresBlock,
    /// What rests on a bad block is judged again (commonware #4438).
    BftBuildsOnInvalid,
    /// Only the certified block is committed (tempo #1477).
    BftCommitsCertifiedOnly,
    /// What is committed is proven by the highest finalization, however far above it is.
    BftProvesByLastFinal,
    /// Votes to finalise the newest notarised block are not sent again once its view is old.
    BftForgetsUnfinished,
    /// The certificate of an answer to catch up is not written.
    BftSyncForgetsCert,
    /// Certificates are not checked in answers to catch up (ava #188).
    BftSyncUnchecked,
    /// Who is stuck in an old view is not helped (rule S12).
    BftHelpsNobody,
    /// A stuck validator says nothing again (tendermint #3003).
    BftRepeatsNothing,
    /// A certified block is not fetched if its leader proposed another (ava b5b59a0).
    BftKeepsEquivocatedProposal,
    /// A block is finalised before it is durable.
    BftFinalizesUnwritten,
    /// A final block is announced before it is durable (malachite ee57b7ba).
    BftCommitNotDurable,
    /// A proposal is sent before the leader's vote in it is durable.
    BftProposalNotDurable,
    /// A quorum to finalise is lost on who is in a later view (malachite fabbbc13).
    BftIgnoresLateFinalize,
    /// A vote of the present view does not start its deadlines: what few wait for
    /// stalls.
    BftSleepsThroughVotes,
    /// The sum of powers wraps around (malachite 4793a194).
    BftPowerWraps,
    /// A signer outside of the set is looked up (cometbft GHSA-p7mv-53f2-4cwj).
    BftSignerOutOfRange,
    /// Ancestors are committed after their descendants (asonnino/hotstuff b5faa10).
    BftCommitsNewestFirst,
    /// Blocks in an answer to catch up need not follow each other (malachite 8359bd8c).
    BftSyncLinksUnchecked,
    /// What was committed is committed again by a late answer (SmartBFT #570).
    BftSyncCommitsAgain,
    /// Nobody answers who asks for the certificates of a view.
    BftAnswersNoCerts,
    /// The view that somebody claims is believed without proof (cometbft
    /// GHSA-22qq-3xwm-r5x4).
    BftTrustsStatusView,
    /// A validator that lost its disk votes right after the highest view proven.
    BftRejoinsWithoutMargin,
    /// A validator that lost its disk trusts a single answer.
    BftRejoinsOnOneAnswer,
    /// A node of the ledger votes at once although its disk is empty (double-sign
    /// look-back, cometbft #5668).
    LedgerForgetsLostDisk,
    /// Whoever hears an equivocation does not report it.
    BftReportsNoEquivocation,
    /// An answer from before the last loss lets a node vote again.
    LedgerTrustsOldAnswer,
    /// Every answer is a reason to ask again, copies of answers included.
    LedgerAsksOnEveryAnswer,
    /// What a header says of the state is not compared with the state (Sui,
    /// 2026-01-14: nodes diverge).
    LedgerStateUnchecked,
    /// No part is told that its volume was used before.
    NodeForgetsUse,
    /// A cancelled request is forgotten before its part has answered it.
    NodeForgetsCancelled,
    /// A client that is gone is answered.
    NodeAnswersCancelled,
    /// Requests that wait for a part to recover are lost when it has.
    NodeForgetsParked,
    /// Requests that wait for a part are never given up.
    NodeParksForEver,
    /// The node is woken for its first part only.
    NodeDeadlineOfFirst,
    /// A wake is for the first part only.
    NodeWakesFirst,
    /// A shutdown is for the first part only.
    NodeShutsFirst,
    /// The node takes the end of one part for its own.
    NodeStopsWithFirst,
    /// When a part ends, whoever had asked it waits for ever.
    NodeEndAnswersNobody,
    /// All parts work on the first volume.
    NodeOneVolume,
    /// The health of each part is told as that of the first.
    NodeHealthOfFirst,
    /// The clock is for the first part only.
    NodeClocksFirst,
    /// Whoever was proven to be somebody may speak to every part.
    NodeHearsStrangers,
    /// The shell hears whom the first part wants to be connected to, and no more.
    NodeConnectsFirst,
    /// Of the notices of a step the last is lost.
    NodeDropsNotice,
    /// The last notice of a step is given twice.
    NodeDoublesNotice,
    /// The notices of a step come in the wrong order.
    NodeReordersNotices,
    /// Nobody hears that a state was replaced.
    NodeForgetsReplaced,
    /// An installation that a crash interrupted is not finished at the next start (found by
    /// `whole-node` seed 144).
    RaftInstallsHalf,
    /// The first replacement of a state clears the generation in force (found by
    /// `whole-node` seed 188).
    ReplicaClearsStateInForce,
    /// Entries behind a base are dropped when the base is read after them (found by
    /// `raft-snapshot` seed 14).
    ClusterLosesBaseEntries,
    /// A copy of a forwarded request is refused, as if nothing had happened (found by
    /// `raft-snapshot` seed 1035).
    ClusterRefusesCopies,
    /// A log whose disk hangs while a snapshot is installed goes on behind the entries that
    /// were not written (found by `raft-reconfig` seed 11922039535).
    RaftLeavesGapBeforeBase,
    /// A request that waits for a leader gets a new deadline with each change of it.
    ClusterRenewsDeadlines,
    /// A read that was passed on is refused when its leader is lost, in the words of a node
    /// that cannot serve (found by a test with processes).
    ClusterRefusesLostReads,
    /// What a validator could not do while its disk hung, to give up a late view or to
    /// propose, is not done afterwards (found by `platform` seed 6).
    BftForgetsAfterHang,
    /// That a final block rests on what is committed is asserted, although too many Byzantine nodes
    /// can bring about one that does not (found by `bft-fork` seed 384).
    BftTrustsFinality,
    /// A voted block that a damaged log has lost is not written again (found by `platform`
    /// seed 21115).
    BftLosesVotedBlock,
    /// Where the others are is asked of the validators of the own epoch only (found by
    /// `bft-byzantine` seed 627).
    LedgerAsksItsEpochOnly,
    /// The shell marks a volume as used with its first sync, of no record (found by `platform`
    /// seed 18618010).
    ShellMarksUseEarly,
    /// The shell marks a volume as used by a sync behind a write that failed (found by
    /// `platform` seed 550000000171).
    ShellMarksUseAfterFailure,
    /// Whatever rule a refused membership breaks, another node reads the first one (found by
    /// `platform` seed 768365248539).
    WireLosesRule,
    /// Who repairs its log takes a snapshot that is older than its state (found by
    /// `whole-node` seed 286).
    RaftTakesOlderState,
    /// A term older than the base is taken for the last one that was (found by `whole-node`
    /// seed 45195647544).
    RaftTrustsOlderTerm,
    /// Who stops before it has recovered does not say so (found by `raft-snapshot` seed 142).
    ClusterStopsUntold,
    /// Own votes are taken up last, when the blocks that they are for are forgotten (found by
    /// `bft-byzantine` seed 263).
    BftTakesVotesLast,
    /// A node votes however far its store is behind, and its next start drops what the log
    /// holds beyond the bound (found by `bft-byzantine` seed 517).
    LedgerOutrunsItsStore,
    /// No other block of the committed height may be notarised in a later view, although the
    /// committed one was finalised later still (found by `platform` seed 18618139).
    BftBindsViewsBetween,
    /// A node that sees the ledger forked tells its owner alone, so the certificate that it
    /// put together itself may be nowhere else (found by reading after `bft-fork` seed
    /// 487036281019).
    BftKeepsForkToItself,
    /// A node that sees the ledger forked does not write down what shows it, and votes again
    /// after a restart.
    BftForgetsFork,
}

impl Mutant {
    /// All planted bugs.
    pub const ALL: [Self; 101] = [
        Self::VoteNotDurable,
        Self::VoteForgottenInTerm,
        Self::CommitOldTerm,
        Self::CommitBeyondVerified,
        Self::TruncateMatching,
        Self::UpToDateByIndex,
        Self::LeaderCountsUnsynced,
        Self::AckBeforeSync,
        Self::SkipPrevCheck,
        Self::QuorumTooSmall,
        Self::LearnerCounts,
        Self::ReadBeforeTermCommit,
        Self::ReadRoundReused,
        Self::MembershipAtCommit,
        Self::SnapshotKeepsMembership,
        Self::ResetKeepsDurable,
        Self::WalTruncatesSynced,
        Self::WalReadsPastTear,
        Self::WalIgnoresSyncError,
        Self::WalChecksumWithoutPosition,
        Self::SessionAppliesTwice,
        Self::LeaseByLocalClock,
        Self::FencingTokenReused,
        Self::BftQuorumRoundedDown,
        Self::BftCertSignaturesUnchecked,
        Self::BftVoteNotDurable,
        Self::BftGuardNotRecovered,
        Self::BftOwnVotesNotRecovered,
        Self::BftNotarizesTwice,
        Self::BftFinalizesAfterNullify,
        Self::BftSkipsUnchecked,
        Self::BftTallyIgnoresBlock,
        Self::BftBuildsOnInvalid,
        Self::BftCommitsCertifiedOnly,
        Self::BftProvesByLastFinal,
        Self::BftForgetsUnfinished,
        Self::BftSyncForgetsCert,
        Self::BftSyncUnchecked,
        Self::BftHelpsNobody,
        Self::BftRepeatsNothing,
        Self::BftKeepsEquivocatedProposal,
        Self::BftFinalizesUnwritten,
        Self::BftCommitNotDurable,
        Self::BftProposalNotDurable,
        Self::BftIgnoresLateFinalize,
        Self::BftSleepsThroughVotes,
        Self::BftPowerWraps,
        Self::BftSignerOutOfRange,
        Self::BftCommitsNewestFirst,
        Self::BftSyncLinksUnchecked,
        Self::BftSyncCommitsAgain,
        Self::BftAnswersNoCerts,
        Self::BftTrustsStatusView,
        Self::BftRejoinsWithoutMargin,
        Self::BftRejoinsOnOneAnswer,
        Self::LedgerForgetsLostDisk,
        Self::BftReportsNoEquivocation,
        Self::LedgerTrustsOldAnswer,
        Self::LedgerAsksOnEveryAnswer,
        Self::LedgerStateUnchecked,
        Self::NodeForgetsUse,
        Self::NodeForgetsCancelled,
        Self::NodeAnswersCancelled,
        Self::NodeForgetsParked,
        Self::NodeParksForEver,
        Self::NodeDeadlineOfFirst,
        Self::NodeWakesFirst,
        Self::NodeShutsFirst,
        Self::NodeStopsWithFirst,
        Self::NodeEndAnswersNobody,
        Self::NodeOneVolume,
        Self::NodeHealthOfFirst,
        Self::NodeClocksFirst,
        Self::NodeHearsStrangers,
        Self::NodeConnectsFirst,
        Self::NodeDropsNotice,
        Self::NodeDoublesNotice,
        Self::NodeReordersNotices,
        Self::NodeForgetsReplaced,
        Self::RaftInstallsHalf,
        Self::ReplicaClearsStateInForce,
        Self::ClusterLosesBaseEntries,
        Self::ClusterRefusesCopies,
        Self::RaftLeavesGapBeforeBase,
        Self::ClusterRenewsDeadlines,
        Self::ClusterRefusesLostReads,
        Self::BftForgetsAfterHang,
        Self::BftTrustsFinality,
        Self::BftLosesVotedBlock,
        Self::LedgerAsksItsEpochOnly,
        Self::ShellMarksUseEarly,
        Self::ShellMarksUseAfterFailure,
        Self::WireLosesRule,
        Self::RaftTakesOlderState,
        Self::RaftTrustsOlderTerm,
        Self::ClusterStopsUntold,
        Self::BftTakesVotesLast,
        Self::LedgerOutrunsItsStore,
        Self::BftBindsViewsBetween,
        Self::BftKeepsForkToItself,
        Self::BftForgetsFork,
    ];

    /// Whether this mutant is the one selected. Constant `false` in every build
    /// without the feature `mutants`.
    pub fn is(self, planted: Self) -> bool {
        cfg!(feature = "mutants") && self == planted
    }
}
