//! Every recorded failure is run again by every run of the tests: what was found
//! once must not come back.
//!
//! A trace in `corpus/` lists settings and faults; it is replayed in the mode
//! `regress`, because the code has changed since it was recorded. Each names a planted
//! bug, the mend taken back, and is run with that bug as well and must fail: so a trace
//! that no longer leads to its situation is noticed. Where the product was right and a
//! checker was wrong, there is nothing to plant, and the trace says so: `M mends checker`
//! and what the checker had wanted.

use std::fs;
use std::path::Path;

use decube_io_sim::runner::{Mode, ReplayReport, replay};
use decube_sim_tests::{quiet_panics, say};

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
    let (mut proven, mut lost) = (0, Vec::new());
    for path in &paths {
        let text = fs::read_to_string(path).expect("a readable trace");
        assert!(
            text.len() <= 64 << 10,
            "{}: traces of the corpus are small",
            path.display()
        );
        let (planted, sound) = with_and_without_its_bug(&text);
        assert!(
            planted.is_some() || mends_checker(&text),
            "{}: a trace names the planted bug under which it fails",
            path.display()
        );
        let report = run(path, &sound, Mode::Regress);
        assert_eq!(report.mismatch, None, "{}:\n{report}", path.display());
        if let Some(planted) = planted {
            match does_harm(path, &planted) {
                true => proven += 1,
                false => lost.push(path.display().to_string()),
            }
        }
    }
    assert!(
        lost.is_empty(),
        "their planted bugs do no harm any more: {lost:#?}"
    );
    say(&format!(
        "corpus: {} recorded failures stay away, {proven} come back with their bugs",
        paths.len()
    ));
}

/// A planted bug may well panic in the machine, which is nothing to be told.
fn does_harm(path: &Path, planted: &str) -> bool {
    let told = std::panic::take_hook();
    quiet_panics();
    let outcome = run(path, planted, Mode::Loose).report.outcome;
    std::panic::set_hook(told);
    outcome.violation.is_some()
}

fn run(path: &Path, text: &str, mode: Mode) -> ReplayReport {
    replay(text, mode).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Whether it was a checker that was wrong.
fn mends_checker(text: &str) -> bool {
    let mut reasons = text
        .lines()
        .filter_map(|line| line.strip_prefix("M mends checker: "));
    reasons.any(|reason| !reason.is_empty())
}

/// The trace as it is, if it names a planted bug, and the same trace without one.
fn with_and_without_its_bug(text: &str) -> (Option<String>, String) {
    const NAME: &str = "M mutant ";
    let named = text.lines().find_map(|line| line.strip_prefix(NAME));
    let named = named.unwrap_or_else(|| panic!("a trace says which bug is planted"));
    let sound = text.replacen(&format!("{NAME}{named}"), &format!("{NAME}None"), 1);
    ((named != "None").then(|| text.to_owned()), sound)
}
