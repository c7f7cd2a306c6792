//! The derive macros of the canonical codec: `#[derive(Encode, Decode)]`.
//!
//! They are re-exported by `decube_core::codec`, beside the traits of the same names, and
//! what they write names that crate. Fields are written in the order of their declaration,
//! one after the other; an enum begins with the tag of its variant. Whatever makes a format
//! stands on the type: nothing is numbered by its place, and nothing is unbounded.
//!
//! | on | attribute | means |
//! |---|---|---|
//! | a variant | `tag = N` | its tag, a `u8`: a number or the path of a constant |
//! | a field | `max = N` | the most bytes or elements; `max = [N, M]` for a list of byte strings, `max = [N, [K, V]]` for a list of pairs, `_` for what has no bound |
//! | a field | `with = path` | functions `encode`, `decode` and `size_hint` of that module instead of the type's own |
//! | a type | `what = "…"` | its name in errors; without it the words of its own name |
//! | a type | `check = path` | `fn(&Self) -> Result<(), &'static str>`: what must hold of a decoded value |
//! | a type | `asserted_check = path` | the same, and the encoder asserts it |
//! | a type | `version = EXPR` | a constant in front, which must be there |
//!
//! A variant of an enum without fields may have its tag as its discriminant, `Variant = 7`.
//!
//! Examples, and what does not compile, stand in the documentation of `decube_core::codec`.

mod attributes;
mod decode;
mod encode;
mod input;

use proc_macro::TokenStream;
use syn::DeriveInput;

use input::Input;

/// Writes `impl Encode` for a structure or an enum.
#[proc_macro_derive(Encode, attributes(codec))]
pub fn derive_encode(tokens: TokenStream) -> TokenStream {
    expand(tokens, encode::implementation)
}

/// Writes `impl Decode` for a structure or an enum.
#[proc_macro_derive(Decode, attributes(codec))]
pub fn derive_decode(tokens: TokenStream) -> TokenStream {
    expand(tokens, decode::implementation)
}

fn expand(tokens: TokenStream, write: fn(&Input) -> proc_macro2::TokenStream) -> TokenStream {
    let parsed = syn::parse::<DeriveInput>(tokens).and_then(Input::new);
    match parsed {
        Ok(input) => write(&input).into(),
        Err(error) => error.into_compile_error().into(),
    }
}
