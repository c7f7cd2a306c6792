//! Who waits for which part.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::parts::PartId;
use crate::types::RequestId;

/// All requests that no part has answered yet.
#[derive(Debug, Default, Hash)]
pub(super) struct Clients {
    open: BTreeMap<RequestId, Open>,
}

#[derive(Debug, Hash)]
struct Open {
    part: PartId,
    /// Whether the request may change something.
    is_change: bool,
    /// Whether its client is gone: what is answered to it is dropped.
    is_cancelled: bool,
}

impl Clients {
    /// Remembers who is asked.
    ///
    /// # Panics
    /// If the shell uses an id twice.
    pub(super) fn open(&mut self, id: RequestId, part: PartId, is_change: bool) {
        let open = Open {
            part,
            is_change,
            is_cancelled: false,
        };
        let before = self.open.insert(id, open);
        assert!(before.is_none(), "{id} is open already");
    }

    /// A client is gone; the part that it had asked, if that has not answered.
    pub(super) fn cancel(&mut self, id: RequestId) -> Option<PartId> {
        let open = self.open.get_mut(&id).filter(|open| !open.is_cancelled)?;
        open.is_cancelled = true;
        Some(open.part)
    }

    /// A part gives its last answer; whether somebody waits for it.
    ///
    /// # Panics
    /// If nothing is open under this id: the part answers twice, or a stranger.
    pub(super) fn close(&mut self, id: RequestId) -> bool {
        let open = self.open.remove(&id);
        let open = open.unwrap_or_else(|| panic!("{id} is answered and not open"));
        !open.is_cancelled
    }

    /// A part tells something; whether somebody listens.
    ///
    /// # Panics
    /// If nothing is open under this id.
    pub(super) fn listens(&self, id: RequestId) -> bool {
        let open = self.open.get(&id);
        let open = open.unwrap_or_else(|| panic!("{id} is told something and not open"));
        !open.is_cancelled
    }

    /// Forgets a request that never reached its part.
    pub(super) fn forget(&mut self, id: RequestId) {
        let before = self.open.remove(&id);
        assert!(before.is_some(), "{id} was open");
    }

    /// What is open with a part, and whether it may change something.
    pub(super) fn of(&self, part: PartId) -> Vec<(RequestId, bool)> {
        let of_part = self.open.iter().filter(|(_, open)| open.part == part);
        of_part.map(|(id, open)| (*id, open.is_change)).collect()
    }

    /// How many requests are open, cancelled ones that are still worked on included.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }
}
