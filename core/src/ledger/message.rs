//! What nodes of the ledger say to each other.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use super::chain::compact::Compact;
use super::state_sync::SyncMessage;
use crate::bft::{self, Height};
use crate::codec::{Decode, Encode};
use crate::crypto::Digest;
use crate::limits::{
    BLOCK_BYTES_MAX, BLOCK_ITEMS_MAX, LEDGER_PUSH_BYTES_MAX, LEDGER_PUSH_TXS_MAX,
    LEDGER_TX_BYTES_MAX,
};

/// One message. Everything in it is unverified.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
#[codec(what = "message of the ledger", check = Message::check)]
pub enum Message {
    /// Of the consensus.
    #[codec(tag = 0)]
    Bft(bft::Message),
    /// Transactions that wait for a block.
    #[codec(tag = 1)]
    Transactions(#[codec(max = [LEDGER_PUSH_TXS_MAX, LEDGER_TX_BYTES_MAX])] Vec<Bytes>),
    /// About fetching a state.
    #[codec(tag = 3)]
    Sync(SyncMessage),
    /// The answer to who asks for a block that was pruned: the first one that is
    /// kept.
    #[codec(tag = 2)]
    EarliestRetained(Height),
    /// A leader's block without its transactions.
    #[codec(tag = 4)]
    Compact(Box<Compact>),
    /// Asks the leader for transactions of its block.
    #[codec(tag = 5)]
    AskItems {
        /// The block's hash.
        block: Digest,
        /// Their places in it, ascending.
        #[codec(max = BLOCK_ITEMS_MAX)]
        items: Vec<u32>,
    },
    /// The answer: those transactions.
    #[codec(tag = 6)]
    Items {
        /// The block's hash.
        block: Digest,
        /// Their encodings.
        #[codec(max = [BLOCK_ITEMS_MAX, LEDGER_TX_BYTES_MAX])]
        items: Vec<Bytes>,
    },
}

impl Message {
    /// Lists of transactions are bounded as a whole as well.
    fn check(&self) -> Result<(), &'static str> {
        let (list, bytes_max) = match self {
            Self::Transactions(list) => (list, LEDGER_PUSH_BYTES_MAX),
            Self::Items { items, .. } => (items, BLOCK_BYTES_MAX),
            _ => return Ok(()),
        };
        let sizes = list.iter().map(Bytes::len);
        if sizes.fold(0, usize::saturating_add) <= bytes_max {
            Ok(())
        } else {
            Err("bytes of transactions")
        }
    }
}

impl From<bft::Message> for Message {
    fn from(message: bft::Message) -> Self {
        Self::Bft(message)
    }
}
