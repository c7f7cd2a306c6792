//! Votes: one signed statement of one validator about one view.

use super::block::BlockRef;
use super::types::{Epoch, ValidatorIndex, View};
use super::validators::ValidatorSet;
use crate::codec::{Decode, Encode};
use crate::crypto::{ChainId, Domain, Preimage, Scope, Signature, Signer, Verifier, VerifyError};

/// What a vote says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[codec(what = "vote")]
pub enum VoteKind {
    /// This block may be built on.
    Notarize = 0,
    /// This view may be skipped.
    Nullify = 1,
    /// This block is final, as far as I am concerned.
    Finalize = 2,
}

/// What is signed. For a nullification, height and hash are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[codec(check = Statement::check)]
pub struct Statement {
    /// What it says.
    pub kind: VoteKind,
    pub epoch: Epoch,
    /// The block; of a nullification the view alone.
    pub block: BlockRef,
}

/// A vote as it arrives: nothing of it is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Vote {
    /// The statement.
    pub statement: Statement,
    /// Who signed it.
    pub signer: ValidatorIndex,
    pub signature: Signature,
}

impl VoteKind {
    /// All kinds, in the order of their tags.
    pub const ALL: [Self; 3] = [Self::Notarize, Self::Nullify, Self::Finalize];

    /// Its number on the wire and in what is signed.
    pub const fn tag(self) -> u8 {
        self as u8
    }
}

impl Statement {
    /// A statement on a block.
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

    fn check(&self) -> Result<(), &'static str> {
        if self.is_well_formed() {
            Ok(())
        } else {
            Err("statement")
        }
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
