//! What volumes have done, as the flight recorder writes it.

use super::{Done, FileError, FileName, FileOpId, FileResult, ReadId};
use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::limits::{MESSAGE_BYTES_MAX, RECORDED_LIST_MAX, STORE_KEY_BYTES_MAX, WAL_READ_BYTES};
use crate::store::{Page, StoreSeq};

impl Encode for Done {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::File { id, result } => {
                writer.u8(0);
                writer.u64(id.0);
                writer.put(result);
            }
            Self::Committed { seq } => {
                writer.u8(1);
                writer.u64(seq.0);
            }
            Self::Read { id, page } => {
                writer.u8(2);
                writer.u64(id.0);
                writer.put(page);
            }
            Self::Failed => writer.u8(3),
        }
    }
}

impl Decode for Done {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::File {
                id: FileOpId(reader.u64()?),
                result: reader.get()?,
            },
            1 => Self::Committed {
                seq: StoreSeq(reader.u64()?),
            },
            2 => Self::Read {
                id: ReadId(reader.u64()?),
                page: reader.get()?,
            },
            3 => Self::Failed,
            tag => return Err(DecodeError::UnknownTag { what: "done", tag }),
        })
    }
}

impl Encode for Page {
    fn encode(&self, writer: &mut Writer) {
        writer.length(self.pairs.len());
        for (key, value) in &self.pairs {
            writer.blob(key);
            writer.blob(value);
        }
        writer.bool(self.is_last);
    }
}

impl Decode for Page {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = reader.length(RECORDED_LIST_MAX)?;
        let pair = |_| {
            let key = reader.blob(STORE_KEY_BYTES_MAX)?;
            Ok((key, reader.blob(2 * MESSAGE_BYTES_MAX)?))
        };
        let pairs = (0..count).map(pair).collect::<Result<_, DecodeError>>()?;
        let is_last = reader.bool()?;
        Ok(Self { pairs, is_last })
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
