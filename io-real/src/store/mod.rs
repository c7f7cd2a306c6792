//! The key-value engines under the replicated state.
//!
//! The engine holds nothing that the log could not rebuild. What it must promise
//! is [`decube_core::store::Store`]; every engine here passes
//! `decube_core::store::conformance`.
//!
//! | engine | feature | for |
//! |---|---|---|
//! | [`MemoryStore`] | always | tests and simulation lanes: loses everything when dropped |
//! | `EmbeddedStore` | `embedded` | the default: pure Rust |
//!
//! One thread owns the engine ([`StoreThread`]), carries orders out in order and
//! joins consecutive batches into one commit, so that many small batches cost
//! one sync.

#[cfg(feature = "embedded")]
mod embedded;
mod memory;
mod thread;

#[cfg(test)]
mod tests;

#[cfg(feature = "embedded")]
pub use embedded::{EmbeddedError, EmbeddedStore};
pub use memory::MemoryStore;
pub use thread::StoreThread;
