//! Votes: one signed word of one validator on one view.

use super::block::BlockRef;
use super::types::{Epoch, ValidatorIndex, View};
use super::validators::ValidatorSet;
use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::crypto::{ChainId, Domain, Preimage, Scope, Signature, Signer, Verifier, VerifyError};

/// What a vote says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VoteKind {
    /// This block may be built on.
    Notarize,
    /// This view may be skipped.
    Nullify,
    /// This block is final, as far as I am concerned.
    Finalize,
}

/// What is signed. For a nullification, height and hash are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Statement {
    /// What it says.
    pub kind: VoteKind,
    /// The epoch.
    pub epoch: Epoch,
    /// The block; of a nullification the view alone.
    pub block: BlockRef,
}

/// A vote as it arrives: nothing of it is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Vote {
    /// What was said.
    pub statement: Statement,
    /// Who says that it said so.
    pub signer: ValidatorIndex,
    /// Its signature.
    pub signature: Signature,
}

impl VoteKind {
    /// All kinds, in the order of their tags.
    pub const ALL: [Self; 3] = [Self::Notarize, Self::Nullify, Self::Finalize];

    /// Its number on the wire and in what is signed.
    pub const fn tag(self) -> u8 {
        match self {
            Self::Notarize => 0,
            Self::Nullify => 1,
            Self::Finalize => 2,
        }
    }
}

impl Statement {
    /// A word on a block.
    pub fn on(kind: VoteKind, epoch: Epoch, block: BlockRef) -> Self {
        assert!(kind != VoteKind::Nullify, "a view is given up, not a block");
        Self { kind, epoch, block }
    }

    /// That a view may be skipped.
    pub fn nullify(epoch: Epoch, view: View) -> Self {
        Self {
            kind: VoteKind::Nullify,
            epoch,
            block: BlockRef {
                view,
                ..BlockRef::default()
            },
        }
    }

    /// The view.
    pub const fn view(&self) -> View {
        self.block.view
    }

    /// The exact bytes that are signed: `kind ‖ epoch ‖ view ‖ height ‖ hash`
    /// under [`Domain::Vote`] and the chain.
    pub fn preimage(&self, chain: ChainId) -> Preimage {
        Preimage::new(Domain::Vote, Scope::Chain(chain))
            .u8(self.kind.tag())
            .put(&self.epoch)
            .put(&self.block)
    }

    /// Whether the fields fit each other.
    fn is_well_formed(&self) -> bool {
        let empty = BlockRef {
            view: self.block.view,
            ..BlockRef::default()
        };
        self.block.view > View(0) && (self.kind != VoteKind::Nullify || self.block == empty)
    }
}

impl Vote {
    /// Signs a statement. The caller answers for the vote guard.
    pub(super) fn sign(
        statement: Statement,
        chain: ChainId,
        signer: ValidatorIndex,
        key: &(impl Signer + ?Sized),
    ) -> Self {
        Self {
            statement,
            signer,
            signature: key.sign(&statement.preimage(chain)),
        }
    }

    /// Whether the validator at this place of the set signed the statement.
    pub fn verify(
        &self,
        chain: ChainId,
        set: &ValidatorSet,
        verifier: &(impl Verifier + ?Sized),
    ) -> Result<(), VerifyError> {
        let validator = set.get(self.signer).ok_or(VerifyError)?;
        verifier.verify(
            &validator.key,
            &self.statement.preimage(chain),
            &self.signature,
        )
    }
}

impl Encode for VoteKind {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(self.tag());
    }
}

impl Decode for VoteKind {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            0 => Ok(Self::Notarize),
            1 => Ok(Self::Nullify),
            2 => Ok(Self::Finalize),
            tag => Err(DecodeError::UnknownTag { what: "vote", tag }),
        }
    }
}

impl Encode for Statement {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.kind);
        writer.put(&self.epoch);
        writer.put(&self.block);
    }
}

impl Decode for Statement {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let statement = Self {
            kind: reader.get()?,
            epoch: reader.get()?,
            block: reader.get()?,
        };
        if statement.is_well_formed() {
            Ok(statement)
        } else {
            Err(DecodeError::Invalid { what: "statement" })
        }
    }
}

impl Encode for Vote {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.statement);
        writer.put(&self.signer);
        writer.put(&self.signature);
    }
}

impl Decode for Vote {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            statement: reader.get()?,
            signer: reader.get()?,
            signature: reader.get()?,
        })
    }
}
