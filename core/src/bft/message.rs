//! What validators say to each other. Everything here is unverified.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::block::{Block, BlockRef, Header};
use super::cert::Cert;
use super::types::{Epoch, Height, View};
use super::vote::Vote;
use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::crypto::Digest;
use crate::limits::{BLOCKS_ANSWERED_MAX, PATH_HEADERS_MAX, PROPOSAL_SKIPS_MAX};

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Message {
    /// A leader's block.
    Proposal(Box<Proposal>),
    /// A vote.
    Vote(Vote),
    /// A certificate.
    Cert(Box<Cert>),
    /// Where the sender stands, in answer to [`Message::AskStatus`].
    Status(Box<Status>),
    /// Asks for a [`Status`]: the sender lost its disk.
    AskStatus,
    /// Asks for the notarization and the nullification of a view.
    AskCerts {
        /// The epoch.
        epoch: Epoch,
        /// The view.
        view: View,
    },
    /// Asks for a block that is not final yet.
    AskBlock {
        /// Its hash.
        hash: Digest,
    },
    /// A block that was asked for by its hash.
    Block(Box<Block>),
    /// Asks for final blocks.
    AskBlocks {
        /// The first height wanted.
        from: Height,
    },
    /// Final blocks.
    Blocks(Box<FinalBlocks>),
}

/// A leader's block with what it needs to be voted for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Proposal {
    /// The block.
    pub block: Block,
    /// Certifies the parent; none if that is the root of the epoch.
    pub parent: Option<Cert>,
    /// Nullifications of views between parent and block, as far as they fit.
    pub skips: Vec<Cert>,
    /// The leader's own notarization, which is also its signature.
    pub vote: Vote,
}

/// Where a validator stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Status {
    /// The epoch.
    pub epoch: Epoch,
    /// The view that it is in.
    pub view: View,
    /// The certificate by which it entered that view; none in view 1.
    pub entered_by: Option<Cert>,
    /// Its highest finalization.
    pub finalization: Option<Cert>,
}

/// A run of final blocks and why the last of them is final.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FinalBlocks {
    /// The blocks, ascending, without a gap.
    pub blocks: Vec<Block>,
    /// The headers from the last block's child up to the certified block; empty
    /// if the last block is certified itself.
    pub path: Vec<Header>,
    /// The finalization.
    pub finalization: Cert,
}

impl Message {
    /// The epoch that it is about, if it says so.
    pub fn epoch(&self) -> Option<Epoch> {
        match self {
            Self::Proposal(proposal) => Some(proposal.block.header().epoch),
            Self::Vote(vote) => Some(vote.statement.epoch),
            Self::Cert(cert) => Some(cert.statement.epoch),
            Self::Status(status) => Some(status.epoch),
            Self::AskCerts { epoch, .. } => Some(*epoch),
            Self::AskStatus
            | Self::AskBlock { .. }
            | Self::Block(_)
            | Self::AskBlocks { .. }
            | Self::Blocks(_) => None,
        }
    }
}

impl FinalBlocks {
    /// The place that the certificate has to speak of, if blocks and headers are
    /// linked to each other without a gap.
    pub fn certified_place(&self) -> Option<BlockRef> {
        let headers = self.blocks.iter().map(Block::header).chain(&self.path);
        let mut last: Option<BlockRef> = None;
        for header in headers {
            if last.is_some_and(|parent| !header.stands_on(&parent)) {
                return None;
            }
            last = Some(header.place());
        }
        last
    }
}

impl Encode for Message {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Proposal(proposal) => tagged(writer, 0, &**proposal),
            Self::Vote(vote) => tagged(writer, 1, vote),
            Self::Cert(cert) => tagged(writer, 2, &**cert),
            Self::Status(status) => tagged(writer, 3, &**status),
            Self::AskStatus => writer.u8(4),
            Self::AskCerts { epoch, view } => {
                tagged(writer, 5, epoch);
                writer.put(view);
            }
            Self::AskBlock { hash } => tagged(writer, 6, hash),
            Self::Block(block) => tagged(writer, 7, &**block),
            Self::AskBlocks { from } => tagged(writer, 8, from),
            Self::Blocks(blocks) => tagged(writer, 9, &**blocks),
        }
    }
}

impl Decode for Message {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::Proposal(reader.get()?),
            1 => Self::Vote(reader.get()?),
            2 => Self::Cert(reader.get()?),
            3 => Self::Status(reader.get()?),
            4 => Self::AskStatus,
            5 => Self::AskCerts {
                epoch: reader.get()?,
                view: reader.get()?,
            },
            6 => Self::AskBlock {
                hash: reader.get()?,
            },
            7 => Self::Block(reader.get()?),
            8 => Self::AskBlocks {
                from: reader.get()?,
            },
            9 => Self::Blocks(reader.get()?),
            tag => {
                return Err(DecodeError::UnknownTag {
                    what: "ledger message",
                    tag,
                });
            }
        })
    }
}

fn tagged(writer: &mut Writer, tag: u8, value: &impl Encode) {
    writer.u8(tag);
    writer.put(value);
}

impl Encode for Proposal {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.block);
        writer.put(&self.parent);
        writer.seq(&self.skips);
        writer.put(&self.vote);
    }
}

impl Decode for Proposal {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            block: reader.get()?,
            parent: reader.get()?,
            skips: reader.seq(PROPOSAL_SKIPS_MAX)?,
            vote: reader.get()?,
        })
    }
}

impl Encode for Status {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.epoch);
        writer.put(&self.view);
        writer.put(&self.entered_by);
        writer.put(&self.finalization);
    }
}

impl Decode for Status {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            epoch: reader.get()?,
            view: reader.get()?,
            entered_by: reader.get()?,
            finalization: reader.get()?,
        })
    }
}

impl Encode for FinalBlocks {
    fn encode(&self, writer: &mut Writer) {
        writer.seq(&self.blocks);
        writer.seq(&self.path);
        writer.put(&self.finalization);
    }
}

impl Decode for FinalBlocks {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let blocks = reader.seq(BLOCKS_ANSWERED_MAX)?;
        if blocks.is_empty() {
            return Err(DecodeError::Invalid {
                what: "empty run of blocks",
            });
        }
        Ok(Self {
            blocks,
            path: reader.seq(PATH_HEADERS_MAX)?,
            finalization: reader.get()?,
        })
    }
}
