//! What tests drive machines with. Nothing of it is in a program.
//!
//! | file | holds |
//! |---|---|
//! | `disk.rs` | a volume in memory: what was written, what of it is durable, what a crash takes |
//! | `setting.rs` | what the loop has to know of the machines that it drives |
//! | `event_loop.rs` | nodes with their disks, a network, a clock, clients, all drawn from one seed |
//!
//! The loop is for the tests of what is put together from machines: parts, and nodes with
//! one. Machines without storage or clients have smaller ones of their own; all faults at
//! once are the business of the simulator.

mod disk;
#[cfg(test)]
mod event_loop;
#[cfg(test)]
mod setting;
#[cfg(test)]
mod tests;

pub use disk::{Disk, Loss};
#[cfg(test)]
pub(crate) use event_loop::{Faults, Rig, Slot, WALL_BEGIN_MS};
#[cfg(test)]
pub(crate) use setting::Setting;
