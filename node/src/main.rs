//! The `decube` binary.

fn main() {}
