//! How the flight recorder writes a volume.

use super::parts::PartId;
use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::io::Volume;

// Not derived: the table of parts has the tags.
impl Encode for Volume {
    const SIZE: Option<usize> = Some(1);

    fn encode(&self, writer: &mut Writer) {
        writer.u8(PartId::of(*self).tag());
    }

    fn size_hint(&self) -> usize {
        1
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
