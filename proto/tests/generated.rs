//! The checked-in code is what the `.proto` files say.
//!
//! `DECUBE_REGENERATE=1 cargo test -p proto` renews it.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn generated_code_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fresh = std::env::temp_dir().join(format!("decube-proto-{}", std::process::id()));
    fs::create_dir_all(&fresh).expect("a directory to generate into");
    let sources = files(&root.join("proto"), "proto");
    let includes = [root.join("proto")];
    let descriptors = protox::compile(&sources, &includes).expect("the .proto files compile");
    prost_build::Config::new()
        .out_dir(&fresh)
        .bytes(["."])
        .compile_fds(descriptors)
        .expect("code is generated");
    let checked_in = root.join("src/gen");
    let renew = std::env::var_os("DECUBE_REGENERATE").is_some();
    for file in files(&fresh, "rs") {
        let name = file.file_name().expect("a file has a name");
        let expected = fs::read_to_string(&file).expect("what was just written");
        if renew {
            fs::write(checked_in.join(name), &expected).expect("the checked-in file is writable");
        }
        let found = fs::read_to_string(checked_in.join(name)).unwrap_or_default();
        assert!(
            found == expected,
            "{name:?} is out of date: run DECUBE_REGENERATE=1 cargo test -p proto"
        );
    }
    let count = |directory: &Path| files(directory, "rs").len();
    assert_eq!(
        count(&checked_in),
        count(&fresh),
        "a generated file has no source any more"
    );
    fs::remove_dir_all(&fresh).expect("the directory is ours");
}

fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}
