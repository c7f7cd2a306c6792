//! Leases and locks, judged by the answers that clients got.
//!
//! Every answer names its place in the log, so answers can be put in the order in
//! which they took effect. What follows from that order alone:
//!
//! - Log time: the end of a lease just granted or renewed, less its time to live,
//!   is the time of that entry. It never goes back.
//! - A lease is alive until its end and not a moment longer: if a *later* entry
//!   still has a time before the end, it was not gone; if an *earlier* entry had
//!   a time at or behind it, nothing can be done with it any more.
//! - Fencing tokens of a lock rise: each hold has a higher token than every hold
//!   before it, and no token comes back after its lock was released.
//! - Two leases never hold one lock: before the second takes it, the first hold
//!   was released, or its lease ended.
//!
//! A call without an answer may have taken effect at any later place. What it may
//! have changed is not judged from then on: a lease that may have been revoked
//! may be gone early, one that may have been renewed may live longer.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;

/// What one answer showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The lease was granted (its number is then the place) or renewed.
    Lease {
        /// Which.
        lease: u64,
        /// Its time to live, in nanoseconds.
        ttl: u64,
        /// Its end, in log time.
        expires_at: u64,
    },
    /// The lease was revoked.
    Revoked {
        /// Which.
        lease: u64,
    },
    /// The lease was not there.
    Gone {
        /// Which.
        lease: u64,
    },
    /// A key was bound to the lease, which therefore was there.
    Bound {
        /// Which.
        lease: u64,
    },
    /// The lock was taken, or held already by this lease.
    Taken {
        /// Which.
        lock: u64,
        /// By whom.
        lease: u64,
        /// The fencing token.
        token: u64,
    },
    /// The lock was held by somebody else.
    Held {
        /// Which.
        lock: u64,
        /// The holder's token.
        token: u64,
    },
    /// The lock was given back.
    Released {
        /// Which.
        lock: u64,
        /// The token that it was held with.
        token: u64,
    },
}

/// All answers about leases and locks, by their place in the log.
#[derive(Debug, Clone, Default)]
pub struct Guards {
    shown: BTreeMap<u64, Shown>,
    /// Leases that a call without an answer may have revoked.
    maybe_ended: BTreeSet<u64>,
    /// Leases that a call without an answer may have renewed.
    maybe_renewed: BTreeSet<u64>,
    /// Holds that a call without an answer may have ended, by token.
    maybe_released: BTreeSet<u64>,
}

/// What is known of a lease at some place.
#[derive(Debug, Clone, Copy)]
struct Lease {
    expires_at: u64,
    ended: bool,
}

/// The walk through the log.
#[derive(Debug, Default)]
struct Walk {
    time: u64,
    leases: BTreeMap<u64, Lease>,
    /// Per lock: the highest token shown, and whether that hold was released.
    tokens: BTreeMap<u64, (u64, bool)>,
    /// Per lock: the hold that was taken last: lease and token.
    holds: BTreeMap<u64, (u64, u64)>,
    /// Tokens of holds that were given back.
    released: BTreeSet<u64>,
}

impl Guards {
    /// An answer.
    pub fn add(&mut self, place: u64, shown: Shown) -> Result<(), Finding> {
        match self.shown.insert(place, shown) {
            Some(before) if before != shown => Err((
                "guards",
                format!("entry {place} was answered with {before:?} and with {shown:?}"),
            )),
            _ => Ok(()),
        }
    }

    /// No answer came to a renewal.
    pub fn maybe_renewed(&mut self, lease: u64) {
        self.maybe_renewed.insert(lease);
    }

    /// No answer came to a revocation.
    pub fn maybe_ended(&mut self, lease: u64) {
        self.maybe_ended.insert(lease);
    }

    /// No answer came to a release.
    pub fn maybe_released(&mut self, token: u64) {
        self.maybe_released.insert(token);
    }

    /// How many answers there are.
    pub fn len(&self) -> usize {
        self.shown.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// Judges all answers.
    pub fn check(&self) -> Result<(), Finding> {
        let later = self.times_after();
        let mut walk = Walk::default();
        for (place, shown) in &self.shown {
            let after = later.get(place).copied();
            self.one(&mut walk, *place, *shown, after)
                .map_err(|(rule, what)| (rule, format!("entry {place}, {shown:?}: {what}")))?;
        }
        Ok(())
    }

    /// For each place the first time that a later entry showed.
    fn times_after(&self) -> BTreeMap<u64, u64> {
        let mut after = BTreeMap::new();
        let mut next = None;
        for (place, shown) in self.shown.iter().rev() {
            if let Some(next) = next {
                after.insert(*place, next);
            }
            if let Shown::Lease {
                ttl, expires_at, ..
            } = shown
            {
                next = Some(expires_at.saturating_sub(*ttl));
            }
        }
        after
    }

    fn one(
        &self,
        walk: &mut Walk,
        place: u64,
        shown: Shown,
        after: Option<u64>,
    ) -> Result<(), Finding> {
        match shown {
            Shown::Lease {
                lease,
                ttl,
                expires_at,
            } => {
                let time = expires_at.saturating_sub(ttl);
                if time < walk.time {
                    let message = format!("log time goes back from {} to {time}", walk.time);
                    return Err(("log-time", message));
                }
                walk.time = time;
                if lease != place {
                    self.alive(walk, lease)?;
                }
                let ended = false;
                walk.leases.insert(lease, Lease { expires_at, ended });
                Ok(())
            }
            Shown::Bound { lease } => self.alive(walk, lease),
            Shown::Revoked { lease } => {
                self.alive(walk, lease)?;
                end(walk, lease);
                Ok(())
            }
            Shown::Gone { lease } => {
                self.was_due(walk, lease, after)?;
                end(walk, lease);
                Ok(())
            }
            Shown::Taken { lock, lease, token } => {
                self.alive(walk, lease)?;
                self.exclusive(walk, lock, lease, after)?;
                walk.holds.insert(lock, (lease, token));
                rises(walk, place, lock, token)
            }
            Shown::Held { lock, token } => rises(walk, place, lock, token),
            Shown::Released { lock, token } => {
                rises(walk, place, lock, token)?;
                walk.tokens.insert(lock, (token, true));
                walk.released.insert(token);
                Ok(())
            }
        }
    }

    /// Something was done with a lease: its end must not have come.
    fn alive(&self, walk: &Walk, lease: u64) -> Result<(), Finding> {
        let Some(known) = walk.leases.get(&lease) else {
            return Ok(());
        };
        if known.ended {
            return Err(("lease-ends", format!("lease {lease} had ended before")));
        }
        if known.expires_at <= walk.time && !self.maybe_renewed.contains(&lease) {
            let message = format!("lease {lease} ended at {}", known.expires_at);
            return Err(("lease-ends", message));
        }
        Ok(())
    }

    /// A lease is not there: its end must have come.
    fn was_due(&self, walk: &Walk, lease: u64, after: Option<u64>) -> Result<(), Finding> {
        let (Some(known), Some(after)) = (walk.leases.get(&lease), after) else {
            return Ok(());
        };
        if known.ended || after >= known.expires_at || self.maybe_ended.contains(&lease) {
            return Ok(());
        }
        let message = format!(
            "it lasts until {}, and it is {after} later",
            known.expires_at
        );
        Err(("lease-lasts", message))
    }

    /// A lock is taken: nobody else may hold it.
    fn exclusive(
        &self,
        walk: &Walk,
        lock: u64,
        lease: u64,
        after: Option<u64>,
    ) -> Result<(), Finding> {
        let Some((holder, token)) = walk.holds.get(&lock).copied() else {
            return Ok(());
        };
        let released = walk.released.contains(&token);
        if holder == lease || released || self.maybe_released.contains(&token) {
            return Ok(());
        }
        self.was_due(walk, holder, after).map_err(|(_, what)| {
            let message = format!("lease {holder} holds it with token {token}: {what}");
            ("lock-exclusion", message)
        })
    }
}

fn end(walk: &mut Walk, lease: u64) {
    if let Some(known) = walk.leases.get_mut(&lease) {
        known.ended = true;
    }
}

/// A token is shown: no higher one was shown before, it was not given back, and it
/// is the place of an entry that has happened.
fn rises(walk: &mut Walk, place: u64, lock: u64, token: u64) -> Result<(), Finding> {
    let (highest, released) = walk.tokens.get(&lock).copied().unwrap_or_default();
    if token > place {
        return Err(("fencing", "the token is ahead of the log".to_owned()));
    }
    if token < highest || (token == highest && released) {
        let how = if released { "released" } else { "shown" };
        return Err(("fencing", format!("token {highest} was {how} before")));
    }
    if token > highest {
        walk.tokens.insert(lock, (token, false));
    }
    Ok(())
}
