//! Signing for an account.

use std::fmt;

use decube_core::bft::Height;
use decube_core::crypto::{ChainId, SharedSigner};
use decube_core::ledger::{AccountId, Intent, Lane, Operation, Sequence, Transaction};

/// An account with its key.
#[derive(Clone)]
pub struct Account {
    signer: SharedSigner,
}

/// Where an account stands, as a node tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The ledger.
    pub chain: ChainId,
    /// The next sequence of the lane.
    pub next: Sequence,
    /// The last final block.
    pub height: Height,
    /// The last block that a transaction may name.
    pub valid_until_max: Height,
}

/// Blocks that a transaction is valid for, unless somebody asks for less. Long
/// enough for any outage that a client sits out, short enough to know the end.
const VALID_BLOCKS: u64 = 1_000;

impl Account {
    /// The account that begins with this key.
    pub fn new(signer: SharedSigner) -> Self {
        Self { signer }
    }

    /// Its id. After a change of its key it has to be given instead.
    pub fn id(&self) -> AccountId {
        AccountId::of(self.signer.public_key())
    }

    /// Signs operations that follow what the account has done.
    pub fn sign(
        &self,
        id: AccountId,
        lane: Lane,
        standing: &Standing,
        operations: Vec<Operation>,
    ) -> Transaction {
        let last = standing.height.0.saturating_add(VALID_BLOCKS);
        let intent = Intent {
            chain: standing.chain,
            account: id,
            lane,
            sequence: standing.next,
            valid_until: Height(last.min(standing.valid_until_max.0)),
            operations,
        };
        intent.sign(&*self.signer)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({})", self.id())
    }
}
