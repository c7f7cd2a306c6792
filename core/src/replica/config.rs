//! What a replicated state is built from.

use crate::limits;
use crate::mutant::Mutant;
use crate::types::{Modules, Span};

/// The limits of what is common to all modules of a replicated state.
///
/// The limits decide how commands end, so **every node of a cluster must have the
/// same**: a node with others would diverge. Each is at most the constant
/// of [`crate::limits`] that it is initialised with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Bytes of all pairs of the image, bookkeeping included; growth is refused
    /// above it, deletion never.
    pub state_bytes_max: u64,
    /// Client sessions at once.
    pub sessions_max: usize,
    /// Answers kept per session, and so how far a session may run ahead of what
    /// its client has confirmed.
    pub session_answers_max: usize,
    /// The longest life of an unused session.
    pub session_ttl_max: Span,
    /// Bytes after which a chunk of a snapshot ends.
    pub snapshot_chunk_bytes: usize,
    /// Modules that the node takes itself to have besides those of its table: none but in
    /// tests of clusters of several versions.
    pub claimed_modules: Modules,
    /// The planted bug, if any.
    pub mutant: Mutant,
}

impl Config {
    /// The defaults: the constants of [`crate::limits`].
    pub const fn new() -> Self {
        Self {
            state_bytes_max: limits::KV_STATE_BYTES_MAX,
            sessions_max: limits::KV_SESSIONS_MAX,
            session_answers_max: limits::KV_SESSION_ANSWERS_MAX,
            session_ttl_max: Span::from_secs(limits::KV_SESSION_TTL_SECS_MAX),
            snapshot_chunk_bytes: limits::SNAPSHOT_CHUNK_BYTES,
            claimed_modules: Modules::NONE,
            mutant: Mutant::None,
        }
    }

    /// Panics on a configuration that the codecs or the peers could not serve:
    /// that is a programmer's mistake and must stop the node at its start.
    pub fn check(&self) {
        let top = Self::new();
        assert!(self.state_bytes_max <= top.state_bytes_max);
        assert!(self.sessions_max <= top.sessions_max);
        assert!(
            self.session_answers_max > 0 && self.session_answers_max <= top.session_answers_max
        );
        assert!(self.session_ttl_max <= top.session_ttl_max);
        assert!(self.snapshot_chunk_bytes <= top.snapshot_chunk_bytes);
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}
