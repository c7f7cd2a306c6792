//! Which modules are on.
//!
//! A version that has a module meets ones that have not, as long as a cluster is updated
//! node by node, and those halt at the first command of it. So a module is used only when
//! a command has switched it on, and the owner proposes that command when every voter has
//! the module. The switch is a pair: whoever has the state knows what is on.

use bytes::Bytes;

use super::command::Verdict;
use super::ctx::Ctx;
use super::layout::SWITCH;
use super::load::{ImageError, Loading, ensure};
use super::rules;
use crate::codec::Reader;
use crate::types::{ModuleId, Modules};

/// Bytes that a switch adds to the state: space, module.
const SWITCH_BYTES: u64 = 1 + 1;

/// The modules that are on, as computed from their pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Switches {
    on: Modules,
}

/// Whether a space is that of the switches.
pub(super) const fn owns_space(space: u8) -> bool {
    space == SWITCH
}

impl Switches {
    /// Those of a state that begins empty. The first module needs none: states are older
    /// than switches.
    pub(super) const fn new() -> Self {
        Self {
            on: Modules::of(ModuleId::FIRST),
        }
    }

    pub(super) const fn on(self) -> Modules {
        self.on
    }

    /// How many pairs the switches are.
    pub(super) fn pairs(self) -> usize {
        let count = usize::try_from(self.on.count()).expect("a few");
        count.checked_sub(1).expect("the first module is on")
    }

    pub(super) fn switch_on(&mut self, ctx: &mut Ctx<'_>, module: ModuleId) -> Verdict {
        if self.on.contains(module) {
            return Verdict::ModuleOn { module };
        }
        if !ctx.has_room(SWITCH_BYTES) {
            return Verdict::LimitExceeded {
                limit: rules::STATE_BYTES,
            };
        }
        let (_, old) = ctx.set(SWITCH, &[module.number()], Bytes::new());
        assert!(old.is_none(), "what was off has no pair");
        self.on = self.on.and(Modules::of(module));
        Verdict::ModuleOn { module }
    }

    /// Computes the switches from their pairs, and checks each. `known` are the modules
    /// that this version has.
    ///
    /// # Errors
    /// The pairs are not what switches write, or one is of a module that is not known.
    pub(super) fn load(loading: &Loading<'_>, known: Modules) -> Result<Self, ImageError> {
        let mut switches = Self::new();
        for (key, value) in loading.pairs(SWITCH) {
            let mut name = Reader::from_bytes(key);
            name.u8()?;
            let module: ModuleId = name.get()?;
            name.finish()?;
            ensure(value.is_empty(), "a switch with a value")?;
            ensure(module != ModuleId::FIRST, "a switch of the first module")?;
            if !known.contains(module) {
                return Err(ImageError::Newer);
            }
            switches.on = switches.on.and(Modules::of(module));
        }
        Ok(switches)
    }
}
