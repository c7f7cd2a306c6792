//! tmp
/// tmp
#[derive(Debug)]
pub struct SnapshotArgs;
/// tmp
pub fn run() {}
/// tmp
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
