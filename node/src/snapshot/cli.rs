//! The command line of snapshots.

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, Parser, Subcommand};
use decube_core::snapshot::SnapshotId;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::cli::exit;
use crate::cli::node::stop_signal;

use super::create::{CreateRequest, create};
use super::error::SnapshotError;
use super::ledger;
use super::progress::Progress;
use super::remote::{AnyRemote, HttpRemote, LocalRemote, Remote as _};
use super::report;
use super::restore::{RestoreRequest, restore};
use super::verify::verify;

/// `decub-snapshot`: the snapshot commands of DeCube under their own name.
#[derive(Debug, Parser)]
#[command(name = "decub-snapshot", version, about)]
pub struct DecubSnapshot {
    #[command(flatten)]
    args: SnapshotArgs,
}

/// Make, inspect, verify and restore snapshots of directories.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 there is no such snapshot, 4 the name
is taken, 6 the node cannot be reached (may be retried), 7 damaged, 9 incomplete:
files could not be stored, 130 interrupted.

Examples:
  decube snapshot create etcd-monday /var/lib/etcd
  decube snapshot list
  decube snapshot verify etcd-monday
  decube snapshot restore etcd-monday ./restored")]
pub struct SnapshotArgs {
    /// The node to talk to
    #[arg(
        long,
        alias = "server",
        short = 's',
        global = true,
        env = "DECUBE_API",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL"
    )]
    api: String,
    /// Keep snapshots in this directory, without a node
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Do not register a new snapshot on the ledger
    #[arg(long, global = true)]
    local: bool,
    /// Show no progress
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a snapshot of files and directories
    ///
    /// Each PATH is stored with everything below it: files with their holes,
    /// links, permissions, owners, times and extended attributes. A symbolic link
    /// is stored as a link, never followed; only a PATH with a slash at its end
    /// means the directory behind the link.
    ///
    /// Files that change while they are read are read again, up to three times.
    /// If one keeps changing or cannot be read, it is named, nothing is
    /// registered, and the exit code is 9. An interrupted command leaves nothing
    /// visible; run it again and what was uploaded is reused.
    Create {
        /// The name of the snapshot: letters, digits, '.', '_' and '-'
        name: SnapshotId,
        /// What to store
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Register the snapshot without the files that could not be stored; it is
        /// marked as partial and lists them. The exit code is 9 all the same
        #[arg(long)]
        allow_partial: bool,
        /// Leave out other file systems mounted below a PATH
        #[arg(long, short = 'x')]
        one_file_system: bool,
    },
    /// List the snapshots
    #[command(visible_alias = "ls")]
    List,
    /// Show what the catalog says about a snapshot, and its registration on the ledger
    Show {
        /// The name of the snapshot
        name: SnapshotId,
    },
    /// Fetch every segment of a snapshot and check everything; exit code 7 if it
    /// is damaged
    Verify {
        /// The name of the snapshot
        name: SnapshotId,
    },
    /// Write a snapshot back into a directory
    ///
    /// Each stored path appears below TARGET: /usr/share/doc is restored to
    /// TARGET/usr/share/doc, data/a to TARGET/data/a, and / or . to TARGET itself.
    /// A TARGET that does not exist appears when it is complete.
    Restore {
        /// The name of the snapshot
        name: SnapshotId,
        /// The directory to restore into: absent or empty
        target: PathBuf,
        /// Write into a TARGET that is not empty: files of the snapshot replace
        /// those of the same path, everything else stays
        #[arg(long)]
        force: bool,
    },
    /// Remove a snapshot from the catalog
    #[command(visible_alias = "rm")]
    Delete {
        /// The name of the snapshot
        name: SnapshotId,
    },
}

impl DecubSnapshot {
    /// Whether a program called by this name is `decub-snapshot`.
    pub fn answers_to(program: &std::ffi::OsStr) -> bool {
        let path = std::path::Path::new(program);
        path.file_stem()
            .is_some_and(|name| name == "decub-snapshot")
    }

    /// Parses the command line of this process, and carries it out.
    pub fn main() -> ExitCode {
        run(Self::parse().args)
    }
}

/// Carries out a snapshot command, and prints what came of it.
pub fn run(args: SnapshotArgs) -> ExitCode {
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("threads and timers are available");
    let done = runtime.block_on(carry_out(args));
    // Blocking work that nobody waits for any more must not keep the user.
    runtime.shutdown_background();
    match done {
        Ok(code) => code,
        Err(error) => {
            report::failure(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

async fn carry_out(args: SnapshotArgs) -> Result<ExitCode, SnapshotError> {
    let remote = Arc::new(match &args.dir {
        Some(dir) => AnyRemote::Local(LocalRemote::open(dir)?),
        None => AnyRemote::Http(HttpRemote::new(&args.api)?),
    });
    let progress = Progress::new(args.quiet || args.json);
    let cancelled = Arc::new(AtomicBool::new(false));
    let work = command(&args, &remote, &progress, &cancelled);
    let done = until_interrupted(work, &cancelled).await;
    progress.finish();
    if let (Err(SnapshotError::Interrupted), Command::Create { .. }) = (&done, &args.command) {
        report::interrupted_create(&progress);
    }
    done
}

async fn command(
    args: &SnapshotArgs,
    remote: &Arc<AnyRemote>,
    progress: &Arc<Progress>,
    cancelled: &Arc<AtomicBool>,
) -> Result<ExitCode, SnapshotError> {
    match &args.command {
        Command::Create {
            name,
            paths,
            allow_partial,
            one_file_system,
        } => {
            let request = CreateRequest {
                allow_partial: *allow_partial,
                one_file_system: *one_file_system,
                ..CreateRequest::new(name.clone(), paths.clone())
            };
            let created = create(remote, request, progress, cancelled).await?;
            progress.finish();
            report::created(&created, progress, args.json);
            if args.dir.is_none() && !args.local {
                ledger::publish(&args.api, &created.manifest, created.hash).await;
            }
            return Ok(ExitCode::from(match created.manifest.is_partial() {
                true => exit::INCOMPLETE,
                false => exit::DONE,
            }));
        }
        Command::List => report::list(&remote.list().await?, args.json),
        Command::Show { name } => match remote.lookup(name).await? {
            Some(record) => {
                let entry = match args.dir {
                    None => ledger::find(&args.api, name).await,
                    Some(_) => None,
                };
                report::show(&record, entry);
            }
            None => return Err(SnapshotError::NotFound(name.clone())),
        },
        Command::Verify { name } => {
            let manifest = verify(remote, name, progress, cancelled).await?;
            progress.finish();
            report::verified(&manifest, progress);
        }
        Command::Restore {
            name,
            target,
            force,
        } => {
            let request = RestoreRequest {
                id: name.clone(),
                target: target.clone(),
                force: *force,
            };
            let restored = restore(remote, request, progress, cancelled).await?;
            progress.finish();
            report::restored(&restored, target, progress);
        }
        Command::Delete { name } => match remote.unregister(name).await? {
            true => println!("Snapshot {name} deleted"),
            false => return Err(SnapshotError::NotFound(name.clone())),
        },
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a command; the first SIGINT or SIGTERM lets it stop in order, the second
/// drops it.
async fn until_interrupted<T>(
    work: impl Future<Output = Result<T, SnapshotError>>,
    cancelled: &AtomicBool,
) -> Result<T, SnapshotError> {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        biased;
        done = &mut work => return done,
        Ok(_) = stop_signal() => cancelled.store(true, Ordering::Relaxed),
    }
    tokio::select! {
        biased;
        done = &mut work => done,
        Ok(_) = stop_signal() => Err(SnapshotError::Interrupted),
    }
}

/// A deep tree is walked with one open directory for each level.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // With the old limit only very deep trees fail, and those are named.
    let _ = setrlimit(Resource::Nofile, raised);
}
