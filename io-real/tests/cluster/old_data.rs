//! A directory that an earlier build has written is served on.
//!
//! `old-data.bin` is the directory of one node, as a graceful stop left it: twenty keys in
//! its cluster and one note on its ledger. It was written by the build that this test came
//! with, by
//!
//! ```text
//! DECUBE_OLD_DATA=write cargo test -p io-real --test cluster old_data
//! ```
//!
//! Write it again only when a release gives up the format before, and say so there. The
//! secrets in it are of no other node.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use decube_core::codec::{Field, Reader, Writer};
use decube_io_real::host::HostExit;
use decube_io_real::network::InProcessHub;
use tempfile::TempDir;

use super::rig::Cluster;

/// What a packed directory is called in errors.
const FIELD: Field = Field {
    what: "packed directory",
    name: "file",
};
/// Blocks of zeros are left out: logs are made at full length.
const BLOCK: usize = 512;
const FILES_MAX: usize = 64;
const FILE_BYTES_MAX: u64 = 8 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_an_earlier_build_is_served_on() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/old-data.bin");
    if std::env::var("DECUBE_OLD_DATA").is_ok_and(|wish| wish == "write") {
        fs::write(&place, written().await).unwrap();
    }
    let root = TempDir::new().unwrap();
    unpack(&fs::read(&place).unwrap().into(), &root.path().join("0"));
    let mut cluster = Cluster::on(root, 1, |_| InProcessHub::new());
    cluster.skip_notes(1);
    cluster.start_all();
    let id = cluster.ids()[0];
    for number in 0..20 {
        let value = cluster.get(id, &format!("key{number}")).await;
        assert_eq!(value, Some(Bytes::from_static(b"kept")));
    }
    cluster.put(id, "key0", "changed").await;
    // Its sequence follows that of the note in the directory.
    cluster.note(id, "by this build").await;
}

/// The directory of a node that has done what the test looks for.
async fn written() -> Bytes {
    let mut cluster = Cluster::new(1, |_| InProcessHub::new());
    cluster.start_all();
    let id = cluster.ids()[0];
    for number in 0..20 {
        cluster.put(id, &format!("key{number}"), "kept").await;
    }
    cluster.note(id, "by an earlier build").await;
    assert_eq!(cluster.stop(id).await, HostExit::Stopped);
    pack(cluster.path(id))
}

/// Each file as its path, its length, and the blocks that are not zeros.
fn pack(root: &Path) -> Bytes {
    let mut folders = vec![root.to_owned()];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.ends_with("LOCK") => {}
                false => files.push(path),
            }
        }
    }
    files.sort();
    let mut writer = Writer::new();
    writer.length(files.len());
    for path in files {
        let content = fs::read(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap();
        let blocks = content.chunks(BLOCK).enumerate();
        let kept: Vec<_> = blocks
            .filter(|(_, block)| block.iter().any(|byte| *byte != 0))
            .collect();
        writer.blob(name.as_bytes());
        writer.u64(content.len() as u64);
        writer.length(kept.len());
        for (place, block) in kept {
            writer.u32(u32::try_from(place).unwrap());
            writer.blob(block);
        }
    }
    writer.into_bytes()
}

fn unpack(packed: &Bytes, root: &Path) {
    let mut reader = Reader::from_bytes(packed);
    for _ in 0..reader.length(FILES_MAX, &FIELD).unwrap() {
        let name = reader.blob(256, &FIELD).unwrap();
        let path = root.join(std::str::from_utf8(&name).unwrap());
        let length = reader.u64().unwrap();
        assert!(length <= FILE_BYTES_MAX, "a small directory");
        let mut content = vec![0; usize::try_from(length).unwrap()];
        for _ in 0..reader.length(content.len(), &FIELD).unwrap() {
            let offset = reader.u32().unwrap() as usize * BLOCK;
            let block = reader.blob(BLOCK, &FIELD).unwrap();
            content[offset..][..block.len()].copy_from_slice(&block);
        }
        write_secret(&path, &content);
    }
}

/// As the node writes it: nobody else may read its keys.
fn write_secret(path: &Path, content: &[u8]) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
