//! Modules of the replicated state, by number.

use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};

/// A module of the replicated state of clusters ([`crate::replica::Module`]). Which one a
/// number stands for never changes, for it is in logs and states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleId(u8);

impl ModuleId {
    /// The module that every state has: the one from before there were others.
    pub const FIRST: Self = Self(0);

    /// Numbers below this one are modules: as many as a set has bits.
    pub const END: u8 = 64;

    /// The module of this number, if it is one.
    pub const fn new(number: u8) -> Option<Self> {
        if number < Self::END {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl Encode for ModuleId {
    const SIZE: Option<usize> = Some(1);

    fn encode(&self, writer: &mut Writer) {
        writer.u8(self.number());
    }

    fn size_hint(&self) -> usize {
        1
    }
}

// Not derived: a number that is too high for a module may be one for a newer version, as
// the tag of a variant may, and is no damage.
impl Decode for ModuleId {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let tag = reader.u8()?;
        let what = "module";
        Self::new(tag).ok_or(DecodeError::UnknownTag { what, tag })
    }
}

impl core::fmt::Display for ModuleId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// A set of modules: a bit for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Modules(pub u64);

const _: () = assert!(ModuleId::END as u32 == u64::BITS);

impl Modules {
    /// No module.
    pub const NONE: Self = Self(0);

    /// One module.
    pub const fn of(module: ModuleId) -> Self {
        Self(1 << module.0)
    }

    /// The modules of both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The set without one of them.
    #[must_use]
    pub const fn without(self, module: ModuleId) -> Self {
        Self(self.0 & !Self::of(module).0)
    }

    /// Whether a module is in the set.
    pub const fn contains(self, module: ModuleId) -> bool {
        self.0 & Self::of(module).0 != 0
    }

    /// How many modules.
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// The modules, by number.
    pub fn iter(self) -> impl Iterator<Item = ModuleId> {
        (0..ModuleId::END)
            .map(ModuleId)
            .filter(move |module| self.contains(*module))
    }
}
