//! The formats that leave the program: `.proto` files and the types generated
//! from them.
//!
//! The generated code is checked in, so that an ordinary build runs no generator
//! and needs no `protoc`. The test `generated` fails when it does not match the
//! `.proto` files, and says how to renew it.

/// The flight recorder's files.
pub mod journal {
    #![allow(missing_docs, clippy::all, reason = "generated")]
    include!("gen/decube.journal.v1.rs");
}
