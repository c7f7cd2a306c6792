//! Tests of what is common to all modules. What needs something to keep is tested with
//! the first module (`kv/tests`), and with a module that only tests have (`toy`).

#![allow(clippy::unwrap_used, reason = "a test may panic where it fails")]

mod cow;
mod digest;
mod golden;
mod modules;
mod switches;
pub(crate) mod toy;

pub(crate) use super::digest::PairSum;

impl<M: super::Module> super::Replica<M> {
    /// As if the state had taken the place of others before.
    pub(crate) fn set_generation(&mut self, generation: super::Generation) {
        self.shared.generation = generation;
    }
}
