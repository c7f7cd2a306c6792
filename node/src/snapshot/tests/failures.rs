//! What goes wrong is reported, and never half-visible or silently skipped.

use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use decube_core::codec::{Decode as _, Encode as _};
use decube_core::snapshot::{
    Item, Kind, Manifest, PageRef, SegmentId, SegmentKind, SegmentRef, segments_root,
};

use crate::cli::exit;

use super::super::remote::{Record, Registration};
use super::roundtrip::noise;
use super::*;

/// A directory with some files.
fn sources() -> tempfile::TempDir {
    let source = tempfile::tempdir().unwrap();
    for (number, name) in ["busy", "calm", "quiet"].into_iter().enumerate() {
        fs::write(source.path().join(name), noise(20_000, number as u64)).unwrap();
    }
    source
}

/// A probe that appends to the file called `busy` the first `times` times.
fn busy_file(mut request: CreateRequest, times: u32) -> CreateRequest {
    let seen = AtomicU32::new(0);
    request.probe = Some(Arc::new(move |path| {
        let path = Path::new(std::ffi::OsStr::from_bytes(path));
        if path.ends_with("busy") && seen.fetch_add(1, Ordering::Relaxed) < times {
            let mut file = fs::File::options().append(true).open(path)?;
            file.write_all(b"more")?;
        }
        Ok(())
    }));
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_settles_is_read_again_and_stored() {
    let source = sources();
    let remote = MemoryRemote::new();
    let request = busy_file(request(&[source.path()]), 2);
    let created = create_with(&remote, request).await.unwrap();
    // The bytes of the failed attempts that had left are in the stream, unused.
    assert_eq!(created.manifest.totals.file_bytes, 60_008);
    verify_it(&remote).await.unwrap();
    let expected = describe(source.path());
    let scratch = tempfile::tempdir().unwrap();
    restore_to(&remote, scratch.path(), false).await.unwrap();
    assert_eq!(describe(&restored(scratch.path(), source.path())), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_keeps_changing_is_named_and_nothing_is_registered() {
    let source = sources();
    let remote = MemoryRemote::new();
    let request = busy_file(request(&[source.path()]), u32::MAX);
    let error = create_with(&remote, request).await.unwrap_err();
    assert_eq!(error.exit_code(), exit::INCOMPLETE);
    let SnapshotError::Incomplete(missing) = error else {
        panic!("{error}")
    };
    assert_eq!(missing.len(), 1);
    assert_eq!(
        missing[0].path,
        source.path().join("busy").as_os_str().as_bytes()
    );
    assert!(remote.state().records.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_unreadable_files_are_named() {
    let source = sources();
    let remote = MemoryRemote::new();
    let mut request = request(&[source.path()]);
    request.probe = Some(Arc::new(|path| match path.ends_with(b"quiet") {
        true => Ok(()),
        false => Err(std::io::Error::other("bad sector")),
    }));
    let error = create_with(&remote, request).await.unwrap_err();
    let SnapshotError::Incomplete(missing) = error else {
        panic!("{error}")
    };
    let names: Vec<_> = missing.iter().map(|missing| &missing.path[..]).collect();
    assert!(names[0].ends_with(b"/busy") && names[1].ends_with(b"/calm"));
    assert!(missing.iter().all(|missing| missing.reason == "bad sector"));
    assert!(remote.state().records.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_snapshot_says_so_and_restores_the_rest() {
    let source = sources();
    let remote = MemoryRemote::new();
    let mut request = busy_file(request(&[source.path()]), u32::MAX);
    request.allow_partial = true;
    let created = create_with(&remote, request).await.unwrap();
    assert!(created.manifest.is_partial());
    let status = remote.state().records["test-snapshot"].metadata["status"].clone();
    assert_eq!(status, "partial");
    verify_it(&remote).await.unwrap();
    let scratch = tempfile::tempdir().unwrap();
    restore_to(&remote, scratch.path(), false).await.unwrap();
    let copy = restored(scratch.path(), source.path());
    assert!(!copy.join("busy").exists());
    assert_eq!(fs::read(copy.join("calm")).unwrap(), noise(20_000, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_upload_leaves_nothing_visible_and_is_resumed() {
    let source = sources();
    let remote = MemoryRemote::new();
    remote.state().refuse_puts_from = Some(5);
    let error = create_with(&remote, request(&[source.path()]))
        .await
        .unwrap_err();
    assert!(matches!(error, SnapshotError::Remote(_)));
    assert!(remote.state().records.is_empty());
    let kept = remote.state().segments.len();
    assert_eq!(kept, 5);

    let puts_before = remote.state().puts;
    remote.state().refuse_puts_from = None;
    let created = create_with(&remote, request(&[source.path()]))
        .await
        .unwrap();
    // All segments and the manifest, less what the first attempt left.
    let puts = remote.state().puts - puts_before;
    assert_eq!(puts, created.manifest.segments.len() + 1 - kept);
    verify_it(&remote).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_create_leaves_nothing_visible() {
    let source = sources();
    let remote = MemoryRemote::new();
    let cancelled = Arc::new(AtomicBool::new(false));
    let mut request = request(&[source.path()]);
    let flag = cancelled.clone();
    request.probe = Some(Arc::new(move |_| {
        flag.store(true, Ordering::Relaxed);
        Ok(())
    }));
    let created = create(&remote, request, &Progress::new(true), &cancelled).await;
    assert!(matches!(created, Err(SnapshotError::Interrupted)));
    assert!(remote.state().records.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_failures_are_retried() {
    let source = sources();
    let remote = MemoryRemote::new();
    let cancelled = Arc::new(AtomicBool::new(false));
    // The first call is the lookup, which is not a transfer.
    assert!(remote.state().records.is_empty());
    let mut request = request(&[source.path()]);
    let flaky = remote.clone();
    request.probe = Some(Arc::new(move |path| {
        if path.ends_with(b"calm") {
            flaky.state().unavailable = 2;
        }
        Ok(())
    }));
    create(&remote, request, &Progress::new(true), &cancelled)
        .await
        .unwrap();
    verify_it(&remote).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_the_registration_is_looked_up() {
    let source = sources();
    let remote = MemoryRemote::new();
    remote.state().lose_register_answer = true;
    create_with(&remote, request(&[source.path()]))
        .await
        .unwrap();
    verify_it(&remote).await.unwrap();
    let again = create_with(&remote, request(&[source.path()])).await;
    assert!(matches!(again, Err(SnapshotError::Exists(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_damaged_segment_is_found_and_nothing_of_it_is_written() {
    let source = sources();
    let remote = MemoryRemote::new();
    let created = create_with(&remote, request(&[source.path()]))
        .await
        .unwrap();
    let scratch = tempfile::tempdir().unwrap();
    for (index, segment) in created.manifest.segments.iter().enumerate() {
        let good = remote.state().segments[&segment.id].clone();
        let mut flipped = good.to_vec();
        flipped[good.len() / 2] ^= 1;
        let damages = [
            Some(Bytes::from(flipped)),
            Some(good.slice(1..)),
            Some(Bytes::new()),
            None,
        ];
        for damage in damages {
            match damage {
                Some(bytes) => remote.state().segments.insert(segment.id, bytes),
                None => remote.state().segments.remove(&segment.id),
            };
            let error = verify_it(&remote).await.unwrap_err();
            assert_eq!(error.exit_code(), exit::INTEGRITY, "segment {index}");
            let target = scratch.path().join("target");
            let error = restore_to(&remote, &target, false).await.unwrap_err();
            assert_eq!(error.exit_code(), exit::INTEGRITY, "segment {index}");
            // The target never appeared, and its beginnings are gone.
            assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
        }
        remote.state().segments.insert(segment.id, good);
    }
    verify_it(&remote).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_exchanged_manifest_is_found() {
    let source = sources();
    let remote = MemoryRemote::new();
    let created = create_with(&remote, request(&[source.path()]))
        .await
        .unwrap();
    let good = remote.state().segments[&created.hash].clone();
    let mut flipped = good.to_vec();
    flipped[30] ^= 1;
    remote.state().segments.insert(created.hash, flipped.into());
    assert_eq!(
        verify_it(&remote).await.unwrap_err().exit_code(),
        exit::INTEGRITY
    );
    remote.state().segments.insert(created.hash, good);

    // The manifest of another snapshot under this name.
    let mut other = request(&[source.path()]);
    other.id = "other".parse().unwrap();
    create_with(&remote, other).await.unwrap();
    let record = remote.state().records["other"].clone();
    let record = Record {
        id: "test-snapshot".to_owned(),
        ..record
    };
    remote
        .state()
        .records
        .insert("test-snapshot".to_owned(), record);
    assert_eq!(
        verify_it(&remote).await.unwrap_err().exit_code(),
        exit::INTEGRITY
    );
}

/// Stores a manifest under its hash and registers it, as an attacker could.
fn plant(remote: &MemoryRemote, bytes: Bytes, merkle_root: [u8; 32]) {
    let hash = SegmentId::of(&bytes);
    let metadata = serde_json::json!({
        "manifest": hash.to_string(),
        "merkle_root": SegmentId(merkle_root).to_string(),
    });
    let record = Record {
        id: "test-snapshot".to_owned(),
        metadata: metadata.as_object().unwrap().clone(),
    };
    assert!(Registration::of(&record).is_some());
    let mut state = remote.state();
    state.segments.insert(hash, bytes);
    state.records.insert(record.id.clone(), record);
}

/// Replaces bytes of an encoding by others of the same length, everywhere.
fn replace_all(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let mut replaced = bytes.to_vec();
    let mut count = 0;
    for at in 0..bytes.len().saturating_sub(old.len()) {
        if bytes[at..].starts_with(old) {
            replaced[at..at + old.len()].copy_from_slice(new);
            count += 1;
        }
    }
    assert!(count > 0);
    replaced
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_leads_out_of_the_target_is_refused() {
    let source = tempfile::tempdir().unwrap();
    let path = source.path().join("abcdef");
    fs::write(&path, b"evil").unwrap();
    let remote = MemoryRemote::new();
    let created = create_with(&remote, request(&[&path])).await.unwrap();
    let bytes = created.manifest.to_bytes();
    let scratch = tempfile::tempdir().unwrap();
    for evil in [b"../../", b"/../..", b"a/../b", b"......"] {
        let evil_bytes = replace_all(&bytes, b"abcdef", evil);
        plant(&remote, evil_bytes.into(), created.manifest.merkle_root);
        let restored = restore_to(&remote, &scratch.path().join("target"), false).await;
        match evil {
            // Six dots are a strange name but a name.
            b"......" => drop(restored.unwrap()),
            _ => assert_eq!(restored.unwrap_err().exit_code(), exit::INTEGRITY),
        }
    }
}

/// Rebuilds a snapshot around one metadata segment with the given pages.
fn plant_tree(remote: &MemoryRemote, template: &Manifest, page: &Bytes, uses: usize) {
    let id = SegmentId::of(page);
    let page_ref = PageRef {
        offset: 0,
        length: page.len().try_into().unwrap(),
        hash: id,
    };
    let segments = vec![SegmentRef {
        id,
        length: page.len() as u64,
        kind: SegmentKind::Metadata,
    }];
    let mut manifest = template.clone();
    manifest.merkle_root = segments_root(&segments);
    manifest.segments = segments;
    let Item::Node(root) = &mut manifest.roots[0].item else {
        panic!("the root is a directory")
    };
    root.kind = Kind::Directory {
        pages: vec![page_ref; uses],
    };
    remote.state().segments.insert(id, page.clone());
    plant(remote, manifest.to_bytes(), manifest.merkle_root);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_with_evil_names_or_used_twice_is_refused() {
    let source = tempfile::tempdir().unwrap();
    fs::create_dir(source.path().join("empty!")).unwrap();
    let remote = MemoryRemote::new();
    let created = create_with(&remote, request(&[source.path()]))
        .await
        .unwrap();
    let page = remote.state().segments[&created.manifest.segments[0].id].clone();
    let scratch = tempfile::tempdir().unwrap();
    let target = scratch.path().join("target");

    plant_tree(&remote, &created.manifest, &page, 1);
    verify_it(&remote).await.unwrap();
    plant_tree(&remote, &created.manifest, &page, 2);
    assert_eq!(
        verify_it(&remote).await.unwrap_err().exit_code(),
        exit::INTEGRITY
    );
    plant_tree(&remote, &created.manifest, &page, 0);
    assert_eq!(
        verify_it(&remote).await.unwrap_err().exit_code(),
        exit::INTEGRITY
    );
    for evil in [b"../../", b"/tmp/x", b"x/../y"] {
        let page = replace_all(&page, b"empty!", evil).into();
        plant_tree(&remote, &created.manifest, &page, 1);
        assert_eq!(
            verify_it(&remote).await.unwrap_err().exit_code(),
            exit::INTEGRITY
        );
        let error = restore_to(&remote, &target, false).await.unwrap_err();
        assert_eq!(error.exit_code(), exit::INTEGRITY);
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stated_totals_must_be_those_of_the_tree() {
    let source = sources();
    let remote = MemoryRemote::new();
    let created = create_with(&remote, request(&[source.path()]))
        .await
        .unwrap();
    let mut manifest = created.manifest;
    manifest.totals.files -= 1;
    let reread = Manifest::from_bytes(&manifest.to_bytes()).unwrap();
    plant(&remote, reread.to_bytes(), reread.merkle_root);
    assert_eq!(
        verify_it(&remote).await.unwrap_err().exit_code(),
        exit::INTEGRITY
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_not_empty_needs_force() {
    let source = sources();
    symlink("calm", source.path().join("link")).unwrap();
    let remote = MemoryRemote::new();
    create_with(&remote, request(&[source.path()]))
        .await
        .unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let copy = restored(scratch.path(), source.path());
    fs::create_dir_all(&copy).unwrap();
    fs::write(copy.join("kept"), b"mine").unwrap();
    fs::write(copy.join("calm"), b"old content").unwrap();
    // A link where a file comes: it must be replaced, not followed.
    let outside = scratch.path().join("outside");
    fs::write(&outside, b"untouched").unwrap();
    symlink(&outside, copy.join("quiet")).unwrap();
    fs::write(copy.join("link"), b"a file where a link comes").unwrap();

    let refused = restore_to(&remote, scratch.path(), false).await;
    assert!(matches!(refused, Err(SnapshotError::Usage(_))));
    assert_eq!(fs::read(copy.join("calm")).unwrap(), b"old content");

    restore_to(&remote, scratch.path(), true).await.unwrap();
    assert_eq!(fs::read(copy.join("kept")).unwrap(), b"mine");
    assert_eq!(fs::read(&outside).unwrap(), b"untouched");
    fs::remove_file(copy.join("kept")).unwrap();
    let mut found = describe(&copy);
    let mut expected = describe(source.path());
    // Removing the file above has changed the time of the directory.
    found.remove(Path::new(""));
    expected.remove(Path::new(""));
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_in_the_place_of_a_directory_is_not_followed() {
    let source = tempfile::tempdir().unwrap();
    fs::create_dir(source.path().join("d")).unwrap();
    fs::write(source.path().join("d/file"), b"new").unwrap();
    let remote = MemoryRemote::new();
    create_with(&remote, request(&[source.path()]))
        .await
        .unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let copy = restored(scratch.path(), source.path());
    fs::create_dir_all(&copy).unwrap();
    symlink(outside.path(), copy.join("d")).unwrap();
    restore_to(&remote, scratch.path(), true).await.unwrap();
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    assert_eq!(fs::read(copy.join("d/file")).unwrap(), b"new");
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_overlap_or_do_not_exist_are_refused() {
    let source = sources();
    let (root, inside) = (source.path(), source.path().join("calm"));
    let remote = MemoryRemote::new();
    for paths in [
        [root, inside.as_path()],
        [inside.as_path(), root],
        [root, root],
    ] {
        let error = create_with(&remote, request(&paths)).await.unwrap_err();
        assert!(matches!(error, SnapshotError::Usage(_)));
    }
    let absent = root.join("absent");
    let error = create_with(&remote, request(&[&absent])).await.unwrap_err();
    assert!(matches!(error, SnapshotError::Disk { .. }));
    assert!(remote.state().segments.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_with_a_slash_means_the_directory_behind_the_link() {
    let source = sources();
    let scratch = tempfile::tempdir().unwrap();
    let link = scratch.path().join("link");
    symlink(source.path(), &link).unwrap();
    let behind = scratch.path().join("link/");
    for (path, is_link) in [(&link, true), (&behind, false)] {
        let remote = MemoryRemote::new();
        let created = create_with(&remote, request(&[path])).await.unwrap();
        assert_eq!(created.manifest.totals.symlinks, u64::from(is_link));
        assert_eq!(created.manifest.totals.files, if is_link { 0 } else { 3 });
    }
}
