//! What nodes of the ledger say to each other.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use super::chain::compact::Compact;
use super::state_sync::SyncMessage;
use crate::bft::{self, Height};
use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::crypto::Digest;
use crate::limits::{
    BLOCK_BYTES_MAX, BLOCK_ITEMS_MAX, LEDGER_PUSH_BYTES_MAX, LEDGER_PUSH_TXS_MAX,
    LEDGER_TX_BYTES_MAX,
};

/// One message. Everything in it is unverified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Of the consensus.
    Bft(bft::Message),
    /// Transactions that wait for a block.
    Transactions(Vec<Bytes>),
    /// About fetching a state.
    Sync(SyncMessage),
    /// The answer to who asks for a block that was pruned: the first one that is
    /// kept.
    Base(Height),
    /// A leader's block without its transactions.
    Compact(Box<Compact>),
    /// Asks the leader for transactions of its block.
    AskItems {
        /// The block's hash.
        block: Digest,
        /// Their places in it, ascending.
        items: Vec<u32>,
    },
    /// The answer: those transactions.
    Items {
        /// The block's hash.
        block: Digest,
        /// Their encodings.
        items: Vec<Bytes>,
    },
}

impl From<bft::Message> for Message {
    fn from(message: bft::Message) -> Self {
        Self::Bft(message)
    }
}

impl Encode for Message {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Bft(message) => {
                writer.u8(0);
                writer.put(message);
            }
            Self::Transactions(transactions) => {
                writer.u8(1);
                writer.length(transactions.len());
                transactions.iter().for_each(|bytes| writer.blob(bytes));
            }
            Self::Base(height) => {
                writer.u8(2);
                writer.put(height);
            }
            Self::Sync(message) => {
                writer.u8(3);
                writer.put(message);
            }
            Self::Compact(compact) => {
                writer.u8(4);
                writer.put(compact);
            }
            Self::AskItems { block, items } => {
                writer.u8(5);
                writer.put(block);
                writer.length(items.len());
                items.iter().for_each(|place| writer.u32(*place));
            }
            Self::Items { block, items } => {
                writer.u8(6);
                writer.put(block);
                writer.length(items.len());
                items.iter().for_each(|item| writer.blob(item));
            }
        }
    }
}

impl Decode for Message {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            0 => Ok(Self::Bft(reader.get()?)),
            1 => list(reader, LEDGER_PUSH_TXS_MAX, LEDGER_PUSH_BYTES_MAX).map(Self::Transactions),
            2 => Ok(Self::Base(reader.get()?)),
            3 => Ok(Self::Sync(reader.get()?)),
            4 => Ok(Self::Compact(reader.get()?)),
            5 => {
                let block = reader.get()?;
                let count = reader.length(BLOCK_ITEMS_MAX)?;
                let items = (0..count).map(|_| reader.u32());
                let items = items.collect::<Result<_, _>>()?;
                Ok(Self::AskItems { block, items })
            }
            6 => Ok(Self::Items {
                block: reader.get()?,
                items: list(reader, BLOCK_ITEMS_MAX, BLOCK_BYTES_MAX)?,
            }),
            tag => Err(DecodeError::UnknownTag {
                what: "message of the ledger",
                tag,
            }),
        }
    }
}

/// Transactions, so many and of so many bytes at most.
fn list(
    reader: &mut Reader<'_>,
    count_max: usize,
    bytes_max: usize,
) -> Result<Vec<Bytes>, DecodeError> {
    let count = reader.length(count_max)?;
    let mut room = bytes_max;
    let mut transactions = Vec::new();
    for _ in 0..count {
        let bytes = reader.blob(room.min(LEDGER_TX_BYTES_MAX))?;
        room = room.saturating_sub(bytes.len());
        transactions.push(bytes);
    }
    Ok(transactions)
}
