//! What `Encode` is derived as.

use proc_macro2::TokenStream;
use quote::quote;

use crate::input::{Field, Input, Shape, Variant};

/// The `impl` of `Encode`.
pub fn implementation(input: &Input) -> TokenStream {
    let header = input.header("Encode");
    let version = input.version.as_ref();
    let check = input.check.as_ref().filter(|_| input.asserted);
    let assert = check.map(|check| {
        let broken = format!("the maker of this {} keeps its rules", input.what);
        quote!(::core::assert!(#check(self).is_ok(), #broken);)
    });
    let put_version = version.map(|version| quote!(writer.put(&#version);));
    let version_size = version
        .map(|version| quote!(.saturating_add(::decube_core::codec::Encode::size_hint(&#version))));
    let size = fixed_size(input);
    let keeps_rules = input
        .check
        .as_ref()
        .map(|check| quote!(&& #check(self).is_ok()));
    let inline = input.inline();
    let Bodies { put, sum, bounds } = match &input.shape {
        Shape::Structure(fields) => of_structure(fields),
        Shape::Enum(variants) => of_enum(variants),
    };
    quote! {
        #[automatically_derived]
        #header {
            const SIZE: ::core::option::Option<usize> = #size;

            #inline
            fn encode(&self, writer: &mut ::decube_core::codec::Writer) {
                #assert
                #put_version
                #put
            }

            #inline
            fn size_hint(&self) -> usize {
                match Self::SIZE {
                    ::core::option::Option::Some(size) => size,
                    ::core::option::Option::None => (#sum)#version_size,
                }
            }

            fn is_readable(&self) -> bool {
                #bounds #keeps_rules
            }
        }
    }
}

/// How many bytes every value takes, if that is known from the types alone.
fn fixed_size(input: &Input) -> TokenStream {
    let none = quote!(::core::option::Option::None);
    match &input.shape {
        _ if input.version.is_some() => none,
        Shape::Structure(fields) if fields.iter().any(|field| field.with.is_some()) => none,
        Shape::Structure(fields) => {
            let types = fields.iter().map(|field| &field.of);
            quote! {
                ::decube_core::codec::total(&[#(<#types as ::decube_core::codec::Encode>::SIZE),*])
            }
        }
        Shape::Enum(variants) if variants.iter().all(|variant| variant.fields.is_empty()) => {
            quote!(::core::option::Option::Some(1))
        }
        Shape::Enum(_) => none,
    }
}

/// What the methods do with the fields.
struct Bodies {
    put: TokenStream,
    sum: TokenStream,
    bounds: TokenStream,
}

fn of_structure(fields: &[Field]) -> Bodies {
    let members: Vec<_> = fields
        .iter()
        .map(|field| {
            let member = &field.member;
            quote!(&self.#member)
        })
        .collect();
    Bodies {
        put: puts(fields, &members),
        sum: sum(0, fields, &members),
        bounds: bounds(fields, &members),
    }
}

fn of_enum(variants: &[Variant]) -> Bodies {
    let (mut puts_of, mut sums, mut bounds_of) = (Vec::new(), Vec::new(), Vec::new());
    for Variant { name, tag, fields } in variants {
        let members = fields.iter().map(|field| &field.member);
        let variables: Vec<_> = fields.iter().map(|field| &field.variable).collect();
        let values: Vec<_> = variables.iter().map(|variable| quote!(#variable)).collect();
        let put = puts(fields, &values);
        let sum = sum(1, fields, &values);
        let bounds = bounds(fields, &values);
        let pattern = quote!(Self::#name { #(#members: #variables),* });
        puts_of.push(quote!(#pattern => { writer.u8(#tag); #put }));
        sums.push(quote!(#pattern => #sum));
        bounds_of.push(quote!(#pattern => #bounds));
    }
    Bodies {
        put: quote!(match self { #(#puts_of,)* }),
        sum: quote!(match self { #(#sums,)* }),
        bounds: quote!((match self { #(#bounds_of,)* })),
    }
}

/// Whether these fields are within their bounds, each and what is in it.
fn bounds(fields: &[Field], values: &[TokenStream]) -> TokenStream {
    let bounds = fields.iter().zip(values).map(|(field, value)| {
        let (inner, own) = (inner(field, value), within(field, value));
        let own = own.map(|own| quote!(&& #own));
        quote!(&& #inner #own)
    });
    quote!(true #(#bounds)*)
}

/// Whether what is in a field is within its bounds; code of its own is trusted.
fn inner(field: &Field, value: &TokenStream) -> TokenStream {
    match &field.with {
        Some(_) => quote!({ let _ = #value; true }),
        None => quote!(::decube_core::codec::Encode::is_readable(#value)),
    }
}

/// Whether a field is within the bound that it has, if it has one.
fn within(field: &Field, value: &TokenStream) -> Option<TokenStream> {
    let Field { of, max, .. } = field;
    let max = max.as_ref()?;
    Some(quote!(<#of as ::decube_core::codec::DecodeBounded<_>>::fits(#value, #max)))
}

/// The statements that write these fields. Each is a call of what the type has: nothing is
/// looked up and nothing allocated.
fn puts(fields: &[Field], values: &[TokenStream]) -> TokenStream {
    let puts = fields.iter().zip(values).map(|(field, value)| {
        let module = match &field.with {
            Some(with) => quote!(#with),
            None => quote!(::decube_core::codec::Encode),
        };
        let assert = fits(field, value);
        quote!(#assert #module::encode(#value, writer);)
    });
    quote!(#(#puts)*)
}

/// What was written has to be read again, by oneself after a restart or by others: a value
/// over its bound stops whoever writes it, before it becomes damage on a disk.
fn fits(field: &Field, value: &TokenStream) -> Option<TokenStream> {
    let within = within(field, value)?;
    let broken = format!("`{}` is within its bound when it is written", field.label);
    Some(quote!(writer.assert_fits(#within, #broken);))
}

/// The bytes that these fields take behind so many others.
fn sum(before: usize, fields: &[Field], values: &[TokenStream]) -> TokenStream {
    let sizes = fields.iter().zip(values).map(|(field, value)| {
        let module = match &field.with {
            Some(with) => quote!(#with),
            None => quote!(::decube_core::codec::Encode),
        };
        quote!(.saturating_add(#module::size_hint(#value)))
    });
    quote!(#before #(#sizes)*)
}
