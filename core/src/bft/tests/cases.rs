//! Single situations, by name.

use super::cluster::{Cluster, Knobs};
use crate::types::Span;

#[test]
fn four_validators_finalise_an_item() {
    let mut cluster = Cluster::new(1, Knobs::default());
    cluster.submit(b"first");
    cluster.run_for(Span::from_secs(1));
    assert!(cluster.checker.is_final(b"first"));
    assert!(cluster.lowest() >= 11);
}
