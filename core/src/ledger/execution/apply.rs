//! What each operation does to the state.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::executor::{BlockExecutor, following};
use super::ledger_state::{
    EpochState, ImageEntry, Proposal, SnapshotEntry, expect, keys, proposals_in,
};
use crate::bft::{Evidence, Signers, ValidatorSet};
use crate::codec::{Decode, Encode};
use crate::crypto::{Digest, sha256};
use crate::ledger_types::{
    AccountId, Checked, KeyProof, Member, Name, Operation, Outcome, Param, Params, SnapshotRecord,
    TxId, ValidatorChange, WEIGHT_MAX, normalise, params,
};
use crate::limits::{LEDGER_BLOCK_EVIDENCE_MAX, LEDGER_PROPOSALS_MAX, VALIDATORS_MAX};
use crate::types::NodeId;

impl BlockExecutor<'_> {
    pub(in crate::ledger) fn execute(
        &mut self,
        transaction: &Checked,
        operation: &Operation,
        id: TxId,
    ) -> Outcome {
        let account = transaction.intent().account;
        match operation {
            Operation::Data { .. } => Outcome::Done,
            Operation::SnapshotCreate(record) => self.create_snapshot(account, record, id),
            Operation::SnapshotDelete { id } => self.delete_snapshot(account, id),
            Operation::ImageRegister { name, digest } => {
                self.register_image(account, name, *digest)
            }
            Operation::KeyRotate(proof) => self.rotate_key(account, proof),
            Operation::Validator(_) | Operation::Param { .. } => {
                self.propose(transaction, operation)
            }
            Operation::Evidence(evidence) => self.convict(evidence),
        }
    }

    fn find<T: Decode>(&self, key: &[u8]) -> Option<T> {
        self.get(key).map(|bytes| expect(T::from_bytes(bytes)))
    }

    fn create_snapshot(
        &mut self,
        account: AccountId,
        record: &SnapshotRecord,
        operation: TxId,
    ) -> Outcome {
        let key = keys::snapshot(&record.id);
        if self.get(&key).is_some() {
            return Outcome::Exists;
        }
        let height = self.place.height;
        let record = record.clone();
        self.put(
            key,
            &SnapshotEntry {
                operation,
                record,
                account,
                height,
            },
        );
        Outcome::Done
    }

    fn delete_snapshot(&mut self, account: AccountId, id: &Name) -> Outcome {
        let key = keys::snapshot(id);
        match self.find::<SnapshotEntry>(&key) {
            None => Outcome::NotFound,
            Some(entry) if entry.account != account => Outcome::NotOwner,
            Some(_) => {
                self.remove(key);
                Outcome::Done
            }
        }
    }

    fn register_image(&mut self, account: AccountId, name: &Name, digest: Digest) -> Outcome {
        let key = keys::image(name);
        let present: Option<ImageEntry> = self.find(&key);
        if present.is_some_and(|entry| entry.account != account) {
            return Outcome::NotOwner;
        }
        let height = self.place.height;
        self.put(
            key,
            &ImageEntry {
                digest,
                account,
                height,
            },
        );
        Outcome::Done
    }

    /// The proof inside was verified with the transaction.
    fn rotate_key(&mut self, id: AccountId, proof: &KeyProof) -> Outcome {
        let mut account = self.account(&id).expect("it was just charged");
        account.key = proof.key.to_compressed();
        self.put_account(id, account);
        Outcome::Done
    }

    /// Validators vote by saying the same: when a quorum of the present set has
    /// submitted it, it is done.
    fn propose(&mut self, transaction: &Checked, operation: &Operation) -> Outcome {
        let epoch = self.rules.epoch.clone();
        let Some(node) = epoch.validator_with(transaction.key()) else {
            return Outcome::NotValidator;
        };
        if let Err(refused) = self.would_do(operation) {
            return refused;
        }
        let hash = sha256(&operation.to_bytes());
        let height = self.place.height;
        let mut proposals = proposals_in(self.get(keys::PROPOSALS));
        proposals.retain(|proposal| proposal.expires >= height);
        let open = proposals.iter().position(|one| one.operation == hash);
        let place = match open {
            Some(place) => place,
            None if proposals.len() >= LEDGER_PROPOSALS_MAX => return Outcome::TooMany,
            None => {
                let blocks = self.rules.params.get(Param::ProposalBlocks);
                proposals.push(Proposal {
                    operation: hash,
                    approvals: Vec::new(),
                    expires: crate::bft::Height(height.0.saturating_add(blocks)),
                });
                proposals.len() - 1
            }
        };
        approve(&mut proposals[place].approvals, node, epoch.set());
        let passes = is_quorum(&proposals[place].approvals, epoch.set());
        if passes {
            proposals.remove(place);
        }
        self.put_list(keys::PROPOSALS, &proposals);
        if passes {
            self.enact(operation)
        } else {
            Outcome::Approved
        }
    }

    fn set_members(&mut self, members: Vec<Member>) {
        self.put_list(keys::MEMBERS, &members);
        self.rules.members = members.into();
    }

    fn set_epoch(&mut self, epoch: EpochState) {
        self.put(Bytes::from_static(keys::EPOCH), &epoch);
        self.rules.epoch = Arc::new(epoch);
    }

    /// Whether the operation could be done now. Each is judged when it is submitted and
    /// again when it passes.
    fn would_do(&self, operation: &Operation) -> Result<(), Outcome> {
        match operation {
            Operation::Validator(change) => self.members_after(change).map(drop),
            Operation::Param { param, value } => {
                params::check(*param, *value).map_err(|_| Outcome::OutOfBounds)
            }
            _ => unreachable!("only these are voted on"),
        }
    }

    fn enact(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::Validator(change) => match self.members_after(change) {
                Ok(members) => {
                    self.set_members(members);
                    Outcome::Done
                }
                Err(refused) => refused,
            },
            Operation::Param { param, value } => {
                let mut params = Params::clone(&self.rules.params);
                let set = params.set(*param, *value);
                set.expect("judged before");
                self.put(Bytes::from_static(keys::PARAMS), &params);
                self.rules.params = Arc::new(params);
                Outcome::Done
            }
            _ => unreachable!("only these are voted on"),
        }
    }

    /// The members after a change, if it can be made.
    fn members_after(&self, change: &ValidatorChange) -> Result<Vec<Member>, Outcome> {
        let mut members = self.rules.members.to_vec();
        let place = |node: &NodeId| members.binary_search_by_key(node, |member| member.node);
        let weight_is_good = |weight: u32| (1..=WEIGHT_MAX).contains(&weight);
        match change {
            ValidatorChange::Add {
                node,
                cluster,
                weight,
                key,
            } => {
                if !weight_is_good(*weight) {
                    return Err(Outcome::OutOfBounds);
                }
                let at = place(node).err().ok_or(Outcome::Exists)?;
                members.insert(at, Member::new(*node, key.key, *cluster, *weight));
            }
            ValidatorChange::Remove { node } => {
                let at = place(node).map_err(|_| Outcome::NotFound)?;
                members.remove(at);
            }
            ValidatorChange::Rotate { node, key } => {
                let at = place(node).map_err(|_| Outcome::NotFound)?;
                members[at].key = key.key;
            }
            ValidatorChange::SetWeight { node, weight } => {
                if !weight_is_good(*weight) {
                    return Err(Outcome::OutOfBounds);
                }
                let at = place(node).map_err(|_| Outcome::NotFound)?;
                members[at].weight = *weight;
            }
        }
        let is_set = normalise(&members).is_ok() && members.len() <= VALIDATORS_MAX;
        is_set.then_some(members).ok_or(Outcome::NoSet)
    }

    /// Evidence about the present epoch or the one before takes the vote from a
    /// validator, from the next epoch on. The last one is left, or nobody could
    /// ever go on.
    fn convict(&mut self, evidence: &Evidence) -> Outcome {
        if self.evidence >= LEDGER_BLOCK_EVIDENCE_MAX {
            return Outcome::TooMany;
        }
        self.evidence += 1;
        let state = self.rules.epoch.clone();
        let epoch = evidence.votes()[0].statement.epoch;
        let set = if epoch == state.epoch {
            Some(state.set())
        } else if epoch.0.checked_add(1) == Some(state.epoch.0) {
            state.previous.as_ref()
        } else {
            None
        };
        let Some(set) = set else {
            return Outcome::NotProven;
        };
        let (chain, verifier) = (self.place.chain, self.place.verifier.clone());
        if evidence.verify(chain, epoch, set, &*verifier).is_err() {
            return Outcome::NotProven;
        }
        let culprit = set.get(evidence.culprit()).expect("verified above").node;
        let mut members = self.rules.members.to_vec();
        match members.iter_mut().find(|member| member.node == culprit) {
            None => return Outcome::NotFound,
            Some(member) if member.is_jailed => return Outcome::AlreadyConvicted,
            Some(member) => member.is_jailed = true,
        }
        if normalise(&members).is_err() {
            return Outcome::NoSet;
        }
        self.set_members(members);
        Outcome::Done
    }

    /// Notes whether the listed members make another set than the one that votes:
    /// then the epoch ends with the next block.
    pub(in crate::ledger) fn note_due_change(&mut self) {
        let epoch = &self.rules.epoch;
        let listed = normalise(&self.rules.members).expect("kept so by every change");
        let change_is_due = listed != **epoch.set();
        if change_is_due != epoch.change_is_due {
            self.set_epoch(EpochState {
                change_is_due,
                ..EpochState::clone(epoch)
            });
        }
    }

    /// Hands over to the set that the header of the block has named.
    pub(in crate::ledger) fn begin_epoch(&mut self) {
        let last = self.rules.epoch.clone();
        let next = EpochState {
            epoch: following(last.epoch),
            root_height: self.place.height,
            validators: Some(Arc::new(next_set(self.before()))),
            previous: last.validators.clone(),
            change_is_due: false,
        };
        self.set_epoch(next);
        self.note_due_change();
    }
}

/// The set that votes after an epoch that ends with a block on this state. What
/// the block itself changes comes into force one epoch later, so that the header
/// can name the set before the block is executed.
pub fn next_set(before: &super::ledger_state::LedgerState) -> ValidatorSet {
    normalise(before.members()).expect("kept so by every change")
}

fn approve(approvals: &mut Vec<NodeId>, node: NodeId, set: &ValidatorSet) {
    // Who has left the set in the meantime counts no more.
    approvals.retain(|one| set.index_of(*one).is_some());
    if let Err(place) = approvals.binary_search(&node) {
        approvals.insert(place, node);
    }
}

fn is_quorum(approvals: &[NodeId], set: &ValidatorSet) -> bool {
    let signers: Signers = approvals
        .iter()
        .filter_map(|node| set.index_of(*node))
        .collect();
    set.is_quorum(signers)
}
