//! Requests, responses and peer messages.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use crate::cluster::message::{HeadShare, Message};
use crate::cluster::request::{AttestedHead, Changes, Consistency, Request, Response, Status};
use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::limits::{KV_KEY_BYTES_MAX, KV_RANGE_PAIRS_MAX, LEARNERS_MAX, VOTERS_MAX};
use crate::raft::{Membership, MembershipRule, Refusal, Role};
use crate::types::{Index, NodeId};

impl Encode for Message {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Raft(message) => {
                writer.u8(0);
                writer.put(message);
            }
            Self::Forward { id, term, request } => {
                writer.u8(1);
                writer.put(id);
                writer.put(term);
                writer.put(request);
            }
            Self::ForwardReply { id, response } => {
                writer.u8(2);
                writer.put(id);
                writer.put(response);
            }
            Self::HeadRequest { id, size } => {
                writer.u8(3);
                writer.put(id);
                writer.put(size);
            }
            Self::HeadReply { id, share } => {
                writer.u8(4);
                writer.put(id);
                writer.put(share);
            }
            Self::ModulesRequest { id } => {
                writer.u8(5);
                writer.put(id);
            }
            Self::ModulesReply { id, modules } => {
                writer.u8(6);
                writer.put(id);
                writer.put(modules);
            }
        }
    }

    fn size_hint(&self) -> usize {
        match self {
            Self::Raft(message) => 1 + message.size_hint(),
            _ => 512,
        }
    }
}

impl Decode for Message {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::Raft(reader.get()?),
            1 => Self::Forward {
                id: reader.get()?,
                term: reader.get()?,
                request: reader.get()?,
            },
            2 => Self::ForwardReply {
                id: reader.get()?,
                response: reader.get()?,
            },
            3 => Self::HeadRequest {
                id: reader.get()?,
                size: reader.get()?,
            },
            4 => Self::HeadReply {
                id: reader.get()?,
                share: reader.get()?,
            },
            5 => Self::ModulesRequest { id: reader.get()? },
            6 => Self::ModulesReply {
                id: reader.get()?,
                modules: reader.get()?,
            },
            tag => {
                return Err(DecodeError::UnknownTag {
                    what: "peer message",
                    tag,
                });
            }
        })
    }
}

impl Encode for HeadShare {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.head);
        writer.put(&self.signature);
    }
}

impl Decode for HeadShare {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            head: reader.get()?,
            signature: reader.get()?,
        })
    }
}

impl Encode for Request {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Write(command) => {
                writer.u8(0);
                writer.put(command);
            }
            Self::Read { query, consistency } => {
                writer.u8(1);
                writer.put(query);
                writer.u8(match consistency {
                    Consistency::Linearizable => 0,
                    Consistency::Stale => 1,
                });
            }
            Self::Watch { from, to, since } => {
                writer.u8(2);
                writer.blob(from);
                writer.bool(to.is_some());
                if let Some(to) = to {
                    writer.blob(to);
                }
                writer.put(since);
            }
            Self::Status => writer.u8(3),
            Self::ChangeMembership(membership) => {
                writer.u8(4);
                writer.put(membership);
            }
            Self::TransferLeadership { to } => {
                writer.u8(5);
                writer.put(to);
            }
            Self::LogHead => writer.u8(6),
            Self::ProveLog { first, count } => {
                writer.u8(7);
                writer.put(first);
                writer.u32(*count);
            }
            Self::FollowStatus => writer.u8(8),
        }
    }
}

impl Decode for Request {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::Write(reader.get()?),
            1 => Self::Read {
                query: reader.get()?,
                consistency: match reader.u8()? {
                    0 => Consistency::Linearizable,
                    1 => Consistency::Stale,
                    tag => {
                        return Err(DecodeError::UnknownTag {
                            what: "consistency",
                            tag,
                        });
                    }
                },
            },
            2 => {
                let from = reader.blob(KV_KEY_BYTES_MAX)?;
                let to = if reader.bool()? {
                    Some(reader.blob(KV_KEY_BYTES_MAX)?)
                } else {
                    None
                };
                Self::Watch {
                    from,
                    to,
                    since: reader.get()?,
                }
            }
            3 => Self::Status,
            4 => Self::ChangeMembership(reader.get()?),
            5 => Self::TransferLeadership { to: reader.get()? },
            6 => Self::LogHead,
            7 => Self::ProveLog {
                first: reader.get()?,
                count: reader.u32()?,
            },
            8 => Self::FollowStatus,
            tag => {
                return Err(DecodeError::UnknownTag {
                    what: "request",
                    tag,
                });
            }
        })
    }
}

impl Encode for Response {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Written { at, outcome } => {
                writer.u8(0);
                writer.put(at);
                writer.put(outcome);
            }
            Self::Read(answer) => {
                writer.u8(1);
                writer.put(answer);
            }
            Self::Watching { revision } => {
                writer.u8(2);
                writer.put(revision);
            }
            Self::Compacted { oldest } => {
                writer.u8(3);
                writer.put(oldest);
            }
            Self::Status(status) => {
                writer.u8(4);
                writer.put(status);
            }
            Self::Accepted => writer.u8(5),
            Self::Refused(refusal) => {
                writer.u8(6);
                writer.put(refusal);
            }
            Self::Unknown => writer.u8(7),
            Self::LogHead(made) => {
                writer.u8(8);
                writer.put(&made.signed);
                writer.put(&made.membership);
            }
            Self::LogProof(proof) => {
                writer.u8(9);
                writer.put(proof);
            }
            Self::NoLogProof { first, last } => {
                writer.u8(10);
                writer.put(first);
                writer.put(last);
            }
            Self::Changed(changes) => {
                writer.u8(11);
                writer.put(changes);
            }
        }
    }
}

impl Decode for Response {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::Written {
                at: reader.get()?,
                outcome: reader.get()?,
            },
            1 => Self::Read(reader.get()?),
            2 => Self::Watching {
                revision: reader.get()?,
            },
            3 => Self::Compacted {
                oldest: reader.get()?,
            },
            4 => Self::Status(reader.get()?),
            5 => Self::Accepted,
            6 => Self::Refused(reader.get()?),
            7 => Self::Unknown,
            8 => Self::LogHead(Box::new(AttestedHead {
                signed: reader.get()?,
                membership: reader.get()?,
            })),
            9 => Self::LogProof(reader.get()?),
            10 => Self::NoLogProof {
                first: reader.get()?,
                last: reader.get()?,
            },
            11 => Self::Changed(reader.get()?),
            tag => {
                return Err(DecodeError::UnknownTag {
                    what: "response",
                    tag,
                });
            }
        })
    }
}

impl Encode for Status {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.node);
        writer.put(&self.role);
        writer.put(&self.term);
        writer.put(&self.leader);
        writer.put(&self.last);
        for index in [self.committed, self.applied, self.base, self.stored] {
            writer.put(&index);
        }
        writer.put(&self.revision);
        writer.u64(self.state_bytes);
        writer.put(&self.membership);
        writer.length(self.matched.len());
        for (node, index) in &self.matched {
            writer.put(node);
            writer.put(index);
        }
    }
}

impl Decode for Status {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            node: reader.get()?,
            role: reader.get()?,
            term: reader.get()?,
            leader: reader.get()?,
            last: reader.get()?,
            committed: reader.get()?,
            applied: reader.get()?,
            base: reader.get()?,
            stored: reader.get()?,
            revision: reader.get()?,
            state_bytes: reader.u64()?,
            membership: reader.get::<Membership>()?,
            matched: decode_matched(reader)?,
        })
    }
}

fn decode_matched(reader: &mut Reader<'_>) -> Result<Vec<(NodeId, Index)>, DecodeError> {
    let count = reader.length(VOTERS_MAX * 2 + LEARNERS_MAX)?;
    (0..count)
        .map(|_| Ok((reader.get()?, reader.get()?)))
        .collect()
}

impl Encode for Changes {
    fn encode(&self, writer: &mut Writer) {
        writer.seq(&self.changes);
    }
}

impl Decode for Changes {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            changes: reader.seq(KV_RANGE_PAIRS_MAX)?,
        })
    }
}

impl Encode for Role {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(match self {
            Self::Follower => 0,
            Self::PreCandidate => 1,
            Self::Candidate => 2,
            Self::Leader => 3,
            Self::Repairing => 4,
            Self::Halted => 5,
        });
    }
}

impl Decode for Role {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::Follower,
            1 => Self::PreCandidate,
            2 => Self::Candidate,
            3 => Self::Leader,
            4 => Self::Repairing,
            5 => Self::Halted,
            tag => return Err(DecodeError::UnknownTag { what: "role", tag }),
        })
    }
}

impl Encode for MembershipRule {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(match self {
            Self::Unsorted => 0,
            Self::TooManyVoters => 1,
            Self::TooManyLearners => 2,
            Self::NoVoters => 3,
            Self::VoterAndLearner => 4,
            Self::OutgoingNamed => 5,
            Self::Unchanged => 6,
            Self::HeirNotVoter => 7,
        });
    }
}

impl Decode for MembershipRule {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let what = "membership rule";
        let tag = reader.u8()?;
        let rule = Self::ALL.get(usize::from(tag)).copied();
        rule.ok_or(DecodeError::UnknownTag { what, tag })
    }
}

impl Encode for Refusal {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::NotLeader { leader } => {
                writer.u8(0);
                writer.put(leader);
            }
            Self::NotReady => writer.u8(1),
            Self::Transferring => writer.u8(2),
            Self::Busy => writer.u8(3),
            Self::TooLarge => writer.u8(4),
            Self::ChangeInProgress => writer.u8(5),
            Self::InvalidMembership { rule } => {
                writer.u8(6);
                writer.put(rule);
            }
            Self::NotCaughtUp { node } => {
                writer.u8(7);
                writer.put(node);
            }
            Self::Unavailable => writer.u8(8),
            Self::LacksModule { node, module } => {
                writer.u8(9);
                writer.put(node);
                writer.put(module);
            }
            Self::SilentOnModule { node, module } => {
                writer.u8(10);
                writer.put(node);
                writer.put(module);
            }
            Self::HeadUnsigned => writer.u8(11),
        }
    }
}

impl Decode for Refusal {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::NotLeader {
                leader: reader.get()?,
            },
            1 => Self::NotReady,
            2 => Self::Transferring,
            3 => Self::Busy,
            4 => Self::TooLarge,
            5 => Self::ChangeInProgress,
            6 => Self::InvalidMembership {
                rule: reader.get()?,
            },
            7 => Self::NotCaughtUp {
                node: reader.get()?,
            },
            8 => Self::Unavailable,
            9 => Self::LacksModule {
                node: reader.get()?,
                module: reader.get()?,
            },
            10 => Self::SilentOnModule {
                node: reader.get()?,
                module: reader.get()?,
            },
            11 => Self::HeadUnsigned,
            tag => {
                return Err(DecodeError::UnknownTag {
                    what: "refusal",
                    tag,
                });
            }
        })
    }
}

impl Hash for Request {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.to_bytes().hash(state);
    }
}
