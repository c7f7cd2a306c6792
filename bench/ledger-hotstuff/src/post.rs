//! Channels on which everything takes a while, the same for both contenders.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// Makes a channel on which a letter takes so long.
pub fn channel<T>(delay: Duration) -> (Outbox<T>, Inbox<T>) {
    let (sender, receiver) = mpsc::channel();
    let outbox = Outbox { sender, delay };
    let first = None;
    (outbox, Inbox { receiver, first })
}

/// Where letters go.
pub struct Outbox<T> {
    sender: Sender<(Instant, T)>,
    delay: Duration,
}

/// Where they arrive, in the order in which they were sent: all take the same time.
pub struct Inbox<T> {
    receiver: Receiver<(Instant, T)>,
    first: Option<(Instant, T)>,
}

impl<T> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            delay: self.delay,
        }
    }
}

impl<T> Outbox<T> {
    /// Sends a letter. Who has ended misses nothing.
    pub fn send(&self, letter: T) {
        let _ = self.sender.send((Instant::now() + self.delay, letter));
    }
}

impl<T> Inbox<T> {
    /// The next letter, if it arrives in time.
    pub fn receive(&mut self, wait: Duration) -> Result<T, RecvTimeoutError> {
        let end = Instant::now() + wait;
        let (due, letter) = match self.first.take() {
            Some(first) => first,
            None => self.receiver.recv_timeout(wait)?,
        };
        let pause = due.min(end).saturating_duration_since(Instant::now());
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
        if due > end {
            self.first = Some((due, letter));
            return Err(RecvTimeoutError::Timeout);
        }
        Ok(letter)
    }
}
