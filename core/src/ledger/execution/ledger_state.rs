//! The state of the ledger: an authenticated map, and what its keys and values
//! mean. Copies are cheap, so that blocks on different branches are executed side
//! by side.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::bft::{Epoch, Height, ValidatorSet};
use crate::codec::{Decode, DecodeError, Encode, Field, Reader};
use crate::crypto::{Digest, PublicKey};
use crate::ledger_types::{
    AccountId, Genesis, GenesisError, Lane, Member, Name, Params, Sequence, SnapshotRecord, TxId,
};
use crate::limits::{LEDGER_LANES_MAX, LEDGER_PROPOSALS_MAX, VALIDATORS_MAX};
use crate::merkle::StateTree;
use crate::types::NodeId;

/// The state after some block.
#[derive(Debug, Clone, Default)]
pub struct LedgerState {
    tree: StateTree,
    rules: Rules,
}

/// What decides who may do what: values of the map, decoded once. Each of hundreds of keys
/// costs a square root to decode, which nobody must be able to ask for with each operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::ledger) struct Rules {
    pub epoch: Arc<EpochState>,
    pub params: Arc<Params>,
    /// The listed members, ascending by node.
    pub members: Arc<[Member]>,
}

/// Keys with their new values, or nothing where a key is removed.
pub type Changes = BTreeMap<Bytes, Option<Bytes>>;

/// What an account has done.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Account {
    /// The key that it signs with, compressed: comparing it costs nothing.
    pub key: [u8; 33],
    /// The next sequence of each lane that it has used.
    #[codec(max = LEDGER_LANES_MAX)]
    pub lanes: BTreeMap<Lane, Sequence>,
    /// The epoch in which it was last active.
    pub epoch: Epoch,
    /// Its operations in that epoch.
    pub operations: u64,
    /// Bytes of its transactions in that epoch.
    pub bytes: u64,
}

/// What belongs to the present epoch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct EpochState {
    /// Its number.
    pub epoch: Epoch,
    /// The height of the block that it rests on.
    pub root_height: Height,
    /// Who votes.
    #[codec(with = present)]
    pub validators: Option<Arc<ValidatorSet>>,
    /// Who voted in the epoch before: evidence about it is still taken.
    pub previous: Option<Arc<ValidatorSet>>,
    /// Whether the listed members make another set than the one that votes.
    pub change_is_due: bool,
}

/// Something that validators vote on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Proposal {
    /// The hash of the operation.
    pub operation: Digest,
    /// Who has submitted it, ascending.
    #[codec(max = VALIDATORS_MAX)]
    pub approvals: Vec<NodeId>,
    /// The last block in which it can pass.
    pub expires: Height,
}

/// A registered snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct SnapshotEntry {
    /// The operation that registered it.
    pub operation: TxId,
    /// What was registered.
    pub record: SnapshotRecord,
    /// By whom.
    pub account: AccountId,
    /// In which block.
    pub height: Height,
}

/// A registered image.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ImageEntry {
    /// The digest of its manifest.
    pub digest: Digest,
    /// Whose it is.
    pub account: AccountId,
    /// In which block it was registered last.
    pub height: Height,
}

/// Keys of the state: a letter for the kind, then the name.
pub mod keys {
    use super::{AccountId, Bytes, Name};

    /// The present epoch.
    pub const EPOCH: &[u8] = b"c";
    /// The listed members.
    pub const MEMBERS: &[u8] = b"m";
    /// The proposals that are open.
    pub const PROPOSALS: &[u8] = b"o";
    /// The parameters.
    pub const PARAMS: &[u8] = b"p";

    /// An account.
    pub fn account(id: &AccountId) -> Bytes {
        join(b'a', &id.0)
    }

    /// A snapshot.
    pub fn snapshot(id: &Name) -> Bytes {
        join(b's', id.as_str().as_bytes())
    }

    /// An image.
    pub fn image(name: &Name) -> Bytes {
        join(b'i', name.as_str().as_bytes())
    }

    fn join(kind: u8, name: &[u8]) -> Bytes {
        let mut key = alloc::vec::Vec::with_capacity(name.len().saturating_add(1));
        key.push(kind);
        key.extend_from_slice(name);
        key.into()
    }
}

/// Why pairs make no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ledger's state is damaged: {0}")]
pub struct WorldError(pub &'static str);

impl LedgerState {
    /// The state before the first block.
    ///
    /// # Errors
    /// The ledger cannot begin so.
    pub fn genesis(genesis: &Genesis) -> Result<Self, GenesisError> {
        let epoch = EpochState {
            validators: Some(Arc::new(genesis.validators()?)),
            ..EpochState::default()
        };
        let mut members = genesis.members.clone();
        members.sort_by_key(|member| member.node);
        let put = |key: &'static [u8], value: Bytes| (Bytes::from_static(key), Some(value));
        let changes = Changes::from([
            put(keys::EPOCH, epoch.to_bytes()),
            put(keys::PARAMS, genesis.params.to_bytes()),
            put(keys::MEMBERS, encode_list(&members)),
        ]);
        let ledger_state = Self::load(
            changes
                .into_iter()
                .filter_map(|(key, value)| Some((key, value?))),
        );
        Ok(ledger_state.expect("just encoded"))
    }

    /// The state that these pairs are.
    ///
    /// # Errors
    /// Something in it does not decode, or is missing.
    pub fn load(pairs: impl IntoIterator<Item = (Bytes, Bytes)>) -> Result<Self, WorldError> {
        let mut tree = StateTree::default();
        let changes = pairs.into_iter().map(|(key, value)| (key, Some(value)));
        tree.apply(changes.collect());
        Self::of(tree)
    }

    /// The state that this map is.
    pub(in crate::ledger) fn of(tree: StateTree) -> Result<Self, WorldError> {
        let epoch: EpochState = read(&tree, keys::EPOCH, "no epoch")?;
        if epoch.validators.is_none() {
            return Err(WorldError("nobody votes"));
        }
        let rules = Rules {
            epoch: Arc::new(epoch),
            params: Arc::new(read(&tree, keys::PARAMS, "no parameters")?),
            members: members_in(&tree)?.into(),
        };
        Ok(Self { tree, rules })
    }

    /// The state after these changes, which make these rules.
    pub(in crate::ledger) fn with(&self, changes: &Changes, rules: Rules) -> Self {
        assert!(rules.epoch.validators.is_some(), "somebody votes");
        let mut tree = self.tree.clone();
        tree.apply(changes.clone());
        Self { tree, rules }
    }

    /// What headers commit to.
    pub fn root(&self) -> Digest {
        self.tree.root()
    }

    /// The map itself.
    pub const fn tree(&self) -> &StateTree {
        &self.tree
    }

    /// The present epoch.
    pub fn epoch(&self) -> &EpochState {
        &self.rules.epoch
    }

    pub(in crate::ledger) const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The parameters in force.
    pub fn params(&self) -> &Params {
        &self.rules.params
    }

    /// An account, if it has ever signed anything.
    pub fn account(&self, id: &AccountId) -> Option<Account> {
        self.find(&keys::account(id))
    }

    /// A registered snapshot.
    pub fn snapshot(&self, id: &Name) -> Option<SnapshotEntry> {
        self.find(&keys::snapshot(id))
    }

    /// A registered image.
    pub fn image(&self, name: &Name) -> Option<ImageEntry> {
        self.find(&keys::image(name))
    }

    /// The listed members, ascending by node.
    pub fn members(&self) -> &[Member] {
        &self.rules.members
    }

    /// What validators are voting on.
    pub fn proposals(&self) -> Vec<Proposal> {
        proposals_in(self.raw(keys::PROPOSALS))
    }

    pub(in crate::ledger) fn raw(&self, key: &[u8]) -> Option<&Bytes> {
        self.tree.get(key)
    }

    fn find<T: Decode>(&self, key: &[u8]) -> Option<T> {
        self.raw(key).map(|bytes| expect(T::from_bytes(bytes)))
    }
}

fn read<T: Decode>(tree: &StateTree, key: &[u8], missing: &'static str) -> Result<T, WorldError> {
    let value = tree.get(key).ok_or(WorldError(missing))?;
    T::from_bytes(value).map_err(|_| WorldError("a value does not decode"))
}

/// No list is an empty one.
fn members_in(tree: &StateTree) -> Result<Vec<Member>, WorldError> {
    let Some(list) = tree.get(keys::MEMBERS) else {
        return Ok(Vec::new());
    };
    decode_list(list, VALIDATORS_MAX).map_err(|_| WorldError("a value does not decode"))
}

/// A value that this program has encoded, or whose root a quorum has signed.
pub(in crate::ledger) fn expect<T>(decoded: Result<T, DecodeError>) -> T {
    decoded.expect("values of the state decode: their root was checked")
}

pub(in crate::ledger) fn encode_list<T: Encode>(list: &[T]) -> Bytes {
    list.to_bytes()
}

/// The proposals under [`keys::PROPOSALS`].
pub(in crate::ledger) fn proposals_in(value: Option<&Bytes>) -> Vec<Proposal> {
    value.map_or_else(Vec::new, |bytes| {
        expect(decode_list(bytes, LEDGER_PROPOSALS_MAX))
    })
}

fn decode_list<T: Decode>(bytes: &Bytes, most: usize) -> Result<Vec<T>, DecodeError> {
    let mut reader = Reader::from_bytes(bytes);
    let field = &Field {
        what: "state",
        name: "list",
    };
    let list = reader.seq(most, field)?;
    reader.finish()?;
    Ok(list)
}

/// A set that is always there once it was read.
mod present {
    use super::{Arc, ValidatorSet};
    use crate::codec::{DecodeError, Encode as _, Reader, Writer};

    type Set = Option<Arc<ValidatorSet>>;

    fn get(set: &Set) -> &ValidatorSet {
        set.as_ref().expect("checked when it was read")
    }

    pub(super) fn encode(set: &Set, writer: &mut Writer) {
        get(set).encode(writer);
    }

    pub(super) fn size_hint(set: &Set) -> usize {
        get(set).size_hint()
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Set, DecodeError> {
        reader.get().map(Some)
    }
}

impl EpochState {
    /// Who votes.
    pub fn set(&self) -> &Arc<ValidatorSet> {
        self.validators.as_ref().expect("checked when it was read")
    }

    /// The validator with this key, if it votes now.
    pub fn validator_with(&self, key: &PublicKey) -> Option<NodeId> {
        let found = self.set().iter().find(|(_, one)| one.key == *key);
        found.map(|(_, validator)| validator.node)
    }
}

impl Account {
    pub(in crate::ledger) fn new(key: &PublicKey) -> Self {
        Self {
            key: key.to_compressed(),
            lanes: BTreeMap::new(),
            epoch: Epoch(0),
            operations: 0,
            bytes: 0,
        }
    }

    /// The next sequence of a lane.
    pub fn next(&self, lane: Lane) -> Sequence {
        self.lanes.get(&lane).copied().unwrap_or_default()
    }
}
