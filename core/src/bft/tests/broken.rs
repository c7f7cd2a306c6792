//! What no constructor makes, for the tests of whoever owns a validator.

use alloc::sync::Arc;

use crate::bft::{Bft, ValidatorSet};

impl Bft {
    /// Gives its epoch a sum of powers that is not theirs.
    pub(crate) fn miscount(&mut self) -> Arc<ValidatorSet> {
        let mut set = (*self.epoch.validators).clone();
        set.total += 1;
        self.epoch.validators = Arc::new(set);
        self.epoch.validators.clone()
    }
}
