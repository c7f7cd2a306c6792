//! Why a transaction was not taken, and when to try again.

use crate::bft::Height;
use crate::ledger::execution::executor::Invalid;
use crate::ledger::execution::ledger_state::LedgerState;
use crate::ledger_types::{Intent, Param, TxError};
use crate::types::Span;

/// Why a transaction was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Hash)]
pub enum Rejection {
    /// It is none, whatever the state of the ledger.
    #[error(transparent)]
    Tx(#[from] TxError),
    /// It has no place in the next block, nor in a later one.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// It names a last block that is too far away.
    #[error("valid_until is too far away: at most block {0}")]
    ValidTooLong(Height),
    /// Too many others of its lane have to come first.
    #[error("sequence {sequence} is too far ahead: the next of this lane is {next}")]
    TooFarAhead {
        sequence: u64,
        /// The next one.
        next: u64,
    },
    /// Another transaction waits at the same place of the lane.
    #[error("another transaction already waits at sequence {0} of this lane")]
    Taken(u64),
    /// Others of its lane are missing, and the pool has no room for what has to wait
    /// for others.
    #[error(
        "sequence {sequence} has to wait for {next}, and the pool is crowded: hand that in first"
    )]
    Crowded {
        sequence: u64,
        /// The next one.
        next: u64,
    },
    /// So much waits already.
    #[error("too many transactions of {0} wait for a block: try again later")]
    Full(Share),
    /// They come too fast.
    #[error("transactions of {by} come too fast: try again in {wait}")]
    TooFast {
        /// Whose.
        by: Share,
        /// How long to wait.
        wait: Span,
    },
}

/// Whose share is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Share {
    /// Everybody's: the pool is full.
    All,
    /// The account's.
    Account,
    /// That of the cluster by which the transaction came.
    Cluster,
    /// That of the node by which it came: it has submitted bad signatures.
    Peer,
}

/// When a full pool is worth another try: a few blocks later.
const FULL_FOR: Span = Span::from_secs(1);

impl core::fmt::Display for Share {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::All => "all accounts",
            Self::Account => "this account",
            Self::Cluster => "this cluster",
            Self::Peer => "this node",
        })
    }
}

impl Rejection {
    /// After what time the same transaction may be taken, if nothing but time is
    /// needed.
    pub const fn retry_after(self) -> Option<Span> {
        match self {
            Self::TooFast { wait, .. } => Some(wait),
            Self::Full(_) | Self::Crowded { .. } => Some(FULL_FOR),
            Self::Invalid(Invalid::NewAccounts | Invalid::Full) => Some(FULL_FOR),
            _ => None,
        }
    }

    /// A stable code for the HTTP API.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Tx(TxError::TooLarge) => "tx_too_large",
            Self::Tx(TxError::Malformed(_)) => "tx_malformed",
            Self::Tx(TxError::WrongChain) => "tx_wrong_chain",
            Self::Tx(TxError::BadSignature) => "tx_bad_signature",
            Self::Tx(TxError::BadKeyProof) => "tx_bad_key_proof",
            Self::Invalid(Invalid::Expired(_)) => "tx_expired",
            Self::Invalid(Invalid::WrongKey) => "tx_wrong_key",
            Self::Invalid(Invalid::Used(..)) => "tx_sequence_used",
            Self::Invalid(Invalid::Gap(..)) => "tx_sequence_gap",
            Self::Invalid(Invalid::Lanes) => "tx_too_many_lanes",
            Self::Invalid(Invalid::Quota) => "tx_quota_used",
            Self::Invalid(Invalid::NewAccounts | Invalid::Full) => "pool_full",
            Self::ValidTooLong(_) => "tx_valid_too_long",
            Self::TooFarAhead { .. } => "tx_too_far_ahead",
            Self::Taken(_) => "tx_sequence_taken",
            Self::Crowded { .. } => "pool_crowded",
            Self::Full(Share::Account) => "pool_account_share",
            Self::Full(Share::Cluster) => "pool_cluster_share",
            Self::Full(Share::All | Share::Peer) => "pool_full",
            Self::TooFast {
                by: Share::Account, ..
            } => "rate_account",
            Self::TooFast {
                by: Share::Peer, ..
            } => "rate_peer",
            Self::TooFast {
                by: Share::Cluster | Share::All,
                ..
            } => "rate_cluster",
        }
    }
}

/// Whether the block after this height may take a transaction by the last one that it names.
pub(super) fn check_validity(
    intent: &Intent,
    state: &LedgerState,
    height: Height,
) -> Result<(), Rejection> {
    if intent.valid_until <= height {
        return Err(Invalid::Expired(intent.valid_until).into());
    }
    let most = height
        .0
        .saturating_add(state.params().get(Param::ValidBlocks));
    if intent.valid_until.0 > most {
        return Err(Rejection::ValidTooLong(Height(most)));
    }
    Ok(())
}
