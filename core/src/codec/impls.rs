//! Encodings of the basic types.

use super::{Decode, DecodeError, Encode, Reader, Writer};
use crate::types::{
    Chain, ClusterId, Index, LogId, ModuleId, Modules, NodeId, PeerRequestId, ProcessNonce,
    RequestId, Revision, Span, Term, Time,
};
use alloc::boxed::Box;

/// Encodes newtypes as the number that they hold.
macro_rules! codec_newtype {
    ($method:ident: $($name:ident),+) => {$(
        impl $crate::codec::Encode for $name {
            fn encode(&self, writer: &mut $crate::codec::Writer) {
                writer.$method(self.0);
            }
        }

        impl $crate::codec::Decode for $name {
            fn decode(
                reader: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::DecodeError> {
                reader.$method().map($name)
            }
        }
    )+};
}
pub(crate) use codec_newtype;

codec_newtype!(u64: Time, Span, Term, Index, Revision, RequestId, Modules);
codec_newtype!(u128: NodeId, ClusterId);

impl Encode for ModuleId {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(self.number());
    }
}

impl Decode for ModuleId {
    /// A number that is too high for a module may be one for a newer version.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let tag = reader.u8()?;
        let what = "module";
        Self::new(tag).ok_or(DecodeError::UnknownTag { what, tag })
    }
}

impl Encode for PeerRequestId {
    fn encode(&self, writer: &mut Writer) {
        writer.u64(self.process.0);
        writer.u64(self.number);
    }
}

impl Decode for PeerRequestId {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            process: ProcessNonce(reader.u64()?),
            number: reader.u64()?,
        })
    }
}

impl Encode for Chain {
    fn encode(&self, writer: &mut Writer) {
        writer.raw(&self.0);
    }
}

impl Decode for Chain {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.array().map(Chain)
    }
}

impl Encode for LogId {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.term);
        writer.put(&self.index);
    }
}

impl Decode for LogId {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            term: reader.get()?,
            index: reader.get()?,
        })
    }
}

/// Where a value lies in memory does not show.
impl<T: Encode> Encode for Box<T> {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&**self);
    }
}

impl<T: Decode> Decode for Box<T> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self::new(reader.get()?))
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, writer: &mut Writer) {
        match self {
            None => writer.u8(0),
            Some(value) => {
                writer.u8(1);
                writer.put(value);
            }
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            0 => Ok(None),
            1 => Ok(Some(reader.get()?)),
            tag => Err(DecodeError::UnknownTag {
                what: "option",
                tag,
            }),
        }
    }
}
