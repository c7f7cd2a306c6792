//! Tests of the formats.

#![allow(clippy::unwrap_used)]

mod cases;
mod golden;
mod props;

use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::*;

/// Segments with made-up names that follow the rules of a manifest.
fn segments(segment_bytes: u64, data_bytes: u64, metadata_bytes: u64) -> Vec<SegmentRef> {
    let mut list = Vec::new();
    for (kind, total) in [
        (SegmentKind::Data, data_bytes),
        (SegmentKind::Metadata, metadata_bytes),
    ] {
        let mut left = total;
        while left > 0 {
            let length = left.min(segment_bytes);
            list.push(SegmentRef {
                id: SegmentId::of(&u64::try_from(list.len()).unwrap().to_be_bytes()),
                length,
                kind,
            });
            left -= length;
        }
    }
    list
}

/// A manifest with one empty directory as its root.
fn manifest(segments: Vec<SegmentRef>) -> Manifest {
    Manifest {
        id: "test-snapshot".parse().unwrap(),
        created_unix_ns: 1_700_000_000_000_000_000,
        segment_bytes: 1024,
        roots: vec![root(b"data")],
        totals: Totals {
            directories: 1,
            ..Totals::default()
        },
        merkle_root: segments_root(&segments),
        segments,
        omissions: Vec::new(),
    }
}

/// An empty directory as a root.
fn root(path: &'static [u8]) -> Root {
    Root {
        source: Bytes::from_static(path),
        path: Bytes::from_static(path),
        item: Item::Node(node(Kind::Directory { pages: Vec::new() })),
    }
}

/// A file of a kind with plain attributes.
fn node(kind: Kind) -> Node {
    Node {
        attributes: Attributes {
            mode: 0o755,
            ..Attributes::default()
        },
        link_group: None,
        kind,
    }
}
