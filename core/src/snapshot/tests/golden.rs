//! The bytes of manifests, trees and their pages.

use super::*;
use crate::codec::Encode as _;
use crate::golden::Table;
use crate::golden::samples::{blob, counted, number, small};

#[test]
fn golden_bytes() {
    let mut table = Table::of("snapshot");
    table.row(&SegmentId(counted(0x01)));
    let id: SnapshotId = "a-snapshot_1.0".parse().unwrap();
    table.row(&id);
    attributes(&mut table);
    nodes(&mut table);
    pages(&mut table);
    manifests(&mut table, id);
    table.check();
}

fn sample_attributes() -> Attributes {
    Attributes {
        mode: 0o4751,
        uid: small(0x11),
        gid: small(0x21),
        modified: Timestamp {
            seconds: -2,
            nanos: 0x0102_0304,
        },
        xattrs: vec![xattr("user.a", "one"), xattr("user.b", "")],
    }
}

fn xattr(name: &'static str, value: &'static str) -> Xattr {
    Xattr {
        name: blob(name),
        value: blob(value),
    }
}

fn attributes(table: &mut Table) {
    table.row(&sample_attributes());
    table.row(&xattr("user.name", "value"));
}

fn kinds() -> [Kind; 7] {
    let (major, minor) = (small(0x31), small(0x41));
    [
        Kind::File {
            size: 0x0102_0304_0506,
            offset: number(0x51),
            extents: vec![extent(0x61), extent(0x1061)],
        },
        Kind::Directory {
            pages: vec![page_ref(0x11), page_ref(0x12)],
        },
        Kind::Symlink {
            target: blob("target"),
        },
        Kind::Fifo,
        Kind::Socket,
        Kind::CharDevice { major, minor },
        Kind::BlockDevice { major, minor },
    ]
}

fn extent(start: u64) -> Extent {
    Extent {
        start,
        length: 0x0102,
    }
}

fn page_ref(first: u8) -> PageRef {
    PageRef {
        offset: number(first),
        length: 0x0102,
        hash: SegmentId(counted(first)),
    }
}

fn sample_node(kind: Kind) -> Node {
    let link_group = match kind {
        Kind::Directory { .. } => None,
        _ => Some(number(0x71)),
    };
    Node {
        attributes: sample_attributes(),
        link_group,
        kind,
    }
}

fn nodes(table: &mut Table) {
    table.row(&extent(number(0x01)));
    table.row(&page_ref(0x02));
    for kind in kinds() {
        let node = sample_node(kind.clone());
        table.inside(&kind, &Item::Node(node));
    }
    let fifo = sample_node(Kind::Fifo);
    table.inside_bytes(&fifo, &fifo.to_bytes());
    table.rows(items());
}

fn items() -> [Item; 2] {
    [
        Item::Node(sample_node(Kind::Socket)),
        Item::HardLink {
            group: number(0x01),
        },
    ]
}

fn pages(table: &mut Table) {
    let names = ["name", "other"];
    let entries = names.into_iter().zip(items()).map(|(name, item)| Entry {
        name: blob(name),
        item,
    });
    let entries: Vec<Entry> = entries.collect();
    table.row(&entries[0]);
    let mut builder = PageBuilder::default();
    for entry in &entries {
        assert!(builder.push(entry).is_none(), "the page is not full");
    }
    let page = Page { entries };
    table.row(&page);
    let built = builder.finish().unwrap();
    assert_eq!(built, page.to_bytes(), "one form of a page");
}

fn manifests(table: &mut Table, id: SnapshotId) {
    let segments = segments(1024, 1500, 700);
    for segment in &segments[1..] {
        table.inside(&segment.kind, segment);
    }
    table.row(&segments[0]);
    let totals = Totals {
        files: number(0x01),
        directories: number(0x02),
        symlinks: number(0x03),
        hard_links: number(0x04),
        specials: number(0x05),
        file_bytes: number(0x06),
        data_bytes: number(0x07),
    };
    table.row(&totals);
    let root = Root {
        source: blob("/srv/data"),
        path: blob("data"),
        item: Item::Node(sample_node(Kind::Directory { pages: Vec::new() })),
    };
    table.row(&root);
    let omission = Omission {
        path: blob("data/secret"),
        reason: blob("permission denied"),
    };
    table.row(&omission);
    let merkle_root = segments_root(&segments);
    table.bytes("segments_root", &merkle_root);
    table.row(&Manifest {
        id,
        created_unix_ns: number(0x08),
        segment_bytes: 1024,
        roots: vec![root],
        totals,
        segments,
        merkle_root,
        omissions: vec![omission],
    });
}
