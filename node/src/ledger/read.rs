//! Getting fields out of documents that somebody else wrote.

use decube_core::crypto::{Digest, PublicKey, Signature, hex};
use serde_json::Value;

/// Why a document was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {what}")]
pub struct DocumentError {
    /// Where, as a path of names.
    pub at: String,
    /// What is wrong there.
    pub what: String,
}

/// A part of a document, with the way to it.
#[derive(Debug, Clone)]
pub struct Part<'a> {
    value: &'a Value,
    at: String,
}

impl<'a> Part<'a> {
    /// A whole document.
    pub fn new(value: &'a Value, name: &str) -> Self {
        Self {
            value,
            at: name.to_owned(),
        }
    }

    /// The value itself.
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// A field that has to be there.
    pub fn get(&self, name: &str) -> Result<Self, DocumentError> {
        let at = format!("{}.{name}", self.at);
        match self.value.get(name) {
            Some(value) => Ok(Self { value, at }),
            None => Err(DocumentError {
                at,
                what: "is missing".to_owned(),
            }),
        }
    }

    /// A field that may be absent or null.
    pub fn find(&self, name: &str) -> Option<Self> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        let at = format!("{}.{name}", self.at);
        Some(Self { value, at })
    }

    /// An error at this place.
    pub fn error(&self, what: impl Into<String>) -> DocumentError {
        DocumentError {
            at: self.at.clone(),
            what: what.into(),
        }
    }

    /// A list, of at most so many parts.
    pub fn list(&self, most: usize) -> Result<Vec<Self>, DocumentError> {
        let list = self
            .value
            .as_array()
            .ok_or_else(|| self.error("is not a list"))?;
        if list.len() > most {
            return Err(self.error(format!("has more than {most} entries")));
        }
        let part = |(place, value)| Self {
            value,
            at: format!("{}[{place}]", self.at),
        };
        Ok(list.iter().enumerate().map(part).collect())
    }

    /// A text.
    pub fn text(&self) -> Result<&'a str, DocumentError> {
        self.value
            .as_str()
            .ok_or_else(|| self.error("is not a text"))
    }

    /// A whole number.
    pub fn number<T: TryFrom<u64>>(&self) -> Result<T, DocumentError> {
        let number = self.value.as_u64();
        let number = number.ok_or_else(|| self.error("is not a whole number"))?;
        T::try_from(number).map_err(|_| self.error("is too large"))
    }

    /// True or false.
    pub fn flag(&self) -> Result<bool, DocumentError> {
        self.value
            .as_bool()
            .ok_or_else(|| self.error("is not true or false"))
    }

    /// A number of 128 bits in hexadecimal, as ids are written.
    pub fn id(&self) -> Result<u128, DocumentError> {
        hex::decode_array::<16>(bare(self.text()?))
            .map(u128::from_be_bytes)
            .map_err(|error| self.error(error.to_string()))
    }

    /// A hash.
    pub fn digest(&self) -> Result<Digest, DocumentError> {
        hex::decode_array(bare(self.text()?))
            .map(Digest)
            .map_err(|error| self.error(error.to_string()))
    }

    /// Bytes in hexadecimal, at most so many.
    pub fn bytes(&self, most: usize) -> Result<Vec<u8>, DocumentError> {
        hex::decode_bounded(bare(self.text()?), most).map_err(|error| self.error(error.to_string()))
    }

    /// A public key.
    pub fn key(&self) -> Result<PublicKey, DocumentError> {
        PublicKey::from_edge_text(self.text()?).map_err(|error| self.error(error.to_string()))
    }

    /// A signature.
    pub fn signature(&self) -> Result<Signature, DocumentError> {
        Signature::from_edge_text(self.text()?).map_err(|error| self.error(error.to_string()))
    }
}

/// Hexadecimal digits without the `0x` that documents write in front.
fn bare(text: &str) -> &str {
    text.strip_prefix("0x").unwrap_or(text)
}

/// Bytes as documents write them.
pub fn hex_text(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}
