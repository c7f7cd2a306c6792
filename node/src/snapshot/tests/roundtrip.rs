//! What goes in comes out, bit for bit.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use decube_core::snapshot::SegmentKind;
use proptest::collection::vec as vec_of;
use proptest::prelude::*;

use super::generate::{any_step, build};
use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_tree_survives(steps in vec_of(any_step(), 0..40)) {
        let source = tempfile::tempdir().unwrap();
        build(source.path(), &steps);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(round_trip(&[source.path()]));
    }
}

/// Bytes that do not repeat, so that no two segments are equal by chance.
pub fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(count).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_directory_needs_no_segments() {
    let source = tempfile::tempdir().unwrap();
    let created = round_trip(&[source.path()]).await;
    assert!(created.manifest.segments.is_empty());
    assert_eq!(created.manifest.totals.directories, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_cut_into_full_segments_that_never_mix() {
    let source = tempfile::tempdir().unwrap();
    fs::write(source.path().join("a"), noise(10_000, 1)).unwrap();
    fs::write(source.path().join("b"), noise(2_288, 2)).unwrap();
    fs::write(source.path().join("c"), noise(1, 3)).unwrap();
    let created = round_trip(&[source.path()]).await;
    let segments = &created.manifest.segments;
    let of_kind = |kind| {
        let segments = segments.iter().filter(move |segment| segment.kind == kind);
        segments.map(|segment| segment.length).collect::<Vec<_>>()
    };
    // 12 289 bytes of content: three full segments and one byte.
    assert_eq!(of_kind(SegmentKind::Data), [4096, 4096, 4096, 1]);
    assert_eq!(of_kind(SegmentKind::Metadata).len(), 1);
    assert_eq!(created.manifest.totals.file_bytes, 12_289);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_sources_are_restored_below_their_paths() {
    let one = tempfile::tempdir().unwrap();
    let two = tempfile::tempdir().unwrap();
    fs::create_dir(one.path().join("etcd")).unwrap();
    fs::write(one.path().join("etcd/db"), noise(9_000, 4)).unwrap();
    fs::write(two.path().join("single file"), b"content").unwrap();
    symlink("nowhere", two.path().join("link")).unwrap();
    round_trip(&[
        &one.path().join("etcd"),
        &two.path().join("single file"),
        &two.path().join("link"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_raw_bytes() {
    let source = tempfile::tempdir().unwrap();
    for name in [
        &b"\xff\xfe"[..],
        b"a\nb",
        b" ",
        b"-rf",
        b"\x01",
        b"*",
        &[b'x'; 255],
    ] {
        let path = source.path().join(OsStr::from_bytes(name));
        fs::write(path, name).unwrap();
    }
    symlink(
        OsStr::from_bytes(b"\xff/../../etc\n"),
        source.path().join("l"),
    )
    .unwrap();
    round_trip(&[source.path()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn special_permissions_survive() {
    let source = tempfile::tempdir().unwrap();
    for (name, mode) in [
        ("suid", 0o4755),
        ("sgid", 0o2711),
        ("all", 0o7777),
        ("none", 0o0),
    ] {
        let path = source.path().join(name);
        fs::write(&path, name).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }
    for (name, mode) in [("sticky", 0o1777), ("shared", 0o2775), ("read-only", 0o555)] {
        let path = source.path().join(name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), name).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }
    if !rustix::process::geteuid().is_root() {
        // Only root can read a file without permissions.
        fs::remove_file(source.path().join("none")).unwrap();
    }
    round_trip(&[source.path()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_survive_when_root_restores() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let source = tempfile::tempdir().unwrap();
    let path = source.path().join("owned");
    fs::write(&path, b"x").unwrap();
    std::os::unix::fs::chown(&path, Some(12_345), Some(54_321)).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o6755)).unwrap();
    let link = source.path().join("link");
    symlink("owned", &link).unwrap();
    std::os::unix::fs::lchown(&link, Some(1), Some(2)).unwrap();
    round_trip(&[source.path()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_and_sockets_survive_when_root_restores() {
    let source = tempfile::tempdir().unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(source.path().join("s")).unwrap();
    if rustix::process::geteuid().is_root() {
        use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
        let path = source.path().join("null");
        let mode = Mode::from_raw_mode(0o622);
        let made = mknodat(CWD, &path, FileType::CharacterDevice, mode, makedev(1, 3));
        // A container may forbid it.
        if made.is_ok() {
            assert_eq!(fs::metadata(&path).unwrap().rdev(), makedev(1, 3));
        }
    }
    let created = round_trip(&[source.path()]).await;
    assert!(created.manifest.totals.specials >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn holes_stay_holes() {
    let source = tempfile::tempdir().unwrap();
    let path = source.path().join("image");
    let file = File::create(&path).unwrap();
    file.set_len(1 << 40).unwrap();
    file.write_all_at(&noise(100_000, 5), 1 << 30).unwrap();
    file.write_all_at(b"end", (1 << 40) - 3).unwrap();
    drop(file);
    let only_holes = source.path().join("only holes");
    File::create(&only_holes).unwrap().set_len(1 << 33).unwrap();

    let remote = MemoryRemote::new();
    let created = create_with(&remote, request(&[source.path()]))
        .await
        .unwrap();
    assert_eq!(created.manifest.totals.file_bytes, (1 << 40) + (1 << 33));
    assert!(created.manifest.totals.data_bytes < 300_000);
    let scratch = tempfile::tempdir().unwrap();
    let target = scratch.path().join("target");
    restore_to(&remote, &target, false).await.unwrap();

    let copy = restored(&target, &path);
    let metadata = fs::metadata(&copy).unwrap();
    assert_eq!(metadata.len(), 1 << 40);
    assert!(metadata.blocks() * 512 < 1 << 20, "the copy is sparse too");
    let copy = File::open(copy).unwrap();
    let mut bytes = vec![0; 100_000];
    copy.read_exact_at(&mut bytes, 1 << 30).unwrap();
    assert_eq!(bytes, noise(100_000, 5));
    let mut end = [1; 6];
    copy.read_exact_at(&mut end, (1 << 40) - 6).unwrap();
    assert_eq!(&end, b"\0\0\0end");
    let metadata = fs::metadata(restored(&target, &only_holes)).unwrap();
    assert_eq!((metadata.len(), metadata.blocks()), (1 << 33, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_links_stay_links_across_directories_and_sources() {
    let source = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        fs::create_dir(source.path().join(name)).unwrap();
    }
    let path = |name: &str| source.path().join(name);
    fs::write(path("a/one"), noise(5_000, 6)).unwrap();
    fs::hard_link(path("a/one"), path("a/two")).unwrap();
    fs::hard_link(path("a/one"), path("b/three")).unwrap();
    symlink("target", path("a/link")).unwrap();
    fs::hard_link(path("a/link"), path("b/link")).unwrap();
    let created = round_trip(&[source.path()]).await;
    assert_eq!(created.manifest.totals.hard_links, 3);
    assert_eq!(created.manifest.totals.data_bytes, 5_000);

    // The two names in different sources, one of them outside of the directory.
    let remote = MemoryRemote::new();
    let (a, b) = (path("a"), path("b"));
    create_with(&remote, request(&[&a, &b])).await.unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let target = scratch.path().join("target");
    restore_to(&remote, &target, false).await.unwrap();
    let inode = |path: &Path| fs::metadata(restored(&target, path)).unwrap().ino();
    assert_eq!(inode(&path("a/one")), inode(&path("b/three")));
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_of_many_pages_survive() {
    let source = tempfile::tempdir().unwrap();
    let long = "n".repeat(200);
    for number in 0..9_000 {
        File::create(source.path().join(format!("{number:05}{long}"))).unwrap();
    }
    let created = round_trip(&[source.path()]).await;
    assert_eq!(created.manifest.totals.files, 9_000);
    let metadata_bytes: u64 = created
        .manifest
        .segments
        .iter()
        .map(|segment| segment.length)
        .sum();
    assert!(metadata_bytes > 2 << 20, "several pages of 1 MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_trees_survive() {
    let source = tempfile::tempdir().unwrap();
    let mut path = source.path().to_path_buf();
    for _ in 0..200 {
        path.push("deeper");
        fs::create_dir(&path).unwrap();
    }
    fs::write(path.join("bottom"), b"reached").unwrap();
    round_trip(&[source.path()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_tree_makes_the_same_segments() {
    let source = tempfile::tempdir().unwrap();
    fs::write(source.path().join("a"), noise(50_000, 8)).unwrap();
    let one = round_trip(&[source.path()]).await;
    let two = round_trip(&[source.path()]).await;
    assert_eq!(one.manifest.segments, two.manifest.segments);
    assert_eq!(one.manifest.merkle_root, two.manifest.merkle_root);
}
