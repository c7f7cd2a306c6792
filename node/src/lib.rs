//! The `decube` binary: configuration, REST API and command line. No protocol
//! lives here: every decision is made by the core, this crate translates.

pub mod snapshot;
