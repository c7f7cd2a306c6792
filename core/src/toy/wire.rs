//! The encoding of what is sent, asked and stored.

use super::message::Message;
use super::request::Request;
use super::state::Position;
use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};

impl Encode for Position {
    fn encode(&self, writer: &mut Writer) {
        let Self {
            height,
            blocks,
            hash,
            sum,
        } = self;
        writer.put(height);
        writer.u64(*blocks);
        writer.put(hash);
        writer.u64(*sum);
    }
}

impl Decode for Position {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            height: reader.get()?,
            blocks: reader.u64()?,
            hash: reader.get()?,
            sum: reader.u64()?,
        })
    }
}

impl Encode for Message {
    fn encode(&self, writer: &mut Writer) {
        let Self::At { height } = self;
        writer.put(height);
    }
}

impl Decode for Message {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self::At {
            height: reader.get()?,
        })
    }
}

impl Encode for Request {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Read => writer.u8(0),
            Self::Add { number } => {
                writer.u8(1);
                writer.u64(*number);
            }
            Self::Follow => writer.u8(2),
        }
    }
}

impl Decode for Request {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            0 => Ok(Self::Read),
            1 => Ok(Self::Add {
                number: reader.u64()?,
            }),
            2 => Ok(Self::Follow),
            tag => Err(DecodeError::UnknownTag {
                what: "request to the toy",
                tag,
            }),
        }
    }
}
