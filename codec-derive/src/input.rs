//! The type that a macro is called for, taken apart.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens as _, format_ident, quote};
use syn::{Data, DeriveInput, Error, Expr, Fields, Generics, Lit, Member, Path, Result, Type};

use crate::attributes::{OfField, OfType, OfVariant};

/// A type.
pub struct Input {
    pub name: Ident,
    pub generics: Generics,
    /// Its name in errors.
    pub what: String,
    pub check: Option<Path>,
    pub asserted: bool,
    pub version: Option<Expr>,
    pub shape: Shape,
}

/// What is written.
pub enum Shape {
    Structure(Vec<Field>),
    Enum(Vec<Variant>),
}

/// A variant of an enum.
pub struct Variant {
    pub name: Ident,
    /// A literal or a path: a pattern as well as an expression.
    pub tag: Expr,
    pub fields: Vec<Field>,
}

/// A field of a structure or of a variant.
pub struct Field {
    pub member: Member,
    pub of: Type,
    /// The variable that holds it.
    pub variable: Ident,
    /// Its name in errors.
    pub label: String,
    pub max: Option<TokenStream>,
    pub with: Option<Path>,
}

impl Input {
    /// Takes a type apart.
    ///
    /// # Errors
    /// Where it has no encoding, or an attribute is missing or unknown.
    pub fn new(input: DeriveInput) -> Result<Self> {
        let OfType {
            what,
            check,
            asserted,
            version,
        } = OfType::parse(&input.attrs)?;
        let shape = match input.data {
            Data::Struct(data) => Shape::Structure(fields(&data.fields, None)?),
            Data::Enum(data) if data.variants.is_empty() => {
                return Err(Error::new_spanned(&input.ident, "there is no value"));
            }
            Data::Enum(data) => {
                let variants = data.variants.iter().map(Variant::new);
                Shape::Enum(variants.collect::<Result<_>>()?)
            }
            Data::Union(_) => {
                return Err(Error::new_spanned(&input.ident, "a union has no format"));
            }
        };
        Ok(Self {
            what: what.map_or_else(|| words(&input.ident.to_string()), |what| what.value()),
            name: input.ident,
            generics: input.generics,
            check,
            asserted,
            version,
            shape,
        })
    }

    /// Structures are rows of calls, most of which vanish where they are inlined; a third of the
    /// time of decoding a long list of entries does. Enums are left to the compiler.
    pub fn inline(&self) -> Option<TokenStream> {
        matches!(self.shape, Shape::Structure(_)).then(|| quote!(#[inline]))
    }

    /// `impl<…> Trait for Type<…> where …`, every parameter of which has the trait as well.
    pub fn header(&self, which: &str) -> TokenStream {
        let which = Ident::new(which, Span::call_site());
        let mut generics = self.generics.clone();
        for parameter in generics.type_params_mut() {
            let bound = quote!(::decube_core::codec::#which);
            parameter.bounds.push(syn::parse_quote!(#bound));
        }
        let name = &self.name;
        let (parameters, arguments, conditions) = generics.split_for_impl();
        quote!(impl #parameters ::decube_core::codec::#which for #name #arguments #conditions)
    }
}

impl Variant {
    fn new(variant: &syn::Variant) -> Result<Self> {
        let said = OfVariant::parse(&variant.attrs)?.tag;
        let discriminant = variant.discriminant.as_ref().map(|(_, number)| number);
        let tag = match (said, discriminant) {
            (Some(tag), None) => tag,
            (None, Some(tag)) => tag.clone(),
            (None, None) => {
                let missing = "a variant needs a tag that never changes: #[codec(tag = N)]";
                return Err(Error::new_spanned(&variant.ident, missing));
            }
            (Some(_), Some(tag)) => {
                return Err(Error::new_spanned(tag, "the discriminant is the tag"));
            }
        };
        Ok(Self {
            name: variant.ident.clone(),
            tag: plain(tag)?,
            fields: fields(&variant.fields, Some(&variant.ident))?,
        })
    }
}

/// The literal or path that a tag is, without what a macro put around it.
fn plain(tag: Expr) -> Result<Expr> {
    match tag {
        Expr::Group(group) => plain(*group.expr),
        Expr::Path(_) => Ok(tag),
        Expr::Lit(ref literal) if matches!(literal.lit, Lit::Int(_) | Lit::Byte(_)) => Ok(tag),
        other => Err(Error::new_spanned(other, "a tag is a number or a constant")),
    }
}

fn fields(fields: &Fields, variant: Option<&Ident>) -> Result<Vec<Field>> {
    let count = fields.len();
    let members = fields.members();
    let numbered = members.zip(fields).enumerate();
    numbered
        .map(|(place, (member, field))| {
            let OfField { max, with } = OfField::parse(&field.attrs)?;
            let own = member.to_token_stream().to_string();
            let label = match (variant, &member) {
                (None, Member::Unnamed(_)) if count == 1 => "value".to_owned(),
                (None, _) => own,
                (Some(variant), Member::Unnamed(_)) if count == 1 => variant.to_string(),
                (Some(variant), _) => format!("{variant}.{own}"),
            };
            Ok(Field {
                member,
                of: field.ty.clone(),
                variable: format_ident!("field_{place}"),
                label,
                max,
                with,
            })
        })
        .collect()
}

/// `AppendResult` as "append result".
fn words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}
