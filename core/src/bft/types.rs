//! Numbers of the ledger as types of their own: a view cannot be passed for a
//! height.

use alloc::collections::BTreeMap;
use core::fmt;

use crate::codec::{Decode, Encode};

/// A span of the ledger with one set of validators. The first epoch is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct Epoch(pub u64);

/// One attempt of one leader to extend the chain. Views of an epoch begin with
/// 1; view 0 is that of the block which the epoch rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct View(pub u64);

/// A position in the chain. The genesis block has height 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct Height(pub u64);

/// A validator's place in the set of its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct ValidatorIndex(pub u16);

/// Voting power. Sums are taken in `u128`, so no set of validators overflows one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct Power(pub u64);

/// Numbers the writes of a validator, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct PersistSeq(pub u64);

impl View {
    /// The following view. Overflow is a broken invariant and panics.
    pub const fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("view overflow"))
    }

    /// The preceding view, or `None` for that of the epoch's root.
    pub const fn prev(self) -> Option<Self> {
        match self.0.checked_sub(1) {
            Some(view) => Some(Self(view)),
            None => None,
        }
    }

    /// The views strictly between `self` and `later`, ascending.
    pub fn until(self, later: Self) -> impl DoubleEndedIterator<Item = Self> {
        (self.next().0..later.0).map(Self)
    }
}

/// Drops what is kept of views before this one. It is called at each step and little is
/// dropped at a time, so the map is not rebuilt.
pub(crate) fn drop_before<T>(kept: &mut BTreeMap<View, T>, view: View) {
    while let Some((oldest, _)) = kept.first_key_value() {
        if *oldest >= view {
            return;
        }
        kept.pop_first();
    }
}

impl Height {
    /// The following height. Overflow is a broken invariant and panics.
    pub const fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("height overflow"))
    }
}

impl PersistSeq {
    /// The following number. Overflow is a broken invariant and panics.
    pub const fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("writes can be numbered"))
    }
}

impl ValidatorIndex {
    /// The place as a position in a list.
    pub const fn position(self) -> usize {
        self.0 as usize
    }
}

macro_rules! display_number {
    ($($name:ident),+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )+};
}

display_number!(Epoch, View, Height, Power, PersistSeq, ValidatorIndex);
