//! A sender that counts what goes through it, if that is wanted: it takes time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::SystemTime;

use commonware_actor::{Feedback, Unreliable};
use commonware_p2p::{CheckedSender, LimitedSender, Recipients};
use commonware_runtime::IoBufs;

/// Messages, one for each that they go to, and bytes of them.
#[derive(Debug, Default)]
pub struct Sent {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Sent {
    /// So many copies of a message of this length.
    pub fn note(&self, copies: usize, length: usize) {
        self.messages.fetch_add(wide(copies), Relaxed);
        self.bytes.fetch_add(wide(copies * length), Relaxed);
    }

    /// So far: messages, and bytes.
    pub fn so_far(&self) -> [u64; 2] {
        [self.messages.load(Relaxed), self.bytes.load(Relaxed)]
    }
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).expect("64 bits")
}

/// The sender.
#[derive(Clone)]
pub struct Counted<S> {
    pub inner: S,
    pub sent: Option<Arc<Sent>>,
}

impl<S> fmt::Debug for Counted<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sent.fmt(f)
    }
}

/// One message of it.
pub struct Checked<'a, C> {
    inner: C,
    sent: Option<&'a Sent>,
}

impl<S: LimitedSender> LimitedSender for Counted<S> {
    type PublicKey = S::PublicKey;
    type Checked<'a> = Checked<'a, S::Checked<'a>>;

    fn check(
        &mut self,
        recipients: Recipients<Self::PublicKey>,
    ) -> Result<Self::Checked<'_>, SystemTime> {
        Ok(Checked {
            inner: self.inner.check(recipients)?,
            sent: self.sent.as_deref(),
        })
    }
}

impl<C: CheckedSender> CheckedSender for Checked<'_, C> {
    type PublicKey = C::PublicKey;

    fn recipients(&self) -> Vec<Self::PublicKey> {
        self.inner.recipients()
    }

    fn send(self, message: impl Into<IoBufs> + Send, priority: bool) -> Unreliable<Feedback> {
        let message: IoBufs = message.into();
        if let Some(sent) = self.sent {
            sent.note(self.inner.recipients().len(), message.len());
        }
        self.inner.send(message, priority)
    }
}
