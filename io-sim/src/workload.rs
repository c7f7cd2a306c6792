//! What clients do: operations drawn by client and number.
//!
//! An operation is a pure function of seed, client and number, so that a trace
//! can list operations and a minimiser can take some away without changing the
//! others.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::config::LoadSettings;
use crate::network::ppm;
use crate::rng::{Domain, Keyed};

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Sets a key.
    Put,
    /// Removes a key.
    Delete,
    /// Reads a key.
    Get,
    /// Reads all keys from this one on.
    Range,
    /// Sets a key that must not exist.
    PutAbsent,
    /// Sets a key that must have the value seen last.
    PutIfValue,
    /// Removes a key that must have the revision seen last.
    DeleteIfRevision,
    /// Reads a key without asking for the latest value.
    StaleGet,
    /// Nothing: an operation that a minimiser took away.
    Skip,
    /// Grants a lease, or renews the one that the client has.
    Lease,
    /// Ends its lease.
    Revoke,
    /// Sets a key that ends with its lease.
    Bind,
    /// Takes a lock.
    Acquire,
    /// Gives a lock back.
    Release,
}

const ACTIONS: [Action; 14] = [
    Action::Put,
    Action::Delete,
    Action::Get,
    Action::Range,
    Action::PutAbsent,
    Action::PutIfValue,
    Action::DeleteIfRevision,
    Action::StaleGet,
    Action::Skip,
    Action::Lease,
    Action::Revoke,
    Action::Bind,
    Action::Acquire,
    Action::Release,
];

/// One operation, before it meets the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// What it does.
    pub action: Action,
    /// The key's number.
    pub key: u64,
    /// Bytes of padding in the value.
    pub padding: u64,
    /// The pause before it, in nanoseconds.
    pub think: u64,
}

impl Planned {
    /// The operation as numbers, for a trace.
    pub fn fields(&self) -> Vec<u64> {
        let action = ACTIONS.iter().position(|action| *action == self.action);
        let action = u64::try_from(action.expect("every action is listed")).expect("few actions");
        vec![action, self.key, self.padding, self.think]
    }

    /// The operation that a trace lists.
    pub fn from_fields(fields: &[u64]) -> Option<Self> {
        let [action, key, padding, think] = *fields else {
            return None;
        };
        Some(Self {
            action: *ACTIONS.get(usize::try_from(action).ok()?)?,
            key,
            padding,
            think,
        })
    }
}

/// Where operations come from.
#[derive(Debug, Clone)]
pub struct Workload {
    keyed: Keyed,
    /// Operations that replace the drawn ones, by client and number.
    given: BTreeMap<(u64, u64), Planned>,
    /// Whether all others are skipped.
    only_given: bool,
}

impl Workload {
    /// The workload of a seed.
    pub fn new(seed: u64) -> Self {
        Self {
            keyed: Keyed::new(seed, Domain::Workload),
            given: BTreeMap::new(),
            only_given: false,
        }
    }

    /// Replaces one operation.
    pub fn give(&mut self, client: u64, number: u64, planned: Planned) {
        self.given.insert((client, number), planned);
    }

    /// Skips every operation that is not given.
    pub fn only_given(&mut self) {
        self.only_given = true;
    }

    /// Whether every operation that is not given is skipped.
    pub const fn is_only_given(&self) -> bool {
        self.only_given
    }

    /// Takes all given operations away.
    pub fn clear_given(&mut self) {
        self.given.clear();
    }

    /// The operation number `number` of a client.
    pub fn operation(&self, config: &LoadSettings, client: u64, number: u64) -> Planned {
        if let Some(given) = self.given.get(&(client, number)) {
            return *given;
        }
        let draw = self.keyed.at(client, number);
        let key_draw = draw.again();
        let size_draw = key_draw.again();
        let key = if config.hot_ppm > 0 && size_draw.again().chance(ppm(config.hot_ppm)) {
            0
        } else {
            key_draw.below(config.keys)
        };
        let action = match self.only_given {
            true => Action::Skip,
            false => self.action(config, client, number),
        };
        Planned {
            action,
            key,
            padding: size_draw.below(config.value_bytes_max + 1),
            think: draw.exponential(config.think_mean_us * 1_000),
        }
    }

    fn action(&self, config: &LoadSettings, client: u64, number: u64) -> Action {
        let guard = self.keyed.at(client ^ 1 << 33, number);
        if config.guard_ppm > 0 && guard.chance(ppm(config.guard_ppm)) {
            return match guard.again().below(100) {
                0..35 => Action::Lease,
                35..40 => Action::Revoke,
                40..50 => Action::Bind,
                50..80 => Action::Acquire,
                _ => Action::Release,
            };
        }
        let draw = self.keyed.at(client ^ 1 << 32, number);
        let detail = draw.again();
        if draw.chance(ppm(config.read_ppm)) {
            return if detail.chance(ppm(config.stale_ppm)) {
                Action::StaleGet
            } else if detail.again().chance(ppm(config.range_ppm)) {
                Action::Range
            } else {
                Action::Get
            };
        }
        let conditional = detail.again().chance(ppm(config.condition_ppm));
        match (detail.chance(ppm(config.delete_ppm)), conditional) {
            (true, true) => Action::DeleteIfRevision,
            (true, false) => Action::Delete,
            (false, false) => Action::Put,
            (false, true) if detail.again().again().coin() => Action::PutAbsent,
            (false, true) => Action::PutIfValue,
        }
    }
}

/// The name of a key. Names are in the order of their numbers.
pub fn key_name(key: u64) -> Bytes {
    Bytes::from(format!("key/{key:04}"))
}

/// Where the names of keys begin.
pub const fn keys_start() -> Bytes {
    Bytes::from_static(b"key/")
}

/// The first name behind them.
pub const fn keys_end() -> Bytes {
    Bytes::from_static(b"key0")
}

/// The name of a key that is bound to leases. No range of the other keys has it.
pub fn held_key_name(key: u64) -> Bytes {
    Bytes::from(format!("held/{key:04}"))
}

/// The lock that goes with a key's number: few, so that clients meet.
pub const fn lock_number(key: u64) -> u64 {
    key % 3
}

/// The name of a lock.
pub fn lock_name(lock: u64) -> Bytes {
    Bytes::from(format!("lock/{lock}"))
}

/// The number in a key's name.
pub fn key_number(name: &[u8]) -> Option<u64> {
    let digits = name.strip_prefix(b"key/")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A value that carries a unique number, so that a read tells whose write it saw.
pub fn value_bytes(id: u64, padding: u64) -> Bytes {
    let padding = usize::try_from(padding).expect("padding is small");
    let mut value = Vec::with_capacity(8 + padding);
    value.extend_from_slice(&id.to_be_bytes());
    value.resize(8 + padding, 0xa5);
    Bytes::from(value)
}

/// The unique number in a value.
pub fn value_id(value: &[u8]) -> Option<u64> {
    value.first_chunk().map(|id| u64::from_be_bytes(*id))
}
