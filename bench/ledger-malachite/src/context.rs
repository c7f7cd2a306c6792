//! The smallest types that the core of malachite runs on: numbers for addresses,
//! heights and values, and signatures as bytes. What signs is in `crypto.rs`.

use std::fmt;
use std::sync::Arc;

use arc_malachitebft_core_types as types;
use ledger_common::leaders;
use types::{NilOrVal, Round, SignedExtension, Timeout, VoteType, VotingPower};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bench;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(pub usize);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Height(pub u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value(pub u64);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    height: Height,
    round: Round,
    value: Value,
    pol_round: Round,
    address: Address,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote {
    kind: VoteType,
    height: Height,
    round: Round,
    value: NilOrVal<u64>,
    address: Address,
    extension: Option<SignedExtension<Bench>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validator {
    address: Address,
    key: [u8; 32],
}

/// Clones share the lists, as ours do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set(Arc<Vec<Validator>>, Arc<Vec<usize>>);

impl Set {
    pub fn new(count: usize) -> Self {
        let validator = |number| Validator {
            address: Address(number),
            key: [0; 32],
        };
        let validators = (0..count).map(validator).collect();
        Self(Arc::new(validators), Arc::new(leaders(count)))
    }
}

/// The wait for a proposal is what ours is (twice the reckoned delay), the waits after
/// votes one reckoned delay; they grow in proportion as the defaults of malachite do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts(types::LinearTimeouts);

impl Default for Timeouts {
    fn default() -> Self {
        let delay = std::time::Duration::from_millis(250);
        Self(types::LinearTimeouts {
            propose: delay * 2,
            prevote: delay,
            precommit: delay,
            propose_delta: delay / 3,
            prevote_delta: delay / 2,
            precommit_delta: delay / 2,
            // As in ours; its default is the sum of the three, four delays.
            rebroadcast: delay * 3,
            ..types::LinearTimeouts::default()
        })
    }
}

impl types::Timeouts<Bench> for Timeouts {
    fn duration_for(&self, timeout: Timeout) -> std::time::Duration {
        self.0.duration_for(timeout)
    }
}

/// Bytes, of whatever scheme. Keys are found by address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheme;

impl types::SigningScheme for Scheme {
    type DecodingError = &'static str;
    type Signature = [u8; 64];
    type PublicKey = [u8; 32];
    type PrivateKey = ();

    fn decode_signature(bytes: &[u8]) -> Result<[u8; 64], &'static str> {
        bytes.try_into().map_err(|_| "length")
    }

    fn encode_signature(signature: &[u8; 64]) -> Vec<u8> {
        signature.to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<[u8; 32], &'static str> {
        bytes.try_into().map_err(|_| "length")
    }

    fn encode_public_key(key: &[u8; 32]) -> Vec<u8> {
        key.to_vec()
    }
}

impl types::Context for Bench {
    type Address = Address;
    type Height = Height;
    type ProposalPart = Part;
    type Proposal = Proposal;
    type Validator = Validator;
    type ValidatorSet = Set;
    type Timeouts = Timeouts;
    type Value = Value;
    type Vote = Vote;
    type Extension = bytes::Bytes;
    type SigningScheme = Scheme;

    /// Validators lead in turn, in the order of ours.
    fn select_proposer<'a>(&self, set: &'a Set, height: Height, round: Round) -> &'a Validator {
        let turn = height.0 - 1 + u64::from(round.as_u32().expect("a round"));
        let place = usize::try_from(turn).expect("64 bits") % set.0.len();
        &set.0[set.1[place]]
    }

    fn new_proposal(
        &self,
        height: Height,
        round: Round,
        value: Value,
        pol_round: Round,
        address: Address,
    ) -> Proposal {
        Proposal {
            height,
            round,
            value,
            pol_round,
            address,
        }
    }

    fn new_prevote(
        &self,
        height: Height,
        round: Round,
        value: NilOrVal<u64>,
        address: Address,
    ) -> Vote {
        Vote::new(VoteType::Prevote, height, round, value, address)
    }

    fn new_precommit(
        &self,
        height: Height,
        round: Round,
        value: NilOrVal<u64>,
        address: Address,
    ) -> Vote {
        Vote::new(VoteType::Precommit, height, round, value, address)
    }
}

impl Vote {
    pub fn new(
        kind: VoteType,
        height: Height,
        round: Round,
        value: NilOrVal<u64>,
        address: Address,
    ) -> Self {
        Self {
            kind,
            height,
            round,
            value,
            address,
            extension: None,
        }
    }
}

impl types::Vote<Bench> for Vote {
    fn height(&self) -> Height {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &NilOrVal<u64> {
        &self.value
    }

    fn take_value(self) -> NilOrVal<u64> {
        self.value
    }

    fn vote_type(&self) -> VoteType {
        self.kind
    }

    fn validator_address(&self) -> &Address {
        &self.address
    }

    fn extension(&self) -> Option<&SignedExtension<Bench>> {
        self.extension.as_ref()
    }

    fn take_extension(&mut self) -> Option<SignedExtension<Bench>> {
        self.extension.take()
    }

    fn extend(mut self, extension: SignedExtension<Bench>) -> Self {
        self.extension = Some(extension);
        self
    }
}

impl types::Proposal<Bench> for Proposal {
    fn height(&self) -> Height {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &Value {
        &self.value
    }

    fn take_value(self) -> Value {
        self.value
    }

    fn pol_round(&self) -> Round {
        self.pol_round
    }

    fn validator_address(&self) -> &Address {
        &self.address
    }
}

impl types::ProposalPart<Bench> for Part {
    fn is_first(&self) -> bool {
        true
    }

    fn is_last(&self) -> bool {
        true
    }
}

impl types::Validator<Bench> for Validator {
    fn address(&self) -> &Address {
        &self.address
    }

    fn public_key(&self) -> &[u8; 32] {
        &self.key
    }

    fn voting_power(&self) -> VotingPower {
        1
    }
}

impl types::ValidatorSet<Bench> for Set {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn total_voting_power(&self) -> VotingPower {
        u64::try_from(self.0.len()).expect("64 bits")
    }

    fn get_by_address(&self, address: &Address) -> Option<&Validator> {
        self.0.get(address.0)
    }

    fn get_by_index(&self, index: usize) -> Option<&Validator> {
        self.0.get(index)
    }
}

impl types::Value for Value {
    type Id = u64;

    fn id(&self) -> u64 {
        self.0
    }
}

impl types::Address for Address {}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl types::Height for Height {
    const ZERO: Self = Self(0);
    const INITIAL: Self = Self(1);

    fn increment_by(&self, count: u64) -> Self {
        Self(self.0 + count)
    }

    fn decrement_by(&self, count: u64) -> Option<Self> {
        self.0.checked_sub(count).map(Self)
    }

    fn as_u64(&self) -> u64 {
        self.0
    }
}
