//! What `Decode` is derived as.

use proc_macro2::TokenStream;
use quote::quote;

use crate::input::{Field, Input, Shape};

/// The `impl` of `Decode`.
pub fn implementation(input: &Input) -> TokenStream {
    let header = input.header("Decode");
    let what = &input.what;
    let version = input.version.as_ref().map(|version| {
        let wrong = format!("version of {what}");
        quote!(reader.constant(&#version, #wrong)?;)
    });
    let value = match &input.shape {
        Shape::Structure(fields) => {
            let values = values(what, fields);
            quote!(Self { #values })
        }
        Shape::Enum(_) => of_enum(input),
    };
    let checked = match &input.check {
        None => quote!(::core::result::Result::Ok(#value)),
        Some(check) => quote! {
            let value = #value;
            match #check(&value) {
                ::core::result::Result::Ok(()) => ::core::result::Result::Ok(value),
                ::core::result::Result::Err(what) => ::core::result::Result::Err(
                    ::decube_core::codec::DecodeError::Invalid { what },
                ),
            }
        },
    };
    let distinct = distinct(input);
    let inline = input.inline();
    quote! {
        #[automatically_derived]
        #header {
            #inline
            fn decode(
                reader: &mut ::decube_core::codec::Reader<'_>,
            ) -> ::core::result::Result<Self, ::decube_core::codec::DecodeError> {
                #version
                #checked
            }
        }

        #distinct
    }
}

fn of_enum(input: &Input) -> TokenStream {
    let what = &input.what;
    let Shape::Enum(variants) = &input.shape else {
        return TokenStream::new();
    };
    let arms = variants.iter().map(|variant| {
        let (name, tag) = (&variant.name, &variant.tag);
        let values = values(what, &variant.fields);
        quote!(#tag => Self::#name { #values })
    });
    quote! {
        match reader.u8()? {
            #(#arms,)*
            tag => return ::core::result::Result::Err(
                ::decube_core::codec::DecodeError::UnknownTag { what: #what, tag },
            ),
        }
    }
}

/// The fields of a literal, each read where it stands.
fn values(what: &str, fields: &[Field]) -> TokenStream {
    let values = fields.iter().map(|field| {
        let Field {
            member, of, label, ..
        } = field;
        let value = match (&field.with, &field.max) {
            (Some(with), _) => quote!(#with::decode(reader)?),
            (None, None) => quote!(<#of as ::decube_core::codec::Decode>::decode(reader)?),
            (None, Some(max)) => quote! {
                <#of as ::decube_core::codec::DecodeBounded<_>>::decode_bounded(
                    reader,
                    #max,
                    &::decube_core::codec::Field { what: #what, name: #label },
                )?
            },
        };
        quote!(#member: #value)
    });
    quote!(#(#values),*)
}

/// That no two tags are equal: a constant may be the number of another.
fn distinct(input: &Input) -> TokenStream {
    let Shape::Enum(variants) = &input.shape else {
        return TokenStream::new();
    };
    let tags = variants.iter().map(|variant| &variant.tag);
    quote! {
        const _: () = ::core::assert!(
            ::decube_core::codec::are_distinct(&[#(#tags),*]),
            "two variants have one tag",
        );
    }
}
