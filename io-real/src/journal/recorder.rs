//! Writing a run.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use decube_core::codec::Encode as _;
use decube_core::node::{Config, Effect, Event};
use decube_core::types::Time;
use decube_proto::journal::end::Reason;
use decube_proto::journal::record::Body;
use decube_proto::journal::{End, Record, Signed, Step};
use prost::Message as _;

use super::signatures::Signatures;
use super::{EffectDigest, SUFFIX, checksum, header, is_run_name, signed_checksum};
use crate::host::Recorder;

/// Records that wait for the disk.
const QUEUE_MAX: usize = 16_384;

/// What a recorder may keep.
#[derive(Debug, Clone)]
pub struct JournalConfig {
    /// Where the runs are kept, one directory each.
    pub directory: PathBuf,
    /// Bytes of all runs together; at least twice `run_bytes_max`.
    pub bytes_max: u64,
    /// Bytes of one run, after which it is not recorded any further.
    pub run_bytes_max: u64,
    /// Bytes of one segment file.
    pub segment_bytes: u64,
}

/// Records a run of a host into files.
#[derive(Debug)]
pub struct JournalRecorder {
    /// `None` once the recording has ended.
    records: Option<SyncSender<Record>>,
    thread: Option<JoinHandle<()>>,
    digest: EffectDigest,
    signatures: Signatures,
    bytes_left: u64,
}

impl JournalConfig {
    /// Keeps up to `bytes_max` in all, and of one run up to a quarter of it.
    pub fn bounded(directory: impl Into<PathBuf>, bytes_max: u64) -> Self {
        Self {
            bytes_max,
            run_bytes_max: bytes_max / 4,
            ..Self::new(directory)
        }
    }

    /// Keeps up to 4 GiB, and of one run up to 1 GiB.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            bytes_max: 4 << 30,
            run_bytes_max: 1 << 30,
            segment_bytes: 64 << 20,
        }
    }
}

impl JournalRecorder {
    /// Makes room and begins a run of a node that is built from `node`. The signers
    /// in `node` are replaced by ones that also tell the recorder what they sign.
    pub fn start(config: &JournalConfig, node: &mut Config) -> io::Result<Self> {
        private_directory()
            .recursive(true)
            .create(&config.directory)?;
        make_room(
            &config.directory,
            config.bytes_max.saturating_sub(config.run_bytes_max),
        )?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let run = config.directory.join(format!("{:020}", now.as_nanos()));
        private_directory().create(&run)?;
        let (records, queue) = sync_channel(QUEUE_MAX);
        let mut writer = Writer::open(run, node.clone(), config.segment_bytes)?;
        let signatures = Signatures::default();
        // The signatures of all parts and of all keys are kept in one row.
        let cluster = node.cluster.as_mut().map(|cluster| &mut cluster.signer);
        let ledger = node.ledger.as_mut();
        let ledger = ledger.map(|ledger| [&mut ledger.signer, &mut ledger.voting_key]);
        for signer in cluster.into_iter().chain(ledger.into_iter().flatten()) {
            *signer = signer.take().map(|signer| signatures.kept_from(signer));
        }
        let thread = thread::Builder::new()
            .name("journal".into())
            .spawn(move || {
                if let Err(error) = writer.run(&queue) {
                    tracing::warn!(%error, "the flight recorder stops");
                }
            })?;
        Ok(Self {
            records: Some(records),
            thread: Some(thread),
            digest: EffectDigest::default(),
            signatures,
            bytes_left: config.run_bytes_max,
        })
    }

    fn send(&mut self, body: Body) {
        let Some(records) = &self.records else {
            return;
        };
        match records.try_send(Record { body: Some(body) }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => self.end(Reason::Behind),
            Err(TrySendError::Disconnected(_)) => self.records = None,
        }
    }

    fn end(&mut self, reason: Reason) {
        let Some(records) = self.records.take() else {
            return;
        };
        tracing::info!(?reason, "the flight recorder stops");
        let end = End {
            reason: reason.into(),
            effects: self.digest.short(),
        };
        // Waits for the disk, once. A thread that is gone has said why.
        let _ = records.send(Record {
            body: Some(Body::End(end)),
        });
    }
}

impl Recorder for JournalRecorder {
    fn event(&mut self, now: Time, event: &Event) {
        if self.records.is_none() {
            return;
        }
        let event = event.to_bytes();
        let bytes = u64::try_from(event.len())
            .unwrap_or(u64::MAX)
            .saturating_add(32);
        if bytes > self.bytes_left {
            return self.end(Reason::Full);
        }
        self.bytes_left -= bytes;
        let mut step = Step {
            now_nanos: now.0,
            event,
            effects_before: self.digest.short(),
            checksum: 0,
        };
        step.checksum = checksum(&step);
        self.send(Body::Step(step));
    }

    fn effects(&mut self, effects: &[Effect]) {
        // Taken in any case: what nobody takes would pile up.
        let made = self.signatures.take();
        if self.records.is_none() {
            return;
        }
        if !made.is_empty() {
            let bytes = made.iter().map(|signature| signature.as_bytes().to_vec());
            let mut signed = Signed {
                signatures: bytes.map(Into::into).collect(),
                checksum: 0,
            };
            signed.checksum = signed_checksum(&signed);
            let bytes = u64::try_from(made.len()).unwrap_or(u64::MAX);
            self.bytes_left = self.bytes_left.saturating_sub(bytes.saturating_mul(72));
            self.send(Body::Signed(signed));
        }
        self.digest.add(effects);
    }

    fn close(mut self) {
        self.end(Reason::Stopped);
    }
}

/// Also when the host panics: the last event is the one that matters most.
impl Drop for JournalRecorder {
    fn drop(&mut self) {
        self.records = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed when it happened.
            let _ = thread.join();
        }
    }
}

struct Writer {
    run: PathBuf,
    node: Config,
    segment_bytes: u64,
    segment: u64,
    file: BufWriter<File>,
    written: u64,
}

impl Writer {
    fn open(run: PathBuf, node: Config, segment_bytes: u64) -> io::Result<Self> {
        let segment = 1;
        let file = create_segment(&run, segment)?;
        let mut writer = Self {
            run,
            node,
            segment_bytes,
            segment,
            file,
            written: 0,
        };
        writer.write_header()?;
        Ok(writer)
    }

    fn run(&mut self, queue: &Receiver<Record>) -> io::Result<()> {
        while let Ok(record) = queue.recv() {
            self.write(&record)?;
            // Nothing waits: let readers and a crash see what there is.
            let mut next = queue.try_recv();
            while let Ok(record) = next {
                self.write(&record)?;
                next = queue.try_recv();
            }
            self.file.flush()?;
        }
        self.file.flush()
    }

    fn write(&mut self, record: &Record) -> io::Result<()> {
        if self.written >= self.segment_bytes {
            self.file.flush()?;
            self.segment += 1;
            self.file = create_segment(&self.run, self.segment)?;
            self.written = 0;
            self.write_header()?;
        }
        self.append(record)
    }

    fn write_header(&mut self) -> io::Result<()> {
        let header = header::header(&self.node, self.segment);
        self.append(&Record {
            body: Some(Body::Header(header)),
        })
    }

    fn append(&mut self, record: &Record) -> io::Result<()> {
        let bytes = record.encode_length_delimited_to_vec();
        self.written = self
            .written
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.file.write_all(&bytes)
    }
}

fn create_segment(run: &Path, segment: u64) -> io::Result<BufWriter<File>> {
    let path = run.join(format!("{segment:06}.{SUFFIX}"));
    Ok(BufWriter::new(File::create_new(path)?))
}

/// Recordings hold what clients wrote: their owner alone may look.
fn private_directory() -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700);
    builder
}

/// Deletes the oldest runs until the others fit.
fn make_room(directory: &Path, bytes_max: u64) -> io::Result<()> {
    let mut runs = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if is_run_name(&name) {
            runs.push((entry.path(), bytes_in(&entry.path())?));
        }
    }
    runs.sort();
    let mut bytes: u64 = runs.iter().map(|(_, bytes)| bytes).sum();
    for (path, size) in runs {
        if bytes <= bytes_max {
            break;
        }
        fs::remove_dir_all(path)?;
        bytes = bytes.saturating_sub(size);
    }
    Ok(())
}

fn bytes_in(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0_u64;
    for entry in fs::read_dir(directory)? {
        bytes = bytes.saturating_add(entry?.metadata()?.len());
    }
    Ok(bytes)
}
