//! A module that only tests have: counters that end when they are left alone, and the
//! table of a version that has it beside the keys.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::codec::{Decode, Encode, Reader, Writer};
use crate::kv::Kv;
use crate::replica::modules::modules;
use crate::replica::{
    Ctx, Held, Holder, ImageError, Loading, LogTime, Module, Verdict, after, ensure,
};
use crate::types::{ModuleId, Modules, Span};

/// The number of the module.
pub(crate) const TOY: ModuleId = ModuleId::new(63).unwrap();
/// The space of counters: named by the entry that made them.
pub(crate) const COUNTER: u8 = 0x50;
/// How long a counter outlives its last use.
pub(crate) const TTL: Span = Span(50);
/// Every outcome is small but the one that quotes.
const QUOTE_BYTES: usize = 300;

modules! {
    /// What clusters of a newer version keep.
    pub(crate) WithToy {
        kv: Kv = Kv,
        toy: Toy = Toy,
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Toy {
    counters: BTreeMap<u64, Counter>,
    notices: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counter {
    value: u64,
    expires_at: LogTime,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[codec(what = "toy")]
pub(crate) enum ToyOp {
    /// Makes a counter.
    #[codec(tag = 0x10)]
    Make,
    /// Counts.
    #[codec(tag = 0x11)]
    Add { counter: u64, by: u64 },
    /// Asks for an outcome that quotes.
    #[codec(tag = 0x12)]
    Quote,
    /// Writes where only the first module may.
    #[codec(tag = 0x13)]
    Trespass,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[codec(what = "toy")]
pub(crate) enum ToyOutcome {
    #[codec(tag = 0x10)]
    Counted { counter: u64, value: u64 },
    #[codec(tag = 0x11)]
    Quoted(#[codec(max = QUOTE_BYTES)] Bytes),
    #[codec(tag = 0x12)]
    Refused,
}

impl From<Verdict> for ToyOutcome {
    fn from(_: Verdict) -> Self {
        Self::Refused
    }
}

impl Toy {
    pub(crate) fn value(&self, counter: u64) -> Option<u64> {
        self.counters.get(&counter).map(|counter| counter.value)
    }

    fn count(&mut self, ctx: &mut Ctx<'_>, id: u64, value: u64) -> ToyOutcome {
        let expires_at = after(ctx.now(), TTL);
        let counter = Counter { value, expires_at };
        if let Some(before) = self.counters.insert(id, counter) {
            ctx.forget_expiry(before.expires_at, holder(id));
        }
        ctx.expire_at(expires_at, holder(id));
        let mut writer = Writer::new();
        writer.u64(value);
        writer.put(&expires_at);
        ctx.set(COUNTER, &id.to_be_bytes(), writer.into_bytes());
        self.notices.push(id);
        ToyOutcome::Counted { counter: id, value }
    }
}

impl Module for Toy {
    type Op = ToyOp;
    type Outcome = ToyOutcome;
    /// The counter that changed.
    type Notice = u64;

    fn ids() -> Modules {
        Modules::of(TOY)
    }

    fn owner(_: &ToyOp) -> ModuleId {
        TOY
    }

    fn owns_space(space: u8) -> bool {
        space == COUNTER
    }

    fn owns_tag(tag: u8) -> bool {
        matches!(tag, 0x10..=0x1f)
    }

    fn validate(&self, op: &ToyOp) -> Result<(), ToyOutcome> {
        match op {
            ToyOp::Add { by: 0, .. } => Err(ToyOutcome::Refused),
            _ => Ok(()),
        }
    }

    fn apply(&mut self, ctx: &mut Ctx<'_>, op: &ToyOp) -> ToyOutcome {
        match op {
            ToyOp::Make => self.count(ctx, ctx.index().0, 0),
            ToyOp::Add { counter, by } => match self.value(*counter) {
                Some(value) => self.count(ctx, *counter, value.saturating_add(*by)),
                None => ToyOutcome::Refused,
            },
            ToyOp::Quote => ToyOutcome::Quoted([b'q'; QUOTE_BYTES].to_vec().into()),
            ToyOp::Trespass => {
                ctx.set(0x10, b"key", Bytes::new());
                ToyOutcome::Refused
            }
        }
    }

    fn expire(&mut self, ctx: &mut Ctx<'_>, holder: Holder) {
        let counter = self.counters.remove(&holder.id).unwrap();
        ctx.forget_expiry(counter.expires_at, holder);
        ctx.unset(COUNTER, &holder.id.to_be_bytes()).unwrap();
    }

    fn for_full_state(outcome: &ToyOutcome) -> Option<ToyOutcome> {
        matches!(outcome, ToyOutcome::Quoted(_)).then_some(ToyOutcome::Refused)
    }

    fn begin_entry(&mut self) {
        self.notices.clear();
    }

    fn end_entry(&mut self) {}

    fn take_notices(&mut self) -> Vec<u64> {
        core::mem::take(&mut self.notices)
    }

    fn emptied(&self) -> Self {
        Self::default()
    }

    fn load(&mut self, loading: &mut Loading<'_>) -> Result<(), ImageError> {
        for (key, value) in loading.pairs(COUNTER) {
            let mut name = Reader::from_bytes(key);
            let mut content = Reader::from_bytes(value);
            name.u8()?;
            let id = name.u64()?;
            let (value, expires_at) = (content.u64()?, content.get()?);
            name.finish()?;
            content.finish()?;
            loading.check_id(id)?;
            loading.expire_at(expires_at, holder(id));
            self.counters.insert(id, Counter { value, expires_at });
        }
        ensure(self.notices.is_empty(), "a module is loaded empty")
    }

    fn held(&self) -> Held {
        Held {
            pairs: self.counters.len(),
            holders: self.counters.len(),
        }
    }

    fn has_indexes_of(&self, other: &Self) -> bool {
        self.counters == other.counters
    }

    fn audit(&self) {}
}

const fn holder(id: u64) -> Holder {
    Holder { id, space: COUNTER }
}
