//! Whether a fingerprint covers a state: tables of changes, each of which must show.

use alloc::boxed::Box;
use alloc::vec;

/// A name and one change of a state.
pub(crate) type Change<T> = (&'static str, fn(&mut T));

/// Each change gives a fingerprint of its own, and none is that of no change.
pub(crate) fn each_shows<T>(new: fn() -> T, changes: &[Change<T>], fingerprint: fn(&T) -> u128) {
    let mut seen = vec![("nothing", fingerprint(&new()))];
    for (name, change) in changes {
        let mut changed = Box::new(new());
        change(&mut changed);
        let digest = fingerprint(&changed);
        let same = seen.iter().find(|(_, other)| *other == digest);
        assert_eq!(same, None, "{name}");
        seen.push((name, digest));
    }
}

/// Equal changes give equal fingerprints.
pub(crate) fn equals_show_equal<T>(
    new: fn() -> T,
    changes: &[Change<T>],
    fingerprint: fn(&T) -> u128,
) {
    for (name, change) in changes {
        let (mut one, mut other) = (Box::new(new()), Box::new(new()));
        change(&mut one);
        change(&mut other);
        assert_eq!(fingerprint(&one), fingerprint(&other), "{name}");
    }
}
