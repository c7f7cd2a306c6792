//! Named cases: each rule of the formats, and each way to break it.

use alloc::string::ToString;
use alloc::{format, vec};

use super::*;
use crate::codec::{Decode, DecodeError, Encode};
use crate::limits::SNAPSHOT_ID_BYTES_MAX;

/// The first bytes of the manifest format and its hash are pinned: stored
/// snapshots must stay readable.
#[test]
fn manifest_encoding_is_pinned() {
    let bytes = manifest(segments(1024, 2500, 10)).to_bytes();
    assert!(bytes.starts_with(b"decube/manifest/v1\0\0\0\0\x0dtest-snapshot"));
    assert_eq!(bytes.len(), 371);
    assert_eq!(
        SegmentId::of(&bytes).to_string(),
        "caff3875ef31e51bb902b0a4cda8f148ec015d1f6b5c3eb9d9836db005f14beb"
    );
}

/// RFC 6962 §2.1.2's structure over three leaves, computed by hand.
#[test]
fn merkle_root_has_the_shape_of_rfc_6962() {
    use sha2::{Digest as _, Sha256};
    let list = segments(1024, 2500, 0);
    assert_eq!(list.len(), 3);
    let leaf = |index: u64| {
        let segment = &list[usize::try_from(index).unwrap()];
        let mut bytes = vec![0];
        bytes.extend(index.to_be_bytes());
        bytes.extend(segment.length.to_be_bytes());
        bytes.extend(segment.id.0);
        Sha256::digest(&bytes)
    };
    let node = |left: &[u8], right: &[u8]| Sha256::digest([&[1], left, right].concat());
    let expected = node(&node(&leaf(0), &leaf(1)), &leaf(2));
    assert_eq!(SegmentTree::root_of(&list)[..], expected[..]);
    let empty = Sha256::digest([]);
    assert_eq!(SegmentTree::root_of(&[])[..], empty[..]);
}

/// Order, length and index are bound into the root.
#[test]
fn merkle_root_changes_with_order_length_and_repetition() {
    let list = segments(1024, 4096, 0);
    let root = SegmentTree::root_of(&list);
    let mut swapped = list.clone();
    swapped.swap(1, 2);
    assert_ne!(SegmentTree::root_of(&swapped), root);
    let mut shorter = list.clone();
    shorter[3].length -= 1;
    assert_ne!(SegmentTree::root_of(&shorter), root);
    let mut repeated = list.clone();
    repeated.push(list[3]);
    assert_ne!(SegmentTree::root_of(&repeated), root);
}

#[test]
fn names_that_could_leave_a_tree_are_refused() {
    for name in [&b""[..], b".", b"..", b"a/b", b"/", b"a\0b", &[b'x'; 1025]] {
        assert!(!name_is_valid(name), "{name:?}");
    }
    for name in [&b"..."[..], b"a\nb", b"\xff\xfe", b" ", b"-rf", b"con"] {
        assert!(name_is_valid(name), "{name:?}");
    }
}

#[test]
fn snapshot_names_follow_their_rule() {
    let long = "x".repeat(SNAPSHOT_ID_BYTES_MAX);
    for name in ["test-snapshot", "a", "2026.01.02_x", long.as_str()] {
        assert_eq!(name.parse::<SnapshotId>().unwrap().as_str(), name);
    }
    let longer = format!("{long}x");
    for name in [
        "",
        ".",
        "-x",
        "a/b",
        "a b",
        "a:b",
        "é",
        "a\n",
        longer.as_str(),
    ] {
        assert!(name.parse::<SnapshotId>().is_err(), "{name:?}");
    }
}

#[test]
fn segment_names_parse_in_three_forms() {
    let id = SegmentId::of(b"abc");
    let text = id.to_string();
    assert_eq!(
        text,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    for form in [
        text.clone(),
        format!("sha256:{text}"),
        format!("0x{}", text.to_uppercase()),
    ] {
        assert_eq!(form.parse(), Ok(id));
    }
    for form in [
        "",
        "00",
        &text[1..],
        &format!("{text}00"),
        &text.replace('b', "g"),
    ] {
        assert!(form.parse::<SegmentId>().is_err(), "{form:?}");
    }
}

/// Encodes a page without its checks, by replacing one name's bytes.
fn page_bytes_with_name(name: &[u8; 4]) -> bytes::Bytes {
    let page = Page {
        entries: vec![Entry {
            name: Bytes::from_static(b"good"),
            item: Item::Node(node(Kind::Fifo)),
        }],
    };
    let mut bytes = page.to_bytes().to_vec();
    assert_eq!(&bytes[9..13], b"good");
    bytes[9..13].copy_from_slice(name);
    bytes.into()
}

#[test]
fn pages_with_path_traversal_are_refused() {
    assert!(Page::from_bytes(&page_bytes_with_name(b"fine")).is_ok());
    for name in [b"a/..", b"../a", b"/etc", b"ab\0c"] {
        assert_eq!(
            Page::from_bytes(&page_bytes_with_name(name)),
            Err(DecodeError::Invalid { what: "page" })
        );
    }
}

#[test]
fn page_order_is_strict_and_continues_across_pages() {
    let entry = |name: &'static [u8]| Entry {
        name: Bytes::from_static(name),
        item: Item::HardLink { group: 1 },
    };
    let page = |entries| Page { entries };
    assert!(page(vec![entry(b"a"), entry(b"b")]).is_valid());
    assert!(!page(vec![entry(b"b"), entry(b"a")]).is_valid());
    assert!(!page(vec![entry(b"a"), entry(b"a")]).is_valid());
    assert!(!page(vec![]).is_valid());
    let next = page(vec![entry(b"m")]);
    assert!(next.may_follow(b"l"));
    assert!(!next.may_follow(b"m"));
    assert!(!next.may_follow(b"n"));
}

fn file(size: u64, offset: u64, ranges: &[(u64, u64)]) -> Node {
    let extents = ranges.iter().map(|(start, length)| Extent {
        start: *start,
        length: *length,
    });
    node(Kind::File {
        size,
        offset,
        extents: extents.collect(),
    })
}

#[test]
fn extents_must_ascend_apart_inside_the_file() {
    for good in [
        file(0, 0, &[]),
        file(100, 0, &[]),
        file(100, 7, &[(0, 100)]),
        file(100, 0, &[(0, 10), (20, 80)]),
    ] {
        assert!(good.is_valid(), "{good:?}");
    }
    for bad in [
        file(100, 7, &[]),
        file(100, 0, &[(0, 101)]),
        file(100, 0, &[(0, 0)]),
        file(100, 0, &[(0, 10), (10, 10)]),
        file(100, 0, &[(50, 10), (0, 10)]),
        file(100, 0, &[(u64::MAX, 2)]),
        file(100, u64::MAX, &[(0, 10)]),
        file(u64::MAX, 0, &[]),
    ] {
        assert!(!bad.is_valid(), "{bad:?}");
    }
}

#[test]
fn attributes_out_of_range_are_refused() {
    let good = Attributes {
        mode: 0o7777,
        ..Attributes::default()
    };
    assert!(good.is_valid());
    let mut bad = good.clone();
    bad.mode = 0o10000;
    assert!(!bad.is_valid());
    let mut bad = good.clone();
    bad.modified.nanos = 1_000_000_000;
    assert!(!bad.is_valid());
    let mut bad = good;
    let xattr = Xattr {
        name: Bytes::from_static(b"user.a"),
        value: Bytes::new(),
    };
    bad.xattrs = vec![xattr.clone(), xattr];
    assert!(!bad.is_valid());
}

#[test]
fn a_directory_in_a_link_group_is_refused() {
    let mut directory = node(Kind::Directory { pages: vec![] });
    assert!(directory.is_valid());
    directory.link_group = Some(1);
    assert!(!directory.is_valid());
}

#[test]
fn roots_that_overlap_or_leave_the_target_are_refused() {
    let with_roots = |paths: &[&'static [u8]]| {
        let mut manifest = manifest(vec![]);
        manifest.roots = paths.iter().map(|path| root(path)).collect();
        manifest.is_valid()
    };
    assert!(with_roots(&[b"etc", b"usr/share/doc"]));
    assert!(with_roots(&[b"data/a", b"data/ab"]));
    assert!(with_roots(&[b""]));
    for paths in [
        &[&b"etc"[..], b"etc"][..],
        &[b"etc", b"etc/ssl"],
        &[b"", b"etc"],
        &[b"../x"],
        &[b"a/../b"],
        &[b"/etc"],
        &[b"a//b"],
        &[b"a/"],
        &[],
    ] {
        assert!(!with_roots(paths), "{paths:?}");
    }
}

#[test]
fn segment_lists_that_break_the_arithmetic_are_refused() {
    let valid = |list: Vec<SegmentRef>| manifest(list).is_valid();
    let good = segments(1024, 3000, 3000);
    assert!(valid(good.clone()));
    assert!(valid(vec![]));
    let mut short_in_the_middle = good.clone();
    short_in_the_middle[0].length = 1000;
    assert!(!valid(short_in_the_middle));
    let mut mixed = good.clone();
    mixed.swap(2, 3);
    assert!(!valid(mixed));
    let mut too_long = good.clone();
    too_long[5].length = 1025;
    assert!(!valid(too_long));
    let mut empty = good;
    empty[5].length = 0;
    assert!(!valid(empty));
}

#[test]
fn a_wrong_merkle_root_is_refused() {
    let mut bytes = manifest(segments(1024, 3000, 3000)).to_bytes().to_vec();
    let end = bytes.len() - 4;
    bytes[end - 1] ^= 1;
    assert_eq!(
        Manifest::from_slice(&bytes),
        Err(DecodeError::Invalid { what: "manifest" })
    );
}

#[test]
fn layout_finds_pieces_across_segments() {
    let layout = Layout::new(&manifest(segments(1024, 2500, 1500)));
    assert_eq!(layout.stream_bytes(SegmentKind::Data), 2500);
    assert_eq!(layout.stream_bytes(SegmentKind::Metadata), 1500);
    let piece = |segment, start, length| Piece {
        segment,
        start,
        length,
    };
    let data: Vec<_> = layout
        .pieces(SegmentKind::Data, 1000, 1500)
        .unwrap()
        .collect();
    assert_eq!(
        data,
        [piece(0, 1000, 24), piece(1, 0, 1024), piece(2, 0, 452)]
    );
    let metadata: Vec<_> = layout
        .pieces(SegmentKind::Metadata, 1024, 10)
        .unwrap()
        .collect();
    assert_eq!(metadata, [piece(4, 0, 10)]);
    assert_eq!(
        layout.pieces(SegmentKind::Data, 2500, 0).unwrap().count(),
        0
    );
    for (offset, length) in [(2500, 1), (0, 2501), (u64::MAX, 1), (1, u64::MAX)] {
        assert!(layout.pieces(SegmentKind::Data, offset, length).is_err());
    }
}
