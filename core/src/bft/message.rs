//! What validators say to each other. Everything here is unverified.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::block::{Block, BlockRef, Header};
use super::cert::Cert;
use super::types::{Epoch, Height, View};
use super::vote::Vote;
use crate::codec::{Decode, Encode};
use crate::crypto::Digest;
use crate::limits::{BLOCKS_ANSWERED_MAX, PATH_HEADERS_MAX, PROPOSAL_SKIPS_MAX};

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
#[codec(what = "ledger message")]
pub enum Message {
    /// A leader's block.
    #[codec(tag = 0)]
    Proposal(Box<Proposal>),
    #[codec(tag = 1)]
    Vote(Vote),
    /// A certificate.
    #[codec(tag = 2)]
    Cert(Box<Cert>),
    /// Where the sender stands, in answer to [`Message::AskStatus`].
    #[codec(tag = 3)]
    Status(Box<Status>),
    /// Asks for a [`Status`]: the sender lost its disk.
    #[codec(tag = 4)]
    AskStatus,
    /// Asks for the notarization and the nullification of a view.
    #[codec(tag = 5)]
    AskCerts { epoch: Epoch, view: View },
    /// Asks for a block that is not final yet.
    #[codec(tag = 6)]
    AskBlock { hash: Digest },
    /// A block that was asked for by its hash.
    #[codec(tag = 7)]
    Block(Box<Block>),
    /// Asks for final blocks.
    #[codec(tag = 8)]
    AskBlocks {
        /// The first height wanted.
        from: Height,
    },
    /// Final blocks.
    #[codec(tag = 9)]
    Blocks(Box<FinalBlocks>),
}

/// A leader's block with what it needs to be voted for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Proposal {
    pub block: Block,
    /// Certifies the parent; none if that is the root of the epoch.
    pub parent: Option<Cert>,
    /// Nullifications of views between parent and block, as far as they fit.
    #[codec(max = PROPOSAL_SKIPS_MAX)]
    pub skips: Vec<Cert>,
    /// The leader's own notarization, which is also its signature.
    pub vote: Vote,
}

/// Where a validator stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Status {
    pub epoch: Epoch,
    /// The view that it is in.
    pub view: View,
    /// The certificate by which it entered that view; none in view 1.
    pub entered_by: Option<Cert>,
    /// Its highest finalization.
    pub finalization: Option<Cert>,
}

/// A run of final blocks and why the last of them is final.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
#[codec(check = FinalBlocks::check)]
pub struct FinalBlocks {
    /// The blocks, ascending, without a gap.
    #[codec(max = BLOCKS_ANSWERED_MAX)]
    pub blocks: Vec<Block>,
    /// The headers from the last block's child up to the certified block; empty
    /// if the last block is certified itself.
    #[codec(max = PATH_HEADERS_MAX)]
    pub path: Vec<Header>,
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

    fn check(&self) -> Result<(), &'static str> {
        if self.blocks.is_empty() {
            return Err("empty run of blocks");
        }
        Ok(())
    }
}
