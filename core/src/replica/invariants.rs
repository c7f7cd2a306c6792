//! What always holds of a state. Named in the module's documentation.

use super::command::LogTime;
use super::digest::PairSum;
use super::image::size;
use super::load::derive;
use super::module::Module;
use super::state::Replica;

impl<M: Module> Replica<M> {
    /// Invariants that cost nothing to check; run at the end of every entry.
    pub(super) fn invariants(&self) {
        let (shared, held) = (&self.shared, self.module.held());
        // RevisionApplied
        assert!(shared.revision.0 <= shared.applied.index.0);
        // OneEndEach
        assert!(shared.expiry.len() == held.holders + self.sessions.count());
        // OneNonceEach, Bounds
        self.sessions.invariants(shared.config.sessions_max);
        // NothingElse
        let of_sessions = self.sessions.count() + self.sessions.answers();
        let pairs = held.pairs + of_sessions + self.switches.pairs();
        assert!(pairs == shared.image.map.len());
    }

    /// All invariants, at the cost of a walk over the whole state: for tests and
    /// the simulator. Panics if one is broken.
    pub fn audit(&self) {
        self.invariants();
        let shared = &self.shared;
        // Derivable
        let derived = derive(
            &shared.config,
            &self.module,
            &shared.header(),
            &shared.image,
        );
        let derived = derived.expect("the image is consistent");
        assert!(derived.expiry == shared.expiry, "ends match the image");
        assert!(derived.sessions == self.sessions, "sessions match");
        assert!(derived.switches == self.switches, "switches match");
        assert!(
            derived.module.has_indexes_of(&self.module),
            "indexes match the image"
        );
        // Digest, Size, Ordered
        let mut sum = PairSum::default();
        let mut bytes = 0;
        let mut last: Option<&[u8]> = None;
        for (key, value) in shared.image.map.iter() {
            assert!(last < Some(key.as_ref()), "keys ascend");
            last = Some(key);
            sum.add(key, value);
            bytes += size(key.len() + value.len());
        }
        assert!(sum == shared.image.sum, "the sum is the sum of the pairs");
        assert!(
            bytes == shared.image.bytes,
            "the size is the size of the pairs"
        );
        // NothingOverdue; at the end of time nothing can end later.
        if let Some(next) = self.next_expiry() {
            let end_of_time = shared.log_time == LogTime(u64::MAX);
            assert!(
                next > shared.log_time || end_of_time,
                "what is due has ended"
            );
        }
        self.module.audit();
    }
}
