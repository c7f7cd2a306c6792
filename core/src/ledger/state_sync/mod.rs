//! Fetching the state instead of executing all blocks.
//!
//! # When
//! A node that learns of an epoch after the next one, or that gets no blocks, asks how
//! the epochs between handed over and verifies that, from the epoch that it trusts on.
//! If it is more than [`Config::fetch_behind`](super::Config::fetch_behind) blocks
//! behind a state that is offered, or if nobody gives it the next block, it fetches
//! that state.
//! Otherwise it goes on block by block, which leaves it with a complete history.
//!
//! # What is trusted
//! The genesis alone (or the present state, which follows from it). Ends of epochs
//! are verified one by one; the header behind the offered block is final by the
//! certificate of its epoch and commits to state, results and history. Every chunk
//! is verified as it comes: its last entry leads to that root, and everything to the
//! left of its way is what was fetched before. So a false part is refused at once, whoever
//! told it is not asked again, and the chunks may come from different peers.
//!
//! # Crashes
//! Verified chunks are written beside the old state, which stays in force. When all
//! are there and the root of the whole is the proven one, one atomic batch replaces
//! the one by the other. A start takes up the chunks that the store has; if the next
//! chunk does not fit them, the disk is blamed and not the peer, and they are fetched
//! again.
//!
//! # Bounds
//! One question is open at a time. An answer is bounded before memory is reserved;
//! what is fetched takes the memory of the state itself, which every node keeps in
//! memory anyway. Nobody is asked for ever: after
//! [`LEDGER_FETCH_FAILURES_MAX`](crate::limits::LEDGER_FETCH_FAILURES_MAX) questions
//! without an answer the node goes on as before, and tries again later.
//!
//! # Votes
//! Only a state of a later epoch is taken. The validator of the earlier epoch ends
//! with it, and that of the later one begins with what the log holds of that epoch:
//! no epoch ever has two machines that sign.
//!
//! | file | holds |
//! |---|---|
//! | `message.rs` | messages |
//! | `serve.rs` | the states that others may fetch here |
//! | `fetch.rs` | asking, and verifying what comes |
//! | `staging.rs` | what is kept of it across a crash |
//! | `install.rs` | the new state in force |

mod fetch;
mod install;
mod message;
mod serve;
mod staging;

pub use message::{Chunk, StateCheckpoint, SyncMessage};

pub(super) use serve::answer_ends;

use alloc::boxed::Box;

use crate::types::Time;

use crate::limits::LEDGER_FETCH_STALLED;
use fetch::Fetch;
use serve::StateCheckpoints;
use staging::Staged;

/// What a node remembers of states that are fetched, by it and from it.
#[derive(Debug, Default, Hash)]
pub(super) struct StateSync {
    pub(super) checkpoints: StateCheckpoints,
    fetch: Option<Box<Fetch>>,
    /// What an earlier life has fetched.
    staged: Option<Box<Staged>>,
    /// Whether it is known what an earlier life has fetched.
    is_ready: bool,
    /// Questions for blocks of a later epoch that had no answer yet.
    unanswered: u32,
    /// No state is fetched before this time.
    not_before: Time,
    /// States that were fetched and put into force. For checkers and metrics.
    installed: u64,
}

impl StateSync {
    /// When to look after a question.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.fetch.as_ref().map(|fetch| fetch.due)
    }

    /// Whether a state is being fetched: then blocks are not.
    pub(super) fn is_fetching(&self) -> bool {
        self.fetch.as_ref().is_some_and(|fetch| fetch.is_loading())
    }

    /// How many are not asked any more for the state that is being fetched.
    pub(super) fn shunned(&self) -> usize {
        self.fetch.as_ref().map_or(0, |fetch| fetch.shunned())
    }

    /// The next block has come.
    pub(super) const fn on_block(&mut self) {
        self.unanswered = 0;
    }

    /// Nobody has the block that is needed next.
    pub(super) const fn on_nobody_has(&mut self) {
        self.unanswered = LEDGER_FETCH_STALLED;
    }

    /// Blocks were asked for.
    pub(super) const fn on_asked(&mut self) {
        self.unanswered = self.unanswered.saturating_add(1);
    }
}
