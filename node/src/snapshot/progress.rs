//! What a long command shows while it runs.

use std::fs;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a line is printed where there is no terminal.
const LINE_SECONDS: u64 = 10;

/// Counters of a running command, shown as a bar on a terminal, as a line now and
/// then elsewhere, or not at all.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    mode: Mode,
    started: Instant,
    /// Seconds after the start at which the last line was printed.
    last_line: AtomicU64,
    bytes: AtomicU64,
    files: AtomicU64,
    sent_bytes: AtomicU64,
    reused_bytes: AtomicU64,
    finished: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Bar,
    Lines,
    Quiet,
}

impl Progress {
    /// Shows a bar if the standard error is a terminal, else lines.
    pub fn new(quiet: bool) -> Arc<Self> {
        let terminal = std::io::stderr().is_terminal();
        Self::with_mode(match (quiet, terminal) {
            (true, _) => Mode::Quiet,
            (false, true) => Mode::Bar,
            (false, false) => Mode::Lines,
        })
    }

    fn with_mode(mode: Mode) -> Arc<Self> {
        let target = match mode {
            Mode::Bar => ProgressDrawTarget::stderr(),
            Mode::Lines | Mode::Quiet => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(style("{spinner} {msg}: {bytes} at {bytes_per_sec}"));
        if mode == Mode::Bar {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Arc::new(Self {
            bar,
            mode,
            started: Instant::now(),
            last_line: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            files: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            reused_bytes: AtomicU64::new(0),
            finished: AtomicBool::new(false),
        })
    }

    /// Names what is going on.
    pub fn phase(&self, name: &'static str) {
        self.bar.set_message(name);
    }

    /// Says how many bytes there will be, which makes the time left known.
    pub fn total(&self, bytes: u64) {
        self.bar.set_length(bytes);
        self.bar.set_style(style(
            "{spinner} {msg}: [{bar:30}] {bytes} of {total_bytes} at {bytes_per_sec}, {eta} left",
        ));
    }

    /// Counts bytes that were read or written.
    pub fn add_bytes(&self, count: u64) {
        let bytes = self
            .bytes
            .fetch_add(count, Ordering::Relaxed)
            .saturating_add(count);
        self.bar.inc(count);
        let seconds = self.started.elapsed().as_secs();
        let last = self.last_line.load(Ordering::Relaxed);
        if self.mode == Mode::Lines && seconds >= last.saturating_add(LINE_SECONDS) {
            self.last_line.store(seconds, Ordering::Relaxed);
            self.line(bytes, seconds);
        }
    }

    /// Counts a file.
    pub fn add_file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a segment that was sent, or found to be there already.
    pub fn add_segment(&self, length: u64, sent: bool) {
        let counter = match sent {
            true => &self.sent_bytes,
            false => &self.reused_bytes,
        };
        counter.fetch_add(length, Ordering::Relaxed);
    }

    /// Bytes that were sent.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    /// Bytes that were not sent because they were there already.
    pub fn reused_bytes(&self) -> u64 {
        self.reused_bytes.load(Ordering::Relaxed)
    }

    /// Milliseconds since the start, never zero.
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    /// Removes the bar, so that text can be printed.
    pub fn finish(&self) {
        self.finished.store(true, Ordering::Relaxed);
        self.bar.finish_and_clear();
    }

    /// Adds up the sizes below some paths on a thread beside the command, for the
    /// time left. An estimate: whatever fails is left out.
    pub fn scan(self: &Arc<Self>, paths: &[PathBuf]) {
        if self.mode == Mode::Quiet {
            return;
        }
        let (progress, paths) = (self.clone(), paths.to_vec());
        std::thread::spawn(move || {
            let mut total = 0_u64;
            let mut stack = paths;
            while let Some(path) = stack.pop() {
                if progress.finished.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(metadata) = fs::symlink_metadata(&path) else {
                    continue;
                };
                if metadata.is_file() {
                    total = total.saturating_add(metadata.len());
                } else if metadata.is_dir()
                    && let Ok(entries) = fs::read_dir(&path)
                {
                    stack.extend(entries.flatten().map(|entry| entry.path()));
                }
            }
            progress.total(total);
        });
    }

    fn line(&self, bytes: u64, seconds: u64) {
        let rate = bytes / seconds.max(1);
        let left = match self.bar.length() {
            Some(total) if rate > 0 => format!(", {} s left", total.saturating_sub(bytes) / rate),
            _ => String::new(),
        };
        eprintln!(
            "{}: {} in {} files, {}/s{left}",
            self.bar.message(),
            HumanBytes(bytes),
            self.files.load(Ordering::Relaxed),
            HumanBytes(rate),
        );
    }
}

fn style(template: &'static str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates in this file are valid")
}
