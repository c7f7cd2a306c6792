//! The flight recorder: every event that a node takes, as files, so that a run
//! can be stepped through again elsewhere.
//!
//! **What can be replayed.** A node is replayed from its first event on: there is
//! no way to put a node's whole state into a file and begin in the middle. So a
//! run is kept whole or not at all. A run that outgrows the bound stops being
//! recorded, and its last record says so; what was recorded until then replays.
//! When a new run begins, the oldest runs are deleted until there is room for a
//! full one: the ring turns by runs, not by segments.
//!
//! **What is checked.** Each step carries a rolling digest of all effects of the
//! steps before it, so a replay finds the very event at which it differs. The
//! digest is taken over the effects' debug text: it compares builds of the same
//! version, and no others.
//!
//! **What it costs.** Each event is encoded and each effect formatted and hashed
//! on the host's task; writing happens on a thread of its own. A disk that is
//! slower than the node ends the recording, never the node. Files are not synced:
//! a power loss takes the last seconds, and a reader stops at a torn record.
//!
//! | file | holds |
//! |---|---|
//! | `recorder.rs` | [`JournalRecorder`] |
//! | `replay.rs` | [`replay`] |
//! | `header.rs` | the node's configuration as a record |

mod header;
mod recorder;
mod replay;

#[cfg(test)]
mod tests;

pub use recorder::{JournalConfig, JournalRecorder};
pub use replay::{Replay, ReplayEnd, ReplayError, replay};

use decube_core::node::Effect;
use sha2::{Digest as _, Sha256};

/// The layout that this version writes and reads.
const FORMAT: u32 = 1;
/// Segments end in this.
const SUFFIX: &str = "dcj";

/// The rolling digest over all effects of a run.
#[derive(Debug, Default)]
struct EffectDigest([u8; 32]);

impl EffectDigest {
    fn add(&mut self, effects: &[Effect]) {
        let mut hasher = Sha256::new();
        hasher.update(self.0);
        for effect in effects {
            hasher.update(format!("{effect:?}\n"));
        }
        self.0 = hasher.finalize().into();
    }

    fn short(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}
