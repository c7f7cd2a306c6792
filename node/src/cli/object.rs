//! `decube object`.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use clap::{Args, Subcommand};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use http_body_util::BodyExt;
use hyper::Method;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::Remote;
use super::client::{Payload, encode, json};
use super::exit::{FAILED, Failure, INTEGRITY, Outcome, UNAVAILABLE};
use super::output::{self, Format, cell};

/// Bytes read from a file at once.
const READ_BYTES: usize = 256 << 10;

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  decube object put backup.tar ./backup.tar
  tar c /data | decube object put data.tar -
  decube object get backup.tar ./restored.tar
  decube object stat backup.tar
  decube object rm backup.tar")]
pub enum ObjectCommand {
    /// Store a file under an id
    Put {
        /// The id
        id: String,
        /// The file; - reads standard input
        file: PathBuf,
        /// Only if there is no object under this id
        #[arg(long)]
        if_absent: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Fetch an object; its hash is checked
    Get(GetArgs),
    /// Print what is known of an object
    Stat {
        /// The id
        id: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Remove an object
    Rm {
        /// The id
        id: String,
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Debug, Args)]
pub struct GetArgs {
    /// The id
    id: String,
    /// Where to write it; without it to standard output
    file: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub async fn run(command: ObjectCommand) -> Outcome {
    match command {
        ObjectCommand::Put {
            id,
            file,
            if_absent,
            remote,
        } => put(&id, file, if_absent, &remote).await,
        ObjectCommand::Get(args) => get(args).await,
        ObjectCommand::Stat { id, remote } => stat(&id, &remote).await,
        ObjectCommand::Rm { id, remote } => {
            remote
                .client()?
                .send(Method::DELETE, &path(&id), &[], Payload::Empty)
                .await?;
            Ok(())
        }
    }
}

fn path(id: &str) -> String {
    format!("/storage/objects/{}", encode(id))
}

async fn put(id: &str, file: PathBuf, if_absent: bool, remote: &Remote) -> Outcome {
    let (length, source): (_, Box<dyn AsyncRead + Send + Unpin>) = if file.as_os_str() == "-" {
        (None, Box::new(tokio::io::stdin()))
    } else {
        let failed =
            |error| Failure::new(FAILED, format!("cannot read {}: {error}", file.display()));
        let source = tokio::fs::File::open(&file).await.map_err(failed)?;
        let length = source.metadata().await.map_err(failed)?.len();
        (Some(length), Box::new(source))
    };
    let bar = progress(length);
    let payload = Payload::Stream(length, pieces(source, bar.clone()));
    let headers: Vec<_> = if_absent
        .then(|| ("if-none-match", "*".to_owned()))
        .into_iter()
        .collect();
    let response = remote
        .client()?
        .send(Method::PUT, &path(id), &headers, payload)
        .await;
    bar.finish_and_clear();
    let answer = json(response?).await?;
    match remote.output {
        Format::Json => output::json(&answer),
        Format::Table => output::fields(&[
            ("id", cell(&answer["object_id"])),
            ("size", cell(&answer["size"])),
            ("sha256", cell(&answer["sha256"])),
        ]),
    }
}

async fn get(args: GetArgs) -> Outcome {
    let response = args
        .remote
        .client()?
        .send(Method::GET, &path(&args.id), &[], Payload::Empty)
        .await?;
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let announced = header("x-content-id").unwrap_or_default().to_owned();
    let length = header("content-length").and_then(|text| text.parse().ok());
    let bar = progress(length);
    let mut sink = Sink::open(args.file)?;
    let mut hasher = Sha256::new();
    let mut body = response.into_body().into_data_stream();
    while let Some(piece) = body.next().await {
        let piece = piece
            .map_err(|error| Failure::new(UNAVAILABLE, format!("the object broke off: {error}")))?;
        hasher.update(&piece);
        sink.write(&piece)?;
        bar.inc(piece.len() as u64);
    }
    bar.finish_and_clear();
    let found: String = hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if found != announced {
        let message = format!("the bytes hash to {found}, not to {announced}");
        return Err(Failure::new(INTEGRITY, message).hint("the file was not written"));
    }
    sink.finish()
}

async fn stat(id: &str, remote: &Remote) -> Outcome {
    let response = remote
        .client()?
        .send(Method::HEAD, &path(id), &[], Payload::Empty)
        .await?;
    let header = |name: &str| {
        let value = response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok());
        value.unwrap_or("-").to_owned()
    };
    let known = [
        ("id", id.to_owned()),
        ("size", header("content-length")),
        ("sha256", header("x-content-id")),
        ("content_type", header("content-type")),
    ];
    match remote.output {
        Format::Table => output::fields(&known),
        Format::Json => {
            let mut object = json!({});
            known
                .into_iter()
                .for_each(|(name, value)| object[name] = value.into());
            object["size"] = object["size"]
                .as_str()
                .and_then(|size| size.parse::<u64>().ok())
                .into();
            output::json(&object)
        }
    }
}

fn pieces(
    source: Box<dyn AsyncRead + Send + Unpin>,
    bar: ProgressBar,
) -> BoxStream<'static, std::io::Result<Bytes>> {
    stream::try_unfold((source, bar), |(mut source, bar)| async move {
        let mut piece = BytesMut::with_capacity(READ_BYTES);
        let count = source.read_buf(&mut piece).await?;
        bar.inc(count as u64);
        Ok((count > 0).then(|| (piece.freeze(), (source, bar))))
    })
    .boxed()
}

/// A bar on standard error, if a person is looking.
fn progress(length: Option<u64>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{bar:30} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}";
    let style = ProgressStyle::with_template(template).expect("a fixed template");
    match length {
        Some(length) => ProgressBar::new(length).with_style(style),
        None => ProgressBar::new_spinner(),
    }
}

/// Where an object goes. A file appears under its name only when it is whole.
enum Sink {
    Stdout,
    File {
        file: std::fs::File,
        partial: PathBuf,
        path: PathBuf,
    },
}

impl Sink {
    fn open(path: Option<PathBuf>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self::Stdout);
        };
        let mut partial = path.clone().into_os_string();
        partial.push(format!(".partial-{}", std::process::id()));
        let partial = PathBuf::from(partial);
        match std::fs::File::create_new(&partial) {
            Ok(file) => Ok(Self::File {
                file,
                partial,
                path,
            }),
            Err(error) => Err(Failure::new(
                FAILED,
                format!("cannot write {}: {error}", partial.display()),
            )),
        }
    }

    fn write(&mut self, piece: &[u8]) -> Outcome {
        match self {
            Self::Stdout => output::raw(piece),
            Self::File { file, partial, .. } => file.write_all(piece).map_err(|error| {
                Failure::new(
                    FAILED,
                    format!("cannot write {}: {error}", partial.display()),
                )
            }),
        }
    }

    fn finish(self) -> Outcome {
        match &self {
            Self::Stdout => Ok(()),
            Self::File {
                file,
                partial,
                path,
            } => {
                let done = file
                    .sync_all()
                    .and_then(|()| std::fs::rename(partial, path));
                done.map_err(|error| {
                    Failure::new(FAILED, format!("cannot write {}: {error}", path.display()))
                })
            }
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Self::File { partial, .. } = self {
            // Gone already if the file was finished.
            let _ = std::fs::remove_file(partial);
        }
    }
}
