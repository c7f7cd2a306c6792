//! What a module of the replicated state is.

use alloc::vec::Vec;
use core::fmt::Debug;

use super::command::Verdict;
use super::ctx::Ctx;
use super::load::{ImageError, Loading};
use super::state::Holder;
use crate::codec::{Decode, Encode};
use crate::types::{ModuleId, Modules};

/// A part of the replicated state: pairs in spaces of its own, operations that
/// change them, and indexes that follow from them.
///
/// Contract: deterministic, and the same pairs mean the same answers, whatever
/// entries led to them. So whatever decides an outcome lies in pairs, in log time
/// or in the position in the log, and [`Module::load`] finds it again.
pub trait Module: Clone + Debug {
    /// What the module can be asked to do.
    type Op: Encode + Decode + Clone + Debug + PartialEq + Eq;
    /// How that ended.
    type Outcome: Encode + Decode + From<Verdict> + Clone + Debug + PartialEq + Eq;
    /// What it tells this node of an entry. Neither stored nor in the digest.
    type Notice: Clone + Debug + PartialEq + Eq;

    /// Which modules this is: one, or those of a table.
    fn ids() -> Modules;

    /// Which of them an operation is for.
    fn owner(op: &Self::Op) -> ModuleId;

    /// Whether image keys that begin with this byte are the module's. Forever: what
    /// a byte stands for cannot change while a state holds it.
    fn owns_space(space: u8) -> bool;

    /// Whether encoded operations and outcomes that begin with this byte are the
    /// module's. Forever as well, for logs and the answers of sessions hold them.
    fn owns_tag(tag: u8) -> bool;

    /// Whether an operation keeps the rules that do not depend on the state.
    ///
    /// # Errors
    /// The refusal that it is answered with.
    fn validate(&self, op: &Self::Op) -> Result<(), Self::Outcome>;

    /// Carries out an operation that [`Module::validate`] has let through. Total;
    /// everything is decided before anything is touched, so that a refusal leaves
    /// no trace. Not called before the module has been switched on.
    fn apply(&mut self, ctx: &mut Ctx<'_>, op: &Self::Op) -> Self::Outcome;

    /// Ends what is due. It was announced by [`Ctx::expire_at`], and is not there
    /// any more afterwards.
    fn expire(&mut self, ctx: &mut Ctx<'_>, holder: Holder);

    /// What stands for an outcome that quotes data when a session has no room for
    /// it, and says as truly that nothing changed. `None` for all others: they are
    /// small (64 bytes at most, encoded) and kept in any case.
    fn for_full_state(outcome: &Self::Outcome) -> Option<Self::Outcome>;

    /// An entry begins; the notices of the last one are void.
    fn begin_entry(&mut self);

    /// An entry ends.
    fn end_entry(&mut self);

    /// The notices of the last entry, in order. Taking them twice gives nothing
    /// the second time.
    fn take_notices(&mut self) -> Vec<Self::Notice>;

    /// The module as configured, with nothing in it.
    fn emptied(&self) -> Self;

    /// Computes the indexes of an empty module from its pairs, and checks every one.
    ///
    /// # Errors
    /// The pairs are not what the module would have written.
    fn load(&mut self, loading: &mut Loading<'_>) -> Result<(), ImageError>;

    /// How many pairs the module has, and how many of them end by themselves.
    fn held(&self) -> Held;

    /// Whether the indexes are the same: what [`Module::load`] computes.
    fn has_indexes_of(&self, other: &Self) -> bool;

    /// The module's own invariants, at any cost. Panics if one is broken.
    fn audit(&self);
}

/// What a module has, as its indexes know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// Pairs in its spaces.
    pub pairs: usize,
    /// What was announced by [`Ctx::expire_at`] and has not ended.
    pub holders: usize,
}
