//! Events, as the flight recorder writes them.

use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::kv::LogTime;
use crate::limits::{MESSAGE_BYTES_MAX, RECORDED_LIST_MAX, WAL_READ_BYTES};
use crate::node::Event;
use crate::store::{StoreSeq, decode_pairs, encode_pairs};
use crate::wal::{FileError, FileName, FileOpId, FileResult};

impl Encode for Event {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Start => writer.u8(0),
            Self::Wake => writer.u8(1),
            Self::Clock { wall } => {
                writer.u8(2);
                writer.u64(wall.0);
            }
            Self::Message { from, message } => {
                writer.u8(3);
                writer.put(from);
                writer.put(message);
            }
            Self::PeerUp { peer } => {
                writer.u8(4);
                writer.put(peer);
            }
            Self::PeerDown { peer } => {
                writer.u8(5);
                writer.put(peer);
            }
            Self::Request { id, request } => {
                writer.u8(6);
                writer.put(id);
                writer.put(request);
            }
            Self::Cancel { id } => {
                writer.u8(7);
                writer.put(id);
            }
            Self::File { id, result } => {
                writer.u8(8);
                writer.u64(id.0);
                writer.put(result);
            }
            Self::StoreCommitted { seq } => {
                writer.u8(9);
                writer.u64(seq.0);
            }
            Self::StorePage { pairs, done } => {
                writer.u8(10);
                encode_pairs(pairs, writer);
                writer.bool(*done);
            }
            Self::StoreFailed => writer.u8(11),
            Self::Shutdown => writer.u8(12),
            Self::Ledger(event) => {
                writer.u8(13);
                writer.put(event);
            }
        }
    }
}

impl Decode for Event {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::Start,
            1 => Self::Wake,
            2 => Self::Clock {
                wall: LogTime(reader.u64()?),
            },
            3 => Self::Message {
                from: reader.get()?,
                message: reader.get()?,
            },
            4 => Self::PeerUp {
                peer: reader.get()?,
            },
            5 => Self::PeerDown {
                peer: reader.get()?,
            },
            6 => Self::Request {
                id: reader.get()?,
                request: reader.get()?,
            },
            7 => Self::Cancel { id: reader.get()? },
            8 => Self::File {
                id: FileOpId(reader.u64()?),
                result: reader.get()?,
            },
            9 => Self::StoreCommitted {
                seq: StoreSeq(reader.u64()?),
            },
            10 => Self::StorePage {
                pairs: decode_pairs(reader, MESSAGE_BYTES_MAX)?,
                done: reader.bool()?,
            },
            11 => Self::StoreFailed,
            12 => Self::Shutdown,
            13 => Self::Ledger(reader.get()?),
            tag => return Err(DecodeError::UnknownTag { what: "event", tag }),
        })
    }
}

impl Encode for FileName {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Superblock(copy) => {
                writer.u8(0);
                writer.u64(u64::from(*copy));
            }
            Self::Segment(number) => {
                writer.u8(1);
                writer.u64(*number);
            }
        }
    }
}

impl Decode for FileName {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (tag, number) = (reader.u8()?, reader.u64()?);
        match tag {
            0 => u8::try_from(number)
                .map(Self::Superblock)
                .map_err(|_| DecodeError::Invalid {
                    what: "superblock number",
                }),
            1 => Ok(Self::Segment(number)),
            tag => Err(DecodeError::UnknownTag {
                what: "file name",
                tag,
            }),
        }
    }
}

impl Encode for FileResult {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Done => writer.u8(0),
            Self::Listed(files) => {
                writer.u8(1);
                writer.length(files.len());
                for (file, len) in files {
                    writer.put(file);
                    writer.u64(*len);
                }
            }
            Self::Data(data) => {
                writer.u8(2);
                writer.blob(data);
            }
            Self::Failed(error) => {
                writer.u8(3);
                writer.u8(match error {
                    FileError::Io => 0,
                    FileError::Full => 1,
                    FileError::Missing => 2,
                    FileError::Exists => 3,
                });
            }
        }
    }
}

impl Decode for FileResult {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::Done,
            1 => {
                let count = reader.length(RECORDED_LIST_MAX)?;
                let files = (0..count).map(|_| Ok((reader.get()?, reader.u64()?)));
                Self::Listed(files.collect::<Result<_, DecodeError>>()?)
            }
            2 => {
                let limit = usize::try_from(WAL_READ_BYTES).unwrap_or(usize::MAX);
                Self::Data(reader.blob(limit.max(MESSAGE_BYTES_MAX))?)
            }
            3 => Self::Failed(match reader.u8()? {
                0 => FileError::Io,
                1 => FileError::Full,
                2 => FileError::Missing,
                3 => FileError::Exists,
                tag => {
                    return Err(DecodeError::UnknownTag {
                        what: "file error",
                        tag,
                    });
                }
            }),
            tag => {
                return Err(DecodeError::UnknownTag {
                    what: "file result",
                    tag,
                });
            }
        })
    }
}
