//! What a toy must have, computed from the blocks alone.

use std::collections::BTreeMap;

use decube_core::bft::Height;
use decube_core::crypto::Digest;
use decube_core::toy::Position;

/// The final blocks of a ledger.
#[derive(Debug, Clone, Default)]
pub struct Blocks {
    names: BTreeMap<Height, Digest>,
}

impl Blocks {
    /// A block is final. It may be told again, and is the same then.
    pub fn note(&mut self, height: Height, name: Digest) {
        let before = self.names.insert(height, name);
        assert!(
            before.is_none_or(|before| before == name),
            "one block at {height}"
        );
    }

    /// The last one.
    pub fn tip(&self) -> Height {
        self.names.keys().next_back().copied().unwrap_or_default()
    }

    /// How many were told.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether none was told.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Where a toy is that began behind `from` and has taken all that follows up to `to`;
    /// nothing, if one of them was never told.
    pub fn position(&self, from: Height, to: Height) -> Option<Position> {
        let mut position = match from {
            Height(0) => Position::default(),
            from => Position::default().jump(from),
        };
        for height in from.0 + 1..=to.0 {
            let name = self.names.get(&Height(height))?;
            position = position.take(Height(height), name);
        }
        Some(position)
    }

    /// Why a position is none that a toy may have: it must have taken all blocks up to its
    /// height from a first one on, each once.
    pub fn complaint(&self, position: Position) -> Option<String> {
        let to = position.height;
        let is_it = |from: u64| {
            let expected = self.position(Height(from), to);
            expected.is_some_and(|expected| expected.hash == position.hash)
        };
        let begins = (0..=to.0).find(|from| is_it(*from));
        match begins {
            Some(from) if position.blocks == to.0 - from => None,
            Some(from) => Some(format!(
                "from {from} on there are more or fewer: {position:?}"
            )),
            None => Some(format!("no sequence of blocks gives {position:?}")),
        }
    }
}
