//! Markdown tables, and what they were measured on.

use std::fmt;
use std::fs;

/// A markdown table that aligns its columns.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new(headings: &[&str]) -> Self {
        Self {
            rows: vec![headings.iter().map(|&text| text.to_owned()).collect()],
        }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// If it has not one cell for each heading.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        assert_eq!(cells.len(), self.rows[0].len(), "one cell per heading");
        self.rows.push(cells.into());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |at: usize| {
            let widths = self.rows.iter().map(|row| row[at].chars().count());
            widths.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.rows[0].len()).map(width).collect();
        for (line, row) in self.rows.iter().enumerate() {
            for (cell, width) in row.iter().zip(&widths) {
                write!(f, "| {cell:<width$} ")?;
            }
            writeln!(f, "|")?;
            if line == 0 {
                for width in &widths {
                    write!(f, "|{}", "-".repeat(width + 2))?;
                }
                writeln!(f, "|")?;
            }
        }
        Ok(())
    }
}

/// A count shared among entries.
pub fn per_entry(total: u64, entries: usize) -> String {
    let value = total as f64 / entries as f64;
    if value < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// How many times `base` a value is.
pub fn ratio(value: f64, base: f64) -> String {
    format!("{:.2}", value / base)
}

/// The machine, its load, and the versions that were compared.
pub fn circumstances() -> String {
    let model = first_field("/proc/cpuinfo", "model name");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split_whitespace().take(3).collect();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let features = cpu_features();
    format!(
        "Machine: {model}, {cores} cores ({features}), Linux {}, load average {} at the start.\n\
         Versions: {}.\n\
         Codec of `raft`: {}.\n",
        kernel.trim(),
        load.join(" "),
        versions(),
        if cfg!(feature = "raft-prost") {
            "prost (payloads are copied)"
        } else {
            "rust-protobuf with `Bytes` (payloads are shared)"
        },
    )
}

fn first_field(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_once(':'));
    value.map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

fn cpu_features() -> &'static str {
    let flags = first_field("/proc/cpuinfo", "flags");
    if flags.split(' ').any(|flag| flag == "sha_ni") {
        "with SHA-NI"
    } else {
        "without SHA-NI"
    }
}

/// The compared crates with their versions, from the lock file of this build.
fn versions() -> String {
    let lock = include_str!("../Cargo.lock");
    let mut found = Vec::new();
    let mut name = "";
    for line in lock.lines() {
        if let Some(value) = line.strip_prefix("name = ") {
            name = value.trim_matches('"');
        } else if let Some(value) = line.strip_prefix("version = ")
            && ["raft", "openraft", "tokio", "sha2", "bytes", "protobuf"].contains(&name)
        {
            found.push(format!("{name} {}", value.trim_matches('"')));
        }
    }
    found.join(", ")
}
