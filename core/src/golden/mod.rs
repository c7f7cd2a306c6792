//! The bytes of everything that is sent, stored or recorded, as they were checked in.
//!
//! Each folder of the crate has a table, `tests/golden.txt`, with one row for each
//! sample: a name and the bytes in hexadecimal. Its `tests/golden.rs` makes the
//! samples and hands them to a [`Table`], which fails when a row has changed, when a
//! sample has no row and when a row has no sample. [`coverage`] fails when a type
//! that can be encoded, or a variant of one, has no row.
//!
//! A row that changes is a change of the format: nodes of two versions would not
//! understand each other, and what is on disk could not be read any more. If that is
//! what is wanted, `DECUBE_GOLDEN=write cargo test -p core --lib golden` writes the
//! tables again.

extern crate std;

mod coverage;
mod fuzz;
pub(crate) mod samples;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt::Debug;
use std::path::{Path, PathBuf};

use crate::codec::{Decode, Encode};
use crate::crypto::hex;
use fuzz::Subject;

/// Set to `write`, it makes the tests write the tables instead of checking them.
const MODE: &str = "DECUBE_GOLDEN";

/// The samples of one folder.
pub(crate) struct Table {
    folder: &'static str,
    rows: Vec<(String, String)>,
    subjects: Vec<Subject>,
}

impl Table {
    /// The table of a folder, without samples so far.
    pub(crate) const fn of(folder: &'static str) -> Self {
        Self {
            folder,
            rows: Vec::new(),
            subjects: Vec::new(),
        }
    }

    /// A value, named after its type and, if that is an enum, its variant.
    pub(crate) fn row<T: Encode + Decode + Debug>(&mut self, value: &T) {
        self.add_of::<T>(name_of(value), whole_round_trip(value));
    }

    /// Values, each named as in [`Table::row`].
    pub(crate) fn rows<T: Encode + Decode + Debug>(&mut self, values: impl IntoIterator<Item = T>) {
        values.into_iter().for_each(|value| self.row(&value));
    }

    /// A further value of a type or variant, told from the others by a note.
    pub(crate) fn also<T: Encode + Decode + Debug>(&mut self, note: &str, value: &T) {
        let name = format!("{}.{note}", name_of(value));
        self.add_of::<T>(name, whole_round_trip(value));
    }

    /// A value whose type does not print its own name.
    pub(crate) fn named<T: Encode + Decode>(&mut self, name: &str, value: &T) {
        self.add_of::<T>(name.to_string(), round_trip(value));
    }

    /// A value that has no encoding of its own, and one that carries it.
    pub(crate) fn inside<T: Debug, C: Encode + Decode>(&mut self, value: &T, carrier: &C) {
        self.add_of::<C>(name_of(value), round_trip(carrier));
    }

    /// A value that has no encoding of its own, and bytes that stand for it.
    pub(crate) fn inside_bytes<T: Debug>(&mut self, value: &T, bytes: &[u8]) {
        self.add(name_of(value), bytes);
    }

    /// Bytes of a format that is no type.
    pub(crate) fn bytes(&mut self, name: &str, bytes: &[u8]) {
        self.add(name.to_string(), bytes);
    }

    /// A block that is filled up with zeros: its length in four bytes, and what is
    /// in front of the zeros.
    pub(crate) fn padded(&mut self, name: &str, bytes: &[u8]) {
        let used = bytes.iter().rposition(|byte| *byte != 0);
        let used = used.map_or(0, |last| last.saturating_add(1));
        let length = u32::try_from(bytes.len()).expect("a file of a test is small");
        let mut row = length.to_be_bytes().to_vec();
        row.extend_from_slice(&bytes[..used]);
        self.add(name.to_string(), &row);
    }

    fn add_of<T: Encode + Decode>(&mut self, name: String, bytes: Vec<u8>) {
        let of = format!("{}::{name}", self.folder);
        self.add(name, &bytes);
        self.subjects.push(Subject::of::<T>(of, bytes));
    }

    fn add(&mut self, name: String, bytes: &[u8]) {
        let name = format!("{}::{name}", self.folder);
        assert!(!name.contains(char::is_whitespace), "{name}: one word");
        let is_new = self.rows.iter().all(|(known, _)| *known != name);
        assert!(is_new, "{name}: two samples with one name");
        self.rows.push((name, hex::encode(bytes)));
    }

    /// Compares the samples with the table, or writes it. Then the decoders get the samples
    /// with damage.
    pub(crate) fn check(self) {
        let path = table_path(self.folder);
        if is_writing() {
            let lines = self
                .rows
                .iter()
                .map(|(name, hex)| format!("{name} {hex}\n"));
            std::fs::write(path, lines.collect::<String>()).expect("the folder has tests");
            return;
        }
        let mut checked_in = read_table(&path);
        let mut complaints = Vec::new();
        for (name, hex) in &self.rows {
            match checked_in.remove(name) {
                Some(row) if row == *hex => {}
                Some(row) => complaints.push(format!("{name} changed\n  from {row}\n    to {hex}")),
                None => complaints.push(format!("{name} has no row: {hex}")),
            }
        }
        let left = checked_in.keys();
        complaints.extend(left.map(|name| format!("{name} has a row and no sample")));
        assert!(
            complaints.is_empty(),
            "{} rows of {} do not hold; {MODE}=write writes them again\n{}",
            complaints.len(),
            path.display(),
            complaints.join("\n")
        );
        fuzz::run(&self.subjects);
    }
}

fn is_writing() -> bool {
    std::env::var(MODE).is_ok_and(|mode| mode == "write")
}

/// [`round_trip`], and what is read back prints as what was written: a field that
/// the encoding leaves out would give the same bytes both times.
fn whole_round_trip<T: Encode + Decode + Debug>(value: &T) -> Vec<u8> {
    let bytes = round_trip(value);
    let read = T::from_bytes(&value.to_bytes()).expect("it was read before");
    assert_eq!(format!("{value:?}"), format!("{read:?}"), "a field is lost");
    bytes
}

/// The bytes of a value, after they were read back and written again.
fn round_trip<T: Encode + Decode>(value: &T) -> Vec<u8> {
    let bytes = value.to_bytes();
    assert_eq!(value.size_hint(), bytes.len(), "the size is known before");
    if let Some(size) = T::SIZE {
        assert_eq!(size, bytes.len(), "every value takes as much");
    }
    let read = T::from_bytes(&bytes);
    let read = read.unwrap_or_else(|error| panic!("a sample does not decode: {error}"));
    assert_eq!(read.to_bytes(), bytes, "a sample is encoded in two ways");
    bytes.to_vec()
}

/// `Type` for a structure, `Type::Variant` for an enum.
fn name_of<T: Debug>(value: &T) -> String {
    let path = core::any::type_name::<T>();
    let path = path.split('<').next().unwrap_or(path);
    let own = path.rsplit("::").next().unwrap_or(path);
    let printed = format!("{value:?}");
    let first = word(&printed);
    if first == own {
        own.to_string()
    } else {
        format!("{own}::{first}")
    }
}

/// The identifier that a text begins with.
fn word(text: &str) -> &str {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let end = text.find(|letter| !is_part(letter));
    &text[..end.unwrap_or(text.len())]
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn table_path(folder: &str) -> PathBuf {
    source().join(folder).join("tests").join("golden.txt")
}

/// The rows of a table by name; none if it does not exist yet.
fn read_table(path: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut rows = BTreeMap::new();
    for line in text.lines() {
        let (name, hex) = line.split_once(' ').expect("a name and bytes");
        let before = rows.insert(name.to_string(), hex.to_string());
        assert!(
            before.is_none(),
            "{name} stands twice in {}",
            path.display()
        );
    }
    rows
}
