//! Who votes: the trusted set of an epoch, its quorum and its order of leaders.

use alloc::vec::Vec;

use super::types::{Epoch, Power, ValidatorIndex, View};
use crate::codec::{Decode, DecodeError, Encode, Field, Reader, Writer};
use crate::crypto::{ChainId, Digest, PublicKey, tagged};
use crate::limits::VALIDATORS_MAX;
use crate::mutant::Mutant;
use crate::types::NodeId;

/// One validator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Validator {
    /// The node, which is also its address.
    pub node: NodeId,
    /// The key that it votes with.
    pub key: PublicKey,
    /// Its weight, above zero.
    pub power: Power,
}

/// The validators of an epoch, in ascending order of their node ids, so that
/// everybody numbers them alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ValidatorSet {
    validators: Vec<Validator>,
    pub(super) total: u128,
    /// The largest power.
    strongest: u128,
}

/// Why validators make no set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// Nobody votes.
    #[error("a ledger needs at least one validator")]
    Empty,
    /// More than [`VALIDATORS_MAX`].
    #[error("at most {VALIDATORS_MAX} validators")]
    TooMany,
    /// Two entries for one node, or not in ascending order on the wire.
    #[error("each node is a validator once, in ascending order of ids")]
    Order,
    /// Two nodes with one key: one signature would count twice.
    #[error("two validators share a key")]
    SharedKey,
    /// A validator without weight.
    #[error("a validator's power is above zero")]
    NoPower,
}

/// A set of validators of one epoch: the bitmap of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct Signers(pub u128);

/// The order in which the validators of an epoch lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaders(Vec<ValidatorIndex>);

impl ValidatorSet {
    /// A set of these validators, in any order.
    pub fn new(mut validators: Vec<Validator>) -> Result<Self, SetError> {
        validators.sort_by_key(|validator| validator.node);
        Self::in_order(validators)
    }

    fn in_order(validators: Vec<Validator>) -> Result<Self, SetError> {
        if validators.is_empty() {
            return Err(SetError::Empty);
        }
        if validators.len() > VALIDATORS_MAX {
            return Err(SetError::TooMany);
        }
        if !validators.is_sorted_by(|earlier, later| earlier.node < later.node) {
            return Err(SetError::Order);
        }
        let mut keys: Vec<PublicKey> = validators.iter().map(|one| one.key).collect();
        keys.sort_unstable();
        if !keys.is_sorted_by(|earlier, later| earlier < later) {
            return Err(SetError::SharedKey);
        }
        if validators.iter().any(|one| one.power == Power(0)) {
            return Err(SetError::NoPower);
        }
        let powers = || validators.iter().map(|one| u128::from(one.power.0));
        let (total, strongest) = (powers().sum(), powers().max().unwrap_or(0));
        Ok(Self {
            validators,
            total,
            strongest,
        })
    }

    /// How many validate.
    pub fn len(&self) -> usize {
        self.validators.len()
    }

    /// Never: kept beside [`len`](Self::len) by custom.
    pub fn is_empty(&self) -> bool {
        self.validators.is_empty()
    }

    /// The validator at a place, or `None` for a place that the set does not have.
    pub fn get(&self, index: ValidatorIndex) -> Option<&Validator> {
        self.validators.get(index.position())
    }

    /// The place of a node.
    pub fn index_of(&self, node: NodeId) -> Option<ValidatorIndex> {
        let position = self
            .validators
            .binary_search_by_key(&node, |validator| validator.node)
            .ok()?;
        Some(index(position))
    }

    /// All places with their validators, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (ValidatorIndex, &Validator)> {
        let indexed = |(position, validator)| (index(position), validator);
        self.validators.iter().enumerate().map(indexed)
    }

    /// The power of all.
    pub const fn total(&self) -> u128 {
        self.total
    }

    /// The power of some. Places outside of the set weigh nothing.
    pub fn power_of(&self, signers: Signers) -> u128 {
        signers.iter().map(|signer| self.weight_of(signer)).sum()
    }

    /// The power of one place. A place outside of the set weighs nothing.
    pub fn weight_of(&self, signer: ValidatorIndex) -> u128 {
        self.get(signer).map_or(0, |one| u128::from(one.power.0))
    }

    /// Whether these are a quorum: more than two thirds of all power. Two quorums
    /// share more than a third, so at least one honest validator.
    pub fn is_quorum(&self, signers: Signers) -> bool {
        let power = self.power_of(signers);
        assert!(
            power <= self.total,
            "B6: nobody together weighs more than all"
        );
        let thrice = power.checked_mul(3).expect("128 powers of 64 bits");
        let twice = self.total.checked_mul(2).expect("128 powers of 64 bits");
        thrice > twice
    }

    /// [`is_quorum`](Self::is_quorum), or what a planted bug takes for it.
    pub(super) fn is_quorum_under(&self, signers: Signers, mutant: Mutant) -> bool {
        if mutant.is(Mutant::BftQuorumRoundedDown) {
            return self.power_of(signers) >= self.total * 2 / 3;
        }
        if mutant.is(Mutant::BftPowerWraps) {
            let wraps = |sum: u128| sum & u128::from(u64::MAX);
            return wraps(self.power_of(signers) * 3) > wraps(self.total * 2);
        }
        self.is_quorum(signers)
    }

    /// Whether so many validators can be a quorum at all. It costs nothing, and with
    /// equal powers it is as sharp as [`is_quorum`](Self::is_quorum).
    pub fn can_be_quorum(&self, count: usize) -> bool {
        let count = u128::try_from(count.min(VALIDATORS_MAX)).expect("at most 128");
        let most = self.strongest.saturating_mul(count);
        most.saturating_mul(3) > self.total.saturating_mul(2)
    }

    /// How many equal validators may be Byzantine: the largest `f` with `n >= 3f + 1`.
    pub fn faulty_max(&self) -> usize {
        self.validators.len().saturating_sub(1) / 3
    }

    /// What a header commits to.
    pub fn hash(&self) -> Digest {
        let mut writer = Writer::new();
        self.encode(&mut writer);
        tagged("decube/validators/v1", &[writer.as_slice()])
    }
}

impl Signers {
    /// Nobody.
    pub const NONE: Self = Self(0);

    /// Whether this one is among them.
    pub fn contains(self, signer: ValidatorIndex) -> bool {
        self.0 & bit(signer) != 0
    }

    /// Adds one; whether it was new.
    pub fn insert(&mut self, signer: ValidatorIndex) -> bool {
        let is_new = !self.contains(signer);
        self.0 |= bit(signer);
        is_new
    }

    /// Those in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// How many.
    pub const fn count(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Each of them, ascending.
    pub fn iter(self) -> impl Iterator<Item = ValidatorIndex> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let place = rest.trailing_zeros();
            rest &= rest.checked_sub(1)?;
            Some(ValidatorIndex(u16::try_from(place).expect("below 128")))
        })
    }

    /// How many of them stand before this one.
    pub fn count_before(self, signer: ValidatorIndex) -> usize {
        let before = bit(signer).checked_sub(1).unwrap_or(u128::MAX);
        self.and(Self(before)).count()
    }

    /// Whether nobody stands at a place that a set of this size does not have.
    pub fn fits(self, set: &ValidatorSet) -> bool {
        self.iter().all(|signer| set.get(signer).is_some())
    }
}

impl FromIterator<ValidatorIndex> for Signers {
    fn from_iter<T: IntoIterator<Item = ValidatorIndex>>(signers: T) -> Self {
        let mut all = Self::NONE;
        for signer in signers {
            all.insert(signer);
        }
        all
    }
}

impl Leaders {
    /// The order of an epoch: a Fisher-Yates shuffle drawn from the hash of the
    /// block that the epoch rests on. All arithmetic is in `u64`, so that every
    /// platform draws the same order.
    pub fn new(chain: ChainId, epoch: Epoch, root: &Digest, set: &ValidatorSet) -> Self {
        let mut order: Vec<ValidatorIndex> = set.iter().map(|(index, _)| index).collect();
        for last in (1..order.len()).rev() {
            let parts: [&[u8]; 4] = [
                &chain.0.to_be_bytes(),
                &epoch.0.to_be_bytes(),
                &root.0,
                &wide(last).to_be_bytes(),
            ];
            let drawn = tagged("decube/leaders/v1", &parts).first_u128();
            let choices = wide(last).checked_add(1).expect("at most 128");
            let chosen = drawn % u128::from(choices);
            order.swap(last, usize::try_from(chosen).expect("below 128"));
        }
        Self(order)
    }

    /// Who leads a view.
    pub fn of(&self, view: View) -> ValidatorIndex {
        let position = view.0.saturating_sub(1) % wide(self.0.len());
        self.0[usize::try_from(position).expect("below 128")]
    }
}

// Not derived: the sums of the powers are worked out.
impl Encode for ValidatorSet {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.validators);
    }

    fn size_hint(&self) -> usize {
        self.validators.size_hint()
    }
}

impl Decode for ValidatorSet {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let field = &Field {
            what: "set of validators",
            name: "validators",
        };
        let validators = reader.seq(VALIDATORS_MAX, field)?;
        Self::in_order(validators).map_err(|_| DecodeError::Invalid { what: field.what })
    }
}

fn bit(signer: ValidatorIndex) -> u128 {
    1_u128.checked_shl(u32::from(signer.0)).unwrap_or(0)
}

fn index(position: usize) -> ValidatorIndex {
    ValidatorIndex(u16::try_from(position).expect("at most 128 validators"))
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).expect("64 bits hold every length")
}
