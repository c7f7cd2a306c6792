//! The names of the log's files inside its directory.

use alloc::format;
use alloc::string::String;

use crate::io::FileName;

const SUPERBLOCK: &str = "superblock-";
const SEGMENT: &str = "segment-";
const SUFFIX: &str = ".wal";

/// The name of a file of the log: `superblock-0`, `segment-00000000000000000001.wal`.
/// Segment names sort in the order of their numbers.
pub fn file_name(file: FileName) -> String {
    match file {
        FileName::Superblock(slot) => format!("{SUPERBLOCK}{slot}"),
        FileName::Segment(number) => format!("{SEGMENT}{number:020}{SUFFIX}"),
    }
}

/// The file that a name stands for, or `None` if the name is not one that
/// [`file_name`] makes: other files in the directory are none of the log's.
pub fn parse_file_name(name: &str) -> Option<FileName> {
    let file = if let Some(slot) = name.strip_prefix(SUPERBLOCK) {
        FileName::Superblock(slot.parse().ok().filter(|slot| *slot <= 1)?)
    } else {
        let number = name.strip_prefix(SEGMENT)?.strip_suffix(SUFFIX)?;
        FileName::Segment(number.parse().ok().filter(|number| *number > 0)?)
    };
    // `parse` also accepts "+1" and missing zeros; only the canonical name is ours.
    (file_name(file) == name).then_some(file)
}
