//! Encodings of commands. The rest of a command is its module's.

use super::command::{Command, Envelope, LogTime, SessionId};
use crate::codec::{Decode, DecodeError, Encode, Reader, Writer, codec_newtype};

codec_newtype!(u64: SessionId, LogTime);

impl<O: Encode> Encode for Envelope<O> {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.proposed_at);
        writer.put(&self.command);
    }
}

impl<O: Decode> Decode for Envelope<O> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            proposed_at: reader.get()?,
            command: reader.get()?,
        })
    }
}

impl<O: Encode> Encode for Command<O> {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::OpenSession { nonce, ttl } => {
                writer.u8(0);
                writer.u128(*nonce);
                writer.put(ttl);
            }
            Self::CloseSession { session } => {
                writer.u8(1);
                writer.put(session);
            }
            Self::InSession {
                session,
                sequence,
                answered_upto,
                op,
            } => {
                writer.u8(2);
                writer.put(session);
                writer.u64(*sequence);
                writer.u64(*answered_upto);
                writer.put(op);
            }
            Self::Once { op } => {
                writer.u8(3);
                writer.put(op);
            }
            Self::Tick => writer.u8(4),
            Self::Enable { module } => {
                writer.u8(5);
                writer.put(module);
            }
        }
    }
}

impl<O: Decode> Decode for Command<O> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::OpenSession {
                nonce: reader.u128()?,
                ttl: reader.get()?,
            },
            1 => Self::CloseSession {
                session: reader.get()?,
            },
            2 => Self::InSession {
                session: reader.get()?,
                sequence: reader.u64()?,
                answered_upto: reader.u64()?,
                op: reader.get()?,
            },
            3 => Self::Once { op: reader.get()? },
            4 => Self::Tick,
            5 => Self::Enable {
                module: reader.get()?,
            },
            tag => {
                return Err(DecodeError::UnknownTag {
                    what: "command",
                    tag,
                });
            }
        })
    }
}

/// Whether a command does not decode because it says something that this version
/// does not know. Commands get into the log as they were encoded by a node of the
/// cluster, so that node is of a newer version.
pub const fn is_of_newer_version(error: &DecodeError) -> bool {
    matches!(error, DecodeError::UnknownTag { .. })
}
