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
//! [`DecodeError`]; no input can make them panic. Encoders keep the same bounds, by an
//! assert: what could not be read again is never written.
//!
//! | file | holds |
//! |---|---|
//! | `writer.rs` | [`Encode`], [`Writer`] |
//! | `reader.rs` | [`Decode`], [`DecodeBounded`], [`Reader`], [`DecodeError`] |
//! | `impls.rs` | the encodings of what types are made of |
//!
//! # Types
//!
//! A type derives its encoding ([`decube_codec_derive`] lists the attributes): its fields
//! one after the other, as they are declared. Whatever makes the format stands on the type:
//! no tag is counted, and nothing is unbounded.
//!
//! ```
//! use decube_core::codec::{Decode, DecodeError, Encode};
//!
//! const WORD_BYTES_MAX: usize = 4;
//!
//! #[derive(Debug, PartialEq, Encode, Decode)]
//! enum Word {
//!     #[codec(tag = 0)]
//!     Silence,
//!     #[codec(tag = 7)]
//!     Text(#[codec(max = WORD_BYTES_MAX)] String),
//! }
//!
//! let bytes = Word::Text("word".into()).to_bytes();
//! assert_eq!(bytes[..], *b"\x07\0\0\0\x04word");
//! assert_eq!(Word::from_bytes(&bytes), Ok(Word::Text("word".into())));
//!
//! let error = Word::from_slice(b"\x07\0\0\0\x05words").unwrap_err();
//! assert_eq!(error.to_string(), "length 5 of `Text` in word is over the limit 4");
//! ```
//!
//! A variant without a tag does not compile:
//!
//! ```compile_fail
//! # use decube_core::codec::{Decode, Encode};
//! #[derive(Encode, Decode)]
//! enum Word {
//!     #[codec(tag = 0)]
//!     Silence,
//!     Noise,
//! }
//! ```
//!
//! nor do two variants with one tag, be they numbers or constants:
//!
//! ```compile_fail,E0080
//! # use decube_core::codec::{Decode, Encode};
//! const NOISE: u8 = 0;
//!
//! #[derive(Encode, Decode)]
//! enum Word {
//!     #[codec(tag = 0)]
//!     Silence,
//!     #[codec(tag = NOISE)]
//!     Noise,
//! }
//! ```
//!
//! nor a field that needs a bound and has none:
//!
//! ```compile_fail,E0277
//! # use decube_core::codec::{Decode, Encode};
//! #[derive(Encode, Decode)]
//! struct Word {
//!     text: String,
//! }
//! ```
//!
//! nor a list whose elements have none, where `max = [8, 4]` gives both:
//!
//! ```compile_fail,E0277
//! # use decube_core::codec::{Decode, Encode};
//! #[derive(Encode, Decode)]
//! struct Words {
//!     #[codec(max = 8)]
//!     texts: Vec<String>,
//! }
//! ```

mod impls;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use decube_codec_derive::{Decode, Encode};
pub use reader::{Decode, DecodeBounded, DecodeError, Field, Reader};
pub use writer::{Encode, Writer, are_distinct, total};
