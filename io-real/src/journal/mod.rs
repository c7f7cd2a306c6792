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
//! Each record carries a checksum of itself, so that a damaged file is told apart
//! from a node that answers otherwise. A file that ends in the middle of a record
//! is one that a crash left; a damaged length at its end looks the same, which is
//! why a replay says how many bytes it left unread.
//!
//! **What is secret.** Events hold what clients wrote and what the log holds, so a
//! recording is as private as the data directory; its directories are open to
//! their owner alone. The key that a node signs with is never written, and none is
//! needed for a replay: the signatures that a step made are recorded after it. A
//! replay gives them back to the node, each only for a statement that it verifies
//! for.
//!
//! **What it costs.** Each event is encoded and each effect formatted and hashed
//! on the host's task; writing happens on a thread of its own. A disk that is
//! slower than the node ends the recording, never the node. Files are not synced:
//! a power loss takes the last seconds, and a reader stops at a torn record.
//!
//! | file | holds |
//! |---|---|
//! | `recorder.rs` | [`JournalRecorder`] |
//! | `replay.rs` | [`runs`], [`Recording`] |
//! | `header.rs` | the node's configuration as a record |
//! | `signatures.rs` | signers that keep what they sign, or give out what was kept |

mod header;
mod recorder;
mod replay;
mod signatures;

#[cfg(test)]
mod tests;

pub use recorder::{JournalConfig, JournalRecorder};
pub use replay::{Recording, Replay, ReplayEnd, ReplayError, Stepped, runs};

use std::ffi::OsStr;

use decube_core::node::Effect;
use decube_proto::journal::{Signed, Step};
use sha2::{Digest as _, Sha256};

/// The layout that this version writes and reads.
const FORMAT: u32 = 8;
/// Segments end in this.
const SUFFIX: &str = "dcj";

/// Names of runs have so many digits.
const RUN_DIGITS: usize = 20;

/// Whether a directory of this name can be a run.
fn is_run_name(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| {
        name.len() == RUN_DIGITS && name.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// What the checksum of a step must be.
fn checksum(step: &Step) -> u64 {
    let mut hasher = Sha256::new();
    hasher.update(step.now_nanos.to_be_bytes());
    hasher.update(step.effects_before.to_be_bytes());
    hasher.update(&step.event);
    first_8(hasher.finalize().into())
}

/// What the checksum of the signatures of a step must be.
fn signed_checksum(signed: &Signed) -> u64 {
    let mut hasher = Sha256::new();
    for signature in &signed.signatures {
        hasher.update(signature);
    }
    first_8(hasher.finalize().into())
}

fn first_8(digest: [u8; 32]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = digest;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

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
        first_8(self.0)
    }
}
