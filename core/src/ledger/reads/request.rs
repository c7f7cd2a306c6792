//! What clients ask of the ledger, and what they are answered.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::bft::{Epoch, Header, Height, ValidatorSet, View};
use crate::codec::{Decode, Encode};
use crate::crypto::{ChainId, Digest};
use crate::ledger::chain::record::FinalBlock;
use crate::ledger::execution::ledger_state::{Proposal, SnapshotEntry};
use crate::ledger::pool::Rejection;
use crate::ledger_types::{AccountId, Lane, Member, Name, Outcome, Params, Sequence, TxId};
use crate::limits::LEDGER_TX_BYTES_MAX;
use crate::merkle::TreeSize;
use crate::proof::ledger::{Checkpoint, EpochEnd, Extension, Receipt};
use crate::types::NodeId;

/// Larger ones than the ledger takes are refused by the ledger, which says why.
const SUBMITTED_BYTES_MAX: usize = 16 * LEDGER_TX_BYTES_MAX;

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
#[codec(what = "request to the ledger")]
pub enum Request {
    /// Take a transaction.
    #[codec(tag = 0)]
    Submit {
        /// Its encoding.
        #[codec(max = SUBMITTED_BYTES_MAX)]
        transaction: Bytes,
        /// Whether to answer only when its first operation is final.
        wait: bool,
    },
    /// What became of an operation.
    #[codec(tag = 1)]
    Transaction {
        /// The operation.
        id: TxId,
    },
    /// Proof that an operation is on the ledger.
    #[codec(tag = 2)]
    Prove {
        /// The operation.
        id: TxId,
        /// The epoch whose validators the client knows; the proof leads from there
        /// to the epoch of the block that it rests on.
        from: Epoch,
        /// Whether it is to rest on the last final block, instead of the one after
        /// that of the operation.
        fresh: bool,
    },
    /// A final block.
    #[codec(tag = 3)]
    Block {
        /// Which; the last one if none is given.
        height: Option<Height>,
    },
    /// The header of a final block: those are kept when blocks are pruned.
    #[codec(tag = 10)]
    Header {
        /// Which.
        height: Height,
    },
    /// Who votes.
    #[codec(tag = 4)]
    Validators,
    /// The next sequences of an account.
    #[codec(tag = 5)]
    Account {
        /// The account.
        id: AccountId,
    },
    /// What is registered under the name of a snapshot.
    #[codec(tag = 9)]
    Snapshot {
        /// Its name on the ledger.
        id: Name,
    },
    /// A final block as the head of the tree over all blocks before it.
    #[codec(tag = 6)]
    Checkpoint {
        /// The epoch whose validators the client knows.
        from: Epoch,
        /// Which block; the last one if none is given.
        height: Option<Height>,
        /// The size of an older tree, if a proof is wanted that this one begins
        /// with it.
        old: Option<TreeSize>,
    },
    /// How epochs handed over, from this one on.
    #[codec(tag = 7)]
    Epochs {
        /// The first epoch whose end is wanted.
        from: Epoch,
    },
    /// Where this node stands.
    #[codec(tag = 8)]
    Status,
    /// Final blocks from now on: a stream of [`Response::Block`], ended by
    /// [`Response::Replaced`] if the node fetches a state.
    #[codec(tag = 11)]
    Follow,
}

/// What a client is answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Response {
    /// The transaction waits for a block.
    Accepted {
        /// What names its operations.
        ids: Vec<TxId>,
    },
    /// The transaction was refused; nothing happened.
    Rejected(Rejection),
    /// See [`TxState`].
    Transaction(TxState),
    /// The proof that was asked for.
    Receipt(Box<Receipt>),
    /// A final block.
    Block(Arc<FinalBlock>),
    /// The header of a final block.
    Header(Box<Header>),
    /// The block is final, and this node keeps its header only: it has whole blocks
    /// from this one on.
    Pruned {
        /// The first block that is kept whole.
        base: Height,
    },
    /// The proof is of an epoch that is earlier than the one that the client trusts,
    /// or too much later.
    OutOfReach {
        /// The epoch of the proof.
        to: Epoch,
    },
    /// See [`ValidatorsView`].
    Validators(Box<ValidatorsView>),
    /// See [`AccountView`].
    Account(AccountView),
    /// A registered snapshot.
    Snapshot(Box<SnapshotEntry>),
    /// See [`Checkpoint`].
    Checkpoint(Box<Checkpoint>),
    /// See [`Extension`].
    Extension(Box<Extension>),
    /// Ends of epochs, ascending, as many as fit.
    Epochs(Vec<EpochEnd>),
    /// See [`LedgerStatus`].
    Status(Box<LedgerStatus>),
    /// The node has fetched the state after this block instead of executing all blocks
    /// up to it: who follows asks for those that it missed, and follows again.
    Replaced {
        /// The block.
        at: Height,
    },
    /// There is no such thing on the ledger, or this node does not keep it.
    NotFound,
    /// Waited for too long; the transaction may still become final.
    TimedOut,
    /// The node does not serve the ledger now: it starts, or it has halted.
    Unavailable,
    /// Too much is asked at once: try again later.
    Busy,
}

/// What became of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TxState {
    /// It waits for a block.
    Pending,
    /// It is final.
    Final(OperationLocation),
}

/// Where a final operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct OperationLocation {
    /// The block.
    pub height: Height,
    /// Which transaction of the block.
    pub item: u32,
    /// Which operation of the transaction.
    pub operation: u32,
    /// How it ended.
    pub outcome: Outcome,
}

/// Who votes, and who may soon.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ValidatorsView {
    /// The present epoch.
    pub epoch: Epoch,
    /// The block that it rests on.
    pub root_height: Height,
    /// Who votes in it.
    pub set: Arc<ValidatorSet>,
    /// Who is listed for the next.
    pub members: Vec<Member>,
    /// What validators are voting on.
    pub proposals: Vec<Proposal>,
    /// The parameters in force.
    pub params: Params,
}

/// An account, as of the last final block and of what waits here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AccountView {
    /// The account.
    pub id: AccountId,
    /// Whether it has ever signed anything that became final.
    pub exists: bool,
    /// Each lane in use.
    pub lanes: Vec<LaneView>,
    /// The ledger, which a transaction has to name.
    pub chain: ChainId,
    /// The last final block.
    pub height: Height,
    /// The last block that a transaction signed now may name.
    pub valid_until_max: Height,
}

/// A lane of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LaneView {
    pub lane: Lane,
    /// The sequence to sign next: what waits here is counted.
    pub next: Sequence,
    /// The sequence that follows what is final. If it stays behind [`Self::next`],
    /// what waits has a gap before it on the other nodes, or no room in blocks.
    pub next_final: Sequence,
}

/// Where a node of the ledger stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LedgerStatus {
    pub node: NodeId,
    /// The ledger.
    pub chain: ChainId,
    /// The hash of its genesis.
    pub genesis: Digest,
    /// The present epoch.
    pub epoch: Epoch,
    /// The present view.
    pub view: View,
    /// The last final block.
    pub height: Height,
    pub hash: Digest,
    /// The first block that this node has whole.
    pub base: Height,
    /// Where the validators' whole blocks begin, if that is above what this node
    /// needs next: nobody can help it.
    pub stuck_below: Option<Height>,
    /// The state after it.
    pub state: Digest,
    /// When it was made, in milliseconds since 1970.
    pub time_ms: u64,
    /// Whether the node is in the present set.
    pub is_validator: bool,
    /// Whether it votes: it does not while it asks its way back.
    pub is_voting: bool,
    /// Transactions that wait here.
    pub pooled: usize,
    /// Their bytes.
    pub pooled_bytes: usize,
    /// Transactions that had to make room for those of others.
    pub evicted: u64,
    /// Blocks that became final here since the process began.
    pub final_blocks: u64,
    /// Operations in them.
    pub final_operations: u64,
    /// Clients that wait for a transaction to become final.
    pub waiting: usize,
    /// Transactions of leaders' blocks that this node lacked and asked for.
    pub bodies_asked: u64,
    /// Messages that broke a rule.
    pub rejected: u64,
    /// The nodes that submitted the most transactions with bad signatures, and how many.
    pub bad_signatures: Vec<(NodeId, u64)>,
    /// How many came by other nodes.
    pub bad_signatures_of_others: u64,
}
