//! Every recorded failure is run again by every run of the tests: what was found
//! once must not come back.
//!
//! A trace in `corpus/` lists settings and faults; it is replayed in the mode
//! `regress`, because the code has changed since it was recorded.

use std::fs;
use std::path::Path;

use decube_io_sim::runner::{Mode, replay};
use decube_sim_tests::say;

#[test]
fn no_recorded_failure_comes_back() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .expect("the corpus is part of the repository")
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "dct"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "the corpus holds traces");
    for path in &paths {
        let text = fs::read_to_string(path).expect("a readable trace");
        assert!(
            text.len() <= 64 << 10,
            "{}: traces of the corpus are small",
            path.display()
        );
        let report = replay(&text, Mode::Regress).unwrap_or_else(|error| {
            panic!("{}: {error}", path.display());
        });
        assert_eq!(report.mismatch, None, "{}:\n{report}", path.display());
    }
    say(&format!(
        "corpus: {} recorded failures stay away",
        paths.len()
    ));
}
