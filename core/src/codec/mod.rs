//! The one canonical encoding of everything that is hashed, signed, stored or
//! sent between nodes.
//!
//! Integers are fixed-width big-endian; byte strings and sequences carry a
//! `u32` length; enums carry a `u8` tag; options a `0`/`1` tag. Every value has
//! exactly one encoding and every decoder accepts exactly that one, so that
//! `encode(decode(bytes)) == bytes` for all accepted bytes.
//!
//! Decoders are total: they check each length against what is left of the input
//! and against the caller's limit *before* allocating, and return
//! [`DecodeError`]; no input can make them panic.
//!
//! | file | holds |
//! |---|---|
//! | `writer.rs` | [`Encode`], [`Writer`] |
//! | `reader.rs` | [`Decode`], [`Reader`], [`DecodeError`] |
//! | `impls.rs` | the encodings of this crate's basic types |

mod impls;
pub(crate) use impls::codec_newtype;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use reader::{Decode, DecodeError, Reader};
pub use writer::{Encode, Writer};
