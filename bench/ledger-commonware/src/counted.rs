//! A sender that counts what goes through it.

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
    pub messages: AtomicU64,
    pub bytes: AtomicU64,
}

/// The sender.
#[derive(Clone)]
pub struct Counted<S> {
    inner: S,
    sent: Arc<Sent>,
}

impl<S> Counted<S> {
    pub fn new(inner: S, sent: &Arc<Sent>) -> Self {
        let sent = sent.clone();
        Self { inner, sent }
    }
}

impl<S> fmt::Debug for Counted<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sent.fmt(f)
    }
}

/// One message of it.
pub struct Checked<'a, C> {
    inner: C,
    sent: &'a Sent,
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
            sent: &self.sent,
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
        let copies = u64::try_from(self.inner.recipients().len()).expect("64 bits");
        let length = u64::try_from(message.len()).expect("64 bits");
        self.sent.messages.fetch_add(copies, Relaxed);
        self.sent.bytes.fetch_add(copies * length, Relaxed);
        self.inner.send(message, priority)
    }
}
