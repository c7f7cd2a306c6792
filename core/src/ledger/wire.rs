//! Requests and the configuration, as the flight recorder writes them.

use alloc::sync::Arc;

use super::chain::compact::Proposals;
use super::config::Config;
use super::reads::request::Request;
use crate::bft::{Height, Relay, Timing};
use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::crypto::SharedVerifier;
use crate::limits::{LEDGER_PEERS_MAX, LEDGER_TX_BYTES_MAX, PERSISTS_PENDING_MAX};
use crate::mutant::Mutant;

impl Encode for Request {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Submit { transaction, wait } => {
                writer.u8(0);
                writer.blob(transaction);
                writer.bool(*wait);
            }
            Self::Transaction { id } => {
                writer.u8(1);
                writer.put(id);
            }
            Self::Prove { id, from, fresh } => {
                writer.u8(2);
                writer.put(id);
                writer.put(from);
                writer.bool(*fresh);
            }
            Self::Block { height } => {
                writer.u8(3);
                writer.put(height);
            }
            Self::Validators => writer.u8(4),
            Self::Account { id } => {
                writer.u8(5);
                writer.put(id);
            }
            Self::Checkpoint { from, height, old } => {
                writer.u8(6);
                writer.put(from);
                writer.put(height);
                writer.put(old);
            }
            Self::Epochs { from } => {
                writer.u8(7);
                writer.put(from);
            }
            Self::Status => writer.u8(8),
            Self::Snapshot { id } => {
                writer.u8(9);
                writer.put(id);
            }
            Self::Header { height } => {
                writer.u8(10);
                writer.put(height);
            }
            Self::Follow => writer.u8(11),
        }
    }
}

impl Decode for Request {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::Submit {
                // Larger ones are refused by the ledger, which says why.
                transaction: reader.blob(16 * LEDGER_TX_BYTES_MAX)?,
                wait: reader.bool()?,
            },
            1 => Self::Transaction { id: reader.get()? },
            2 => Self::Prove {
                id: reader.get()?,
                from: reader.get()?,
                fresh: reader.bool()?,
            },
            3 => Self::Block {
                height: reader.get::<Option<Height>>()?,
            },
            4 => Self::Validators,
            5 => Self::Account { id: reader.get()? },
            6 => Self::Checkpoint {
                from: reader.get()?,
                height: reader.get()?,
                old: reader.get()?,
            },
            7 => Self::Epochs {
                from: reader.get()?,
            },
            8 => Self::Status,
            9 => Self::Snapshot { id: reader.get()? },
            10 => Self::Header {
                height: reader.get()?,
            },
            11 => Self::Follow,
            tag => {
                return Err(DecodeError::UnknownTag {
                    what: "request to the ledger",
                    tag,
                });
            }
        })
    }
}

impl Encode for Config {
    /// Everything but the keys, which are never written, the verifier, and what only the
    /// simulator chooses.
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.node);
        writer.put(&*self.genesis);
        writer.put(&self.timing.delta);
        writer.put(&self.timing.idle_block);
        writer.bool(self.relay == Relay::Flood);
        writer.bool(self.proposals == Proposals::Whole);
        writer.put(&self.wait_timeout);
        writer.put(&self.push_again);
        writer.u64(self.point_blocks);
        writer.u64(self.fetch_behind);
        writer.u64(self.retain_blocks);
        writer.u64(self.wal_segment_bytes);
        writer.seq(&self.peers);
    }
}

impl Decode for Config {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let node = reader.get()?;
        let genesis: super::Genesis = reader.get()?;
        if genesis.validators().is_err() {
            return Err(DecodeError::Invalid { what: "genesis" });
        }
        Ok(Self {
            node,
            genesis: Arc::new(genesis),
            signer: None,
            voting_key: None,
            verifier: SharedVerifier::default(),
            timing: Timing {
                delta: reader.get()?,
                idle_block: reader.get()?,
            },
            relay: match reader.bool()? {
                true => Relay::Flood,
                false => Relay::Sparse,
            },
            proposals: match reader.bool()? {
                true => Proposals::Whole,
                false => Proposals::Compact,
            },
            wait_timeout: reader.get()?,
            push_again: reader.get()?,
            point_blocks: reader.u64()?,
            fetch_behind: reader.u64()?,
            retain_blocks: reader.u64()?,
            wal_segment_bytes: reader.u64()?,
            peers: reader.seq(LEDGER_PEERS_MAX)?,
            persists_pending_max: PERSISTS_PENDING_MAX,
            mutant: Mutant::None,
        })
    }
}
