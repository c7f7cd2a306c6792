//! Events, as the flight recorder writes them.

use alloc::collections::BTreeSet;

use super::event::Event;
use super::parts::PartId;
use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::io::Volume;
use crate::part::Scope;
use crate::types::WallTime;

impl Encode for Event {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Start { used } => {
                writer.u8(0);
                writer.length(used.len());
                used.iter().for_each(|volume| writer.put(volume));
            }
            Self::Wake => writer.u8(1),
            Self::Clock { wall } => {
                writer.u8(2);
                writer.u64(wall.0);
            }
            Self::Message {
                from,
                scope,
                message,
            } => {
                writer.u8(3);
                writer.put(from);
                writer.put(scope);
                writer.put(message);
            }
            Self::Peer { peer, scope, is_up } => {
                writer.u8(4);
                writer.put(peer);
                writer.put(scope);
                writer.bool(*is_up);
            }
            Self::Request { id, request } => {
                writer.u8(5);
                writer.put(id);
                writer.put(request);
            }
            Self::Cancel { id } => {
                writer.u8(6);
                writer.put(id);
            }
            Self::Io { volume, done } => {
                writer.u8(7);
                writer.put(volume);
                writer.put(done);
            }
            Self::Shutdown => writer.u8(8),
        }
    }
}

impl Decode for Event {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::Start {
                used: decode_volumes(reader)?,
            },
            1 => Self::Wake,
            2 => Self::Clock {
                wall: WallTime(reader.u64()?),
            },
            3 => Self::Message {
                from: reader.get()?,
                scope: reader.get()?,
                message: reader.get()?,
            },
            4 => Self::Peer {
                peer: reader.get()?,
                scope: reader.get()?,
                is_up: reader.bool()?,
            },
            5 => Self::Request {
                id: reader.get()?,
                request: reader.get()?,
            },
            6 => Self::Cancel { id: reader.get()? },
            7 => Self::Io {
                volume: reader.get()?,
                done: reader.get()?,
            },
            8 => Self::Shutdown,
            tag => return Err(DecodeError::UnknownTag { what: "event", tag }),
        })
    }
}

/// Volumes in their order, each once.
fn decode_volumes(reader: &mut Reader<'_>) -> Result<BTreeSet<Volume>, DecodeError> {
    let count = reader.length(Volume::ALL.len())?;
    let mut used = BTreeSet::new();
    for _ in 0..count {
        let volume = reader.get()?;
        if used.last().is_some_and(|last| *last >= volume) {
            return Err(DecodeError::Invalid { what: "volumes" });
        }
        used.insert(volume);
    }
    Ok(used)
}

impl Encode for Volume {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(PartId::of(*self).tag());
    }
}

impl Decode for Volume {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let tag = reader.u8()?;
        let part = PartId::ALL.into_iter().find(|part| part.tag() == tag);
        let part = part.ok_or(DecodeError::UnknownTag {
            what: "volume",
            tag,
        })?;
        Ok(part.volume())
    }
}

impl Encode for Scope {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(match self {
            Self::Cluster => 0,
            Self::Global => 1,
        });
    }
}

impl Decode for Scope {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            0 => Ok(Self::Cluster),
            1 => Ok(Self::Global),
            tag => Err(DecodeError::UnknownTag { what: "scope", tag }),
        }
    }
}
