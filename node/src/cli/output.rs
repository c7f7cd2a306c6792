//! Results for people and for programs.

use std::io::Write;

use clap::ValueEnum;
use serde_json::Value;

use super::exit::{FAILED, Failure, Outcome};

/// Prints a line for who watches: what is being done, apart from the result.
pub fn note(line: &str) {
    // Nobody watching is no reason to fail.
    let _printed = writeln!(std::io::stderr(), "{line}");
}

/// How to print a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for people.
    Table,
    /// What the API answered.
    Json,
}

/// Bytes as they are.
pub fn raw(bytes: &[u8]) -> Outcome {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        // A reader that has seen enough is no failure.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::new(
            FAILED,
            format!("cannot write the result: {error}"),
        )),
        _ => Ok(()),
    }
}

/// A JSON document on lines of its own.
pub fn json(value: &Value) -> Outcome {
    raw(format!("{value:#}\n").as_bytes())
}

/// Rows under headings, in columns. Control characters are shown, not sent: what
/// users stored must not steer the terminal.
pub fn table(headings: &[&str], rows: &[Vec<String>]) -> Outcome {
    raw(render(headings, rows).as_bytes())
}

/// Names and values, one to a line.
pub fn fields(pairs: &[(&str, String)]) -> Outcome {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = pairs
        .iter()
        .map(|(name, value)| format!("{name:width$}  {}\n", plain(value)));
    raw(lines.collect::<String>().as_bytes())
}

/// A JSON value in one cell: text as it is.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(super) fn render(headings: &[&str], rows: &[Vec<String>]) -> String {
    let heads = headings
        .iter()
        .map(|heading| (*heading).to_owned())
        .collect();
    let rows: Vec<Vec<String>> = std::iter::once(heads)
        .chain(
            rows.iter()
                .map(|row| row.iter().map(|cell| plain(cell)).collect()),
        )
        .collect();
    let widths: Vec<usize> = (0..headings.len())
        .map(|column| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn plain(text: &str) -> String {
    text.chars()
        .flat_map(|c| match c.is_control() {
            true => c.escape_default().collect::<Vec<_>>(),
            false => vec![c],
        })
        .collect()
}
