//! What is signed, and how long messages are. The core of malachite hands both to
//! its host, which picks an encoding: here nothing but the fields.

use arc_malachitebft_core_consensus as consensus;
use arc_malachitebft_core_types as types;
use consensus::{ConsensusMsg, Input};
use types::{NilOrVal, Proposal as _, Round, Value as _, Vote as _, VoteType};

use crate::context::{Address, Bench, Height, Proposal, Vote};

const HEIGHT: usize = 8;
const ROUND: usize = 4;
/// Whether there is one, and SHA-256.
const VALUE_ID: usize = 1 + 32;
/// A place in the set, as in ours.
const ADDRESS: usize = 2;
const SIGNATURE: usize = 64;
/// One item of four bytes, as in ours.
const VALUE: usize = 4;
const KIND: usize = 1;
const VOTE: usize = KIND + HEIGHT + ROUND + VALUE_ID + ADDRESS + SIGNATURE;

/// What a vote or proposal is signed over.
pub fn to_sign(message: &ConsensusMsg<Bench>) -> Vec<u8> {
    match message {
        ConsensusMsg::Vote(vote) => vote_to_sign(vote),
        ConsensusMsg::Proposal(proposal) => proposal_to_sign(proposal),
    }
}

/// What a vote is signed over.
pub fn vote_to_sign(vote: &Vote) -> Vec<u8> {
    let kind = match vote.vote_type() {
        VoteType::Prevote => 1,
        VoteType::Precommit => 2,
    };
    let id = match vote.value() {
        NilOrVal::Nil => None,
        NilOrVal::Val(id) => Some(*id),
    };
    fields(
        kind,
        vote.height(),
        vote.round(),
        id,
        *vote.validator_address(),
    )
}

/// What a proposal is signed over.
pub fn proposal_to_sign(proposal: &Proposal) -> Vec<u8> {
    let id = Some(proposal.value().id());
    let address = *proposal.validator_address();
    fields(3, proposal.height(), proposal.round(), id, address)
}

fn fields(kind: u8, height: Height, round: Round, id: Option<u64>, address: Address) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(height.0.to_be_bytes());
    bytes.extend(round.as_i64().to_be_bytes());
    bytes.push(u8::from(id.is_some()));
    bytes.extend([0; 24]);
    bytes.extend(id.unwrap_or(0).to_be_bytes());
    bytes.extend([0; 12]);
    bytes.extend(address.0.to_be_bytes());
    bytes
}

/// How many bytes a message takes.
pub fn size(input: &Input<Bench>) -> usize {
    match input {
        Input::Vote(_) => VOTE,
        // And the round of the votes that it rests on.
        Input::Proposal(_) => VOTE + ROUND + VALUE,
        Input::PolkaCertificate(cert) => {
            HEIGHT + ROUND + VALUE_ID + cert.polka_signatures.len() * (ADDRESS + SIGNATURE)
        }
        Input::RoundCertificate(cert) => {
            let each = KIND + VALUE_ID + ADDRESS + SIGNATURE;
            HEIGHT + ROUND + KIND + cert.round_signatures.len() * each
        }
        Input::SyncValueResponse(response) => {
            let signatures = response.certificate.commit_signatures.len();
            HEIGHT + ROUND + VALUE_ID + VALUE + signatures * (ADDRESS + SIGNATURE)
        }
        _ => unreachable!("nothing else travels"),
    }
}

/// The height that a message speaks of.
pub fn height(input: &Input<Bench>) -> Height {
    match input {
        Input::Vote(vote) => vote.height(),
        Input::Proposal(proposal) => proposal.height(),
        Input::PolkaCertificate(cert) => cert.height,
        Input::RoundCertificate(cert) => cert.height,
        Input::SyncValueResponse(response) => response.certificate.height,
        _ => unreachable!("nothing else travels"),
    }
}
