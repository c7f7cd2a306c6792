//! The real shell around the core.

#[cfg(feature = "blobs")]
pub mod blobs;
