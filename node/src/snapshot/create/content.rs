//! Reading the content of one regular file.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};

use decube_core::limits::TREE_EXTENTS_MAX;
use decube_core::snapshot::Extent;
use rustix::fs::SeekFrom as Seek;
use rustix::io::Errno;

use super::super::stat::FileStat;
use super::packer::{Packer, Stopped};

/// Why a file's content was not taken.
#[derive(Debug)]
pub(super) enum ContentError {
    /// It changed while it was read; another attempt may succeed.
    Changed,
    /// It cannot be read.
    Failed(String),
    /// The upload stopped.
    Stopped,
}

/// Reads the data of a file into the data stream, holes left out; returns where
/// in the file the data lies. `read` hears of the bytes as they are read.
pub(super) fn read_content(
    file: &mut File,
    stat: &FileStat,
    packer: &mut Packer,
    read: &mut dyn FnMut(u64) -> Result<(), Stopped>,
) -> Result<Vec<Extent>, ContentError> {
    let extents = extents(file, stat)?;
    let mut position = 0;
    for extent in &extents {
        if position != extent.start {
            file.seek(SeekFrom::Start(extent.start))
                .map_err(|error| ContentError::Failed(error.to_string()))?;
        }
        let mut left = extent.length;
        while left > 0 {
            match packer.data_from(file, left) {
                Ok(Ok(0)) => return Err(ContentError::Changed),
                Ok(Ok(count)) => {
                    left -= count;
                    read(count).map_err(|Stopped| ContentError::Stopped)?;
                }
                Ok(Err(error)) => return Err(ContentError::Failed(error.to_string())),
                Err(Stopped) => return Err(ContentError::Stopped),
            }
        }
        position = extent.start + extent.length;
    }
    Ok(extents)
}

/// Where a file has data. A file system that cannot tell has data everywhere.
fn extents(file: &File, stat: &FileStat) -> Result<Vec<Extent>, ContentError> {
    let whole = Extent {
        start: 0,
        length: stat.size,
    };
    if stat.size == 0 {
        return Ok(Vec::new());
    }
    if stat.disk_bytes >= stat.size {
        return Ok(vec![whole]);
    }
    let failed = |error: Errno| ContentError::Failed(error.to_string());
    let mut extents = Vec::new();
    let mut at = 0;
    while at < stat.size {
        let start = match rustix::fs::seek(file, Seek::Data(at)) {
            Ok(start) => start,
            // No data from here to the end.
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL | Errno::NOTSUP) if extents.is_empty() => return Ok(vec![whole]),
            Err(error) => return Err(failed(error)),
        };
        let end = rustix::fs::seek(file, Seek::Hole(start)).map_err(failed)?;
        // The file may be growing: what lies past the size is not part of it.
        let end = end.min(stat.size);
        if start >= end {
            break;
        }
        if extents.len() + 1 == TREE_EXTENTS_MAX {
            let length = stat.size - start;
            extents.push(Extent { start, length });
            break;
        }
        let length = end - start;
        extents.push(Extent { start, length });
        at = end;
    }
    rustix::fs::seek(file, Seek::Start(0)).map_err(failed)?;
    Ok(extents)
}
