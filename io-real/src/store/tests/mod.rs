//! The engines against the suite of the core, and the thread in front of them.

mod conformance;
#[cfg(feature = "embedded")]
mod power_loss;
mod thread;
