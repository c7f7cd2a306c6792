//! The one signed form of what changes the ledger.
//!
//! A transaction holds one operation or a bundle of up to
//! [`LEDGER_TX_OPERATIONS_MAX`], under one signature over the root of the RFC 6962
//! tree of its operations. It names ledger, account, lane, sequence and the last
//! height that may take it, all of them signed, so it cannot be replayed
//! elsewhere, later or twice. (The whitepaper signs the payload alone.)

use alloc::vec::Vec;

use bytes::Bytes;

use super::operation::{KeyProof, Operation};
use super::types::{AccountId, Lane, Sequence, TxId};
use crate::bft::Height;
use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::crypto::{
    ChainId, Digest, Domain, Preimage, PublicKey, Scope, Signature, Signer, Verifier, tagged,
};
use crate::limits::{LEDGER_TX_BYTES_MAX, LEDGER_TX_OPERATIONS_MAX};
use crate::merkle::{Frontier, LeafHash};

/// The layout that this program reads and writes.
const VERSION: u8 = 1;

/// What a signer says.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[codec(what = "transaction", check = Intent::check)]
pub struct Intent {
    /// The ledger.
    pub chain: ChainId,
    /// Who asks for it.
    pub account: AccountId,
    pub lane: Lane,
    /// The place of the first operation; the others follow.
    pub sequence: Sequence,
    /// The last block that may take it.
    pub valid_until: Height,
    /// One or more.
    #[codec(max = LEDGER_TX_OPERATIONS_MAX)]
    pub operations: Vec<Operation>,
}

/// A transaction whose signature nobody has checked.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
#[codec(version = VERSION)]
pub struct Transaction {
    intent: Intent,
    key: PublicKey,
    signature: Signature,
}

/// A transaction whose every signature was verified, with its one encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    transaction: Transaction,
    bytes: Bytes,
    hash: Digest,
    ids: Vec<TxId>,
}

/// Why bytes are no transaction of this ledger, whatever its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Hash)]
pub enum TxError {
    /// More than [`LEDGER_TX_BYTES_MAX`].
    #[error("a transaction has at most {LEDGER_TX_BYTES_MAX} bytes")]
    TooLarge,
    /// Not the canonical encoding of anything.
    #[error("not a transaction: {0}")]
    Malformed(DecodeError),
    /// Signed for another ledger.
    #[error("signed for another ledger")]
    WrongChain,
    /// The signature is not the key's.
    #[error("the signature does not verify under the key that it names")]
    BadSignature,
    /// A new key did not sign that it is wanted.
    #[error("the new key has not signed for this account or node")]
    BadKeyProof,
}

impl Intent {
    /// The exact bytes that are signed: account, lane, sequence, last height, key,
    /// number and root of the operations.
    pub fn preimage(&self, key: &PublicKey) -> Preimage {
        let count = u32::try_from(self.operations.len()).expect("at most 256");
        Preimage::new(Domain::Transaction, Scope::Chain(self.chain))
            .put(&self.account)
            .put(&self.lane)
            .put(&self.sequence)
            .put(&self.valid_until)
            .put(key)
            .u32(count)
            .put(&operations_root(&self.operations))
    }

    /// Signs it.
    pub fn sign(self, signer: &(impl Signer + ?Sized)) -> Transaction {
        assert!(
            (1..=LEDGER_TX_OPERATIONS_MAX).contains(&self.operations.len()),
            "a transaction has 1 to 256 operations"
        );
        let key = *signer.public_key();
        let signature = signer.sign(&self.preimage(&key));
        Transaction {
            intent: self,
            key,
            signature,
        }
    }

    /// What names each operation. Independent of the signature and of how the
    /// operations are bundled.
    pub fn ids(&self) -> impl Iterator<Item = TxId> {
        let places = 0_u64..;
        self.operations
            .iter()
            .zip(places)
            .map(|(operation, place)| {
                let mut writer = Writer::new();
                writer.u128(self.chain.0);
                writer.put(&self.account);
                writer.put(&self.lane);
                writer.u64(self.sequence.0.saturating_add(place));
                writer.put(&self.valid_until);
                writer.put(operation);
                TxId(tagged("decube/tx/v1", &[writer.as_slice()]))
            })
    }

    /// How many operations.
    pub fn count(&self) -> u64 {
        u64::try_from(self.operations.len()).expect("at most 256")
    }

    /// The sequence that follows the last operation.
    pub const fn next_sequence(&self) -> Option<Sequence> {
        self.sequence.plus(self.operations.len() as u64)
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.operations.is_empty() || self.next_sequence().is_none() {
            return Err("operations of a transaction");
        }
        Ok(())
    }
}

fn operations_root(operations: &[Operation]) -> Digest {
    let mut tree = Frontier::default();
    for operation in operations {
        tree.append(LeafHash::of(&operation.to_bytes()));
    }
    tree.root()
}

impl Transaction {
    /// The intent.
    pub const fn intent(&self) -> &Intent {
        &self.intent
    }

    /// The key that signed it.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Decodes and checks everything that needs neither the ledger's state nor
    /// work: its signature is still unchecked.
    ///
    /// # Errors
    /// See [`TxError`].
    pub fn decode(bytes: &Bytes, chain: ChainId) -> Result<Self, TxError> {
        Self::decode_known(bytes, chain, |_| None)
    }

    /// As [`decode`](Self::decode), without the work for a key that `known` has by its
    /// encoding.
    pub(crate) fn decode_known(
        bytes: &Bytes,
        chain: ChainId,
        known: impl FnOnce(&[u8; 33]) -> Option<PublicKey>,
    ) -> Result<Self, TxError> {
        if bytes.len() > LEDGER_TX_BYTES_MAX {
            return Err(TxError::TooLarge);
        }
        let mut reader = Reader::from_bytes(bytes);
        let read = Self::read(&mut reader, known).and_then(|read| reader.finish().map(|()| read));
        let transaction = read.map_err(TxError::Malformed)?;
        if transaction.intent.chain != chain {
            return Err(TxError::WrongChain);
        }
        Ok(transaction)
    }

    /// Decodes it and checks its signatures: everything that does not depend on
    /// the ledger's state.
    ///
    /// # Errors
    /// See [`TxError`]. Nothing of the bytes may be used then.
    pub fn check(
        bytes: &Bytes,
        chain: ChainId,
        verifier: &(impl Verifier + ?Sized),
    ) -> Result<Checked, TxError> {
        Self::decode(bytes, chain)?.verify(bytes.clone(), verifier)
    }

    fn read(
        reader: &mut Reader<'_>,
        known: impl FnOnce(&[u8; 33]) -> Option<PublicKey>,
    ) -> Result<Self, DecodeError> {
        reader.constant(&VERSION, "version of a transaction")?;
        let intent = Intent::decode(reader)?;
        let encoded = reader.array()?;
        let key = match known(&encoded) {
            Some(key) => key,
            None => PublicKey::from_compressed(&encoded)
                .map_err(|_| DecodeError::Invalid { what: "public key" })?,
        };
        assert_eq!(
            key.to_compressed(),
            encoded,
            "a key is known by its encoding"
        );
        Ok(Self {
            intent,
            key,
            signature: reader.get()?,
        })
    }

    /// Checks its signatures. `bytes` is what it was decoded from.
    ///
    /// # Errors
    /// One of them does not verify.
    pub fn verify(
        self,
        bytes: Bytes,
        verifier: &(impl Verifier + ?Sized),
    ) -> Result<Checked, TxError> {
        let transaction = self;
        let intent = &transaction.intent;
        let chain = intent.chain;
        let preimage = intent.preimage(&transaction.key);
        verifier
            .verify(&transaction.key, &preimage, &transaction.signature)
            .map_err(|_| TxError::BadSignature)?;
        let account = intent.account;
        let proofs = intent.operations.iter();
        for (owner, proof) in proofs.filter_map(|operation| operation.key_proof(account)) {
            let preimage = KeyProof::preimage(chain, owner, &proof.key);
            verifier
                .verify(&proof.key, &preimage, &proof.signature)
                .map_err(|_| TxError::BadKeyProof)?;
        }
        Ok(Checked {
            ids: transaction.intent.ids().collect(),
            hash: *LeafHash::of(&bytes).digest(),
            transaction,
            bytes,
        })
    }
}

impl Checked {
    /// The intent.
    pub const fn intent(&self) -> &Intent {
        &self.transaction.intent
    }

    /// The key that signed it.
    pub const fn key(&self) -> &PublicKey {
        &self.transaction.key
    }

    /// What names each operation.
    pub fn ids(&self) -> &[TxId] {
        &self.ids
    }

    /// Its encoding.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The hash of its encoding, signature included: its leaf in the tree of a block.
    pub const fn hash(&self) -> Digest {
        self.hash
    }

    /// Bytes of its encoding.
    pub fn size(&self) -> u64 {
        u64::try_from(self.bytes.len()).expect("at most 64 KiB")
    }
}

// Not derived: the pool knows the keys of accounts, and a point takes long to decode.
impl Decode for Transaction {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::read(reader, |_| None)
    }
}
