//! What nodes of the ledger say to each other.

use alloc::vec::Vec;

use bytes::Bytes;

use super::state_sync::SyncMessage;
use crate::bft::{self, Height};
use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::limits::{LEDGER_PUSH_BYTES_MAX, LEDGER_PUSH_TXS_MAX, LEDGER_TX_BYTES_MAX};

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
        }
    }
}

impl Decode for Message {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            0 => Ok(Self::Bft(reader.get()?)),
            1 => transactions(reader).map(Self::Transactions),
            2 => Ok(Self::Base(reader.get()?)),
            3 => Ok(Self::Sync(reader.get()?)),
            tag => Err(DecodeError::UnknownTag {
                what: "message of the ledger",
                tag,
            }),
        }
    }
}

fn transactions(reader: &mut Reader<'_>) -> Result<Vec<Bytes>, DecodeError> {
    let count = reader.length(LEDGER_PUSH_TXS_MAX)?;
    let mut room = LEDGER_PUSH_BYTES_MAX;
    let mut transactions = Vec::new();
    for _ in 0..count {
        let bytes = reader.blob(room.min(LEDGER_TX_BYTES_MAX))?;
        room = room.saturating_sub(bytes.len());
        transactions.push(bytes);
    }
    Ok(transactions)
}
