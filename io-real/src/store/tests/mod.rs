//! The engines against the suite of the core, and the thread in front of them.

mod conformance;
mod engines;
#[cfg(feature = "embedded")]
mod power_loss;
#[cfg(feature = "rocksdb")]
mod rocks;
mod thread;
