//! The configuration, as the flight recorder writes it.

use alloc::sync::Arc;

use super::config::Config;
use crate::codec::{Decode, DecodeError, Encode, Field, Reader, Writer};
use crate::crypto::SharedVerifier;
use crate::limits::{LEDGER_PEERS_MAX, PERSISTS_PENDING_MAX};
use crate::mutant::Mutant;

// Not derived: the keys are never written, nor are the verifier and what only the simulator
// chooses.
impl Encode for Config {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.node);
        writer.put(&self.genesis);
        writer.put(&self.timing);
        writer.put(&self.relay);
        writer.put(&self.proposals);
        writer.put(&self.wait_timeout);
        writer.put(&self.push_again);
        writer.u64(self.checkpoint_blocks);
        writer.u64(self.fetch_behind);
        writer.u64(self.retain_blocks);
        writer.u64(self.wal_segment_bytes);
        writer.put(&self.peers);
    }

    fn size_hint(&self) -> usize {
        let parts = [
            self.node.size_hint(),
            self.genesis.size_hint(),
            self.timing.size_hint(),
            self.relay.size_hint(),
            self.proposals.size_hint(),
            self.wait_timeout.size_hint(),
            self.push_again.size_hint(),
            4 * size_of::<u64>(),
            self.peers.size_hint(),
        ];
        parts.into_iter().fold(0, usize::saturating_add)
    }
}

impl Decode for Config {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let node = reader.get()?;
        let genesis: super::Genesis = reader.get()?;
        if genesis.validators().is_err() {
            return Err(DecodeError::Invalid { what: "genesis" });
        }
        let peers = &Field {
            what: "config of the ledger",
            name: "peers",
        };
        Ok(Self {
            node,
            genesis: Arc::new(genesis),
            signer: None,
            voting_key: None,
            verifier: SharedVerifier::default(),
            timing: reader.get()?,
            relay: reader.get()?,
            proposals: reader.get()?,
            wait_timeout: reader.get()?,
            push_again: reader.get()?,
            checkpoint_blocks: reader.u64()?,
            fetch_behind: reader.u64()?,
            retain_blocks: reader.u64()?,
            wal_segment_bytes: reader.u64()?,
            peers: reader.seq(LEDGER_PEERS_MAX, peers)?,
            persists_pending_max: PERSISTS_PENDING_MAX,
            mutant: Mutant::None,
        })
    }
}
