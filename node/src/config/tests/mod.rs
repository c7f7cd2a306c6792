//! What loads, what is refused, and in which words.

mod errors;
mod goldens;

use super::{Layers, Loaded, Report, load};

/// Layers of one file.
fn file(text: &str) -> Layers {
    Layers {
        file: Some(("config.yaml".to_owned(), text.to_owned())),
        ..Layers::default()
    }
}

/// A file that must load.
fn loaded(text: &str) -> Loaded {
    load(&file(text)).unwrap_or_else(|report| panic!("{report}"))
}

/// The words of a refusal.
fn refused(layers: &Layers) -> String {
    let report: Report = load(layers).expect_err("must be refused");
    report.to_string()
}
