//! The suites that run whole clusters in the simulator.
//!
//! The scenarios and the machinery live in `io-sim`, so that the `decube` binary
//! can run them as well; here are the suites, the corpus of recorded failures,
//! and what the suites share: reading the environment and printing so that
//! counts appear in plain `cargo test` output.
