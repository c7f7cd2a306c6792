//! What `#[codec(…)]` says.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, LitStr, Path, Result, Token, bracketed, token};

/// Of a type.
#[derive(Default)]
pub struct OfType {
    pub what: Option<LitStr>,
    pub check: Option<Path>,
    /// Whether the encoder asserts the check.
    pub asserted: bool,
    pub version: Option<Expr>,
}

/// Of a variant.
#[derive(Default)]
pub struct OfVariant {
    pub tag: Option<Expr>,
}

/// Of a field.
#[derive(Default)]
pub struct OfField {
    /// The bound, as an expression.
    pub max: Option<TokenStream>,
    pub with: Option<Path>,
}

impl OfType {
    /// Reads those of a type.
    pub fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut found = Self::default();
        each(attributes, |name, input| match name {
            "what" => set(&mut found.what, input.parse()?, input),
            "check" => set(&mut found.check, input.parse()?, input),
            "version" => set(&mut found.version, input.parse()?, input),
            "asserted_check" => {
                found.asserted = true;
                set(&mut found.check, input.parse()?, input)
            }
            _ => Err(input.error("a type has `what`, `check` or `asserted_check`, and `version`")),
        })?;
        Ok(found)
    }
}

impl OfVariant {
    /// Reads those of a variant.
    pub fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut found = Self::default();
        each(attributes, |name, input| match name {
            "tag" => set(&mut found.tag, input.parse()?, input),
            _ => Err(input.error("a variant has `tag`")),
        })?;
        Ok(found)
    }
}

impl OfField {
    /// Reads those of a field.
    pub fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut found = Self::default();
        each(attributes, |name, input| match name {
            "max" => set(&mut found.max, bound(input)?, input),
            "with" => set(&mut found.with, input.parse()?, input),
            _ => Err(input.error("a field has `max` or `with`")),
        })?;
        if let (Some(max), Some(_)) = (&found.max, &found.with) {
            let both = "what `with` names knows its bound itself";
            return Err(syn::Error::new_spanned(max, both));
        }
        Ok(found)
    }
}

/// Hands each `name = …` to who knows the names.
fn each(
    attributes: &[Attribute],
    mut take: impl FnMut(&str, ParseStream<'_>) -> Result<()>,
) -> Result<()> {
    let ours = |attribute: &&Attribute| attribute.path().is_ident("codec");
    for attribute in attributes.iter().filter(ours) {
        attribute.parse_nested_meta(|meta| {
            let name = meta.path.to_token_stream().to_string();
            take(&name, meta.value()?)
        })?;
    }
    Ok(())
}

fn set<T>(place: &mut Option<T>, value: T, input: ParseStream<'_>) -> Result<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(input.error("this was said before")),
    }
}

/// `N`, `[N, M]` and so on, as the value that `DecodeBounded` takes: lists are tuples, and
/// `_` is the unit.
fn bound(input: ParseStream<'_>) -> Result<TokenStream> {
    if input.peek(Token![_]) {
        input.parse::<Token![_]>()?;
        return Ok(quote!(()));
    }
    if input.peek(token::Bracket) {
        let inner;
        bracketed!(inner in input);
        let parts = Punctuated::<TokenStream, Token![,]>::parse_terminated_with(&inner, bound)?;
        let parts = parts.into_iter();
        return Ok(quote!((#(#parts),*)));
    }
    let number: Expr = input.parse()?;
    Ok(quote!(::core::convert::identity::<usize>(#number)))
}
