//! Our validators under the same conditions.

use std::sync::atomic::{AtomicU64, Ordering};

use decube_core::bft::Relay;
use decube_core::crypto::fake::FakeAuthority;
use decube_core::crypto::{
    P256Signer, PublicKey, SecretBytes, SecretKey, Signature, Signer, Verifier, VerifyError,
};
use decube_core::types::Span;
use decube_io_real::verifier::FastVerifier;
use decube_io_sim::validators::{Distance, Setup, Validators};

use crate::{Count, Length, Plan, Seen, Traffic, WORK, Work, per_block, thread_cpu_ns};

/// A millisecond apart, every message not encoded.
fn near(count: usize) -> Setup {
    let mut setup = Setup::new(count, Distance::Uniform(Span::from_millis(1)), 0);
    setup.count_bytes = false;
    setup
}

fn free_validators(count: usize) -> Validators {
    let authority = FakeAuthority::new(1);
    let signer = |number| Free(*authority.signer(number).public_key());
    Validators::with_scheme(near(count), signer, Free::everything())
}

/// The P-256 key of a validator in all runs.
pub fn signer(number: u64) -> P256Signer {
    let mut entropy = [7; 32];
    entropy[..8].copy_from_slice(&number.to_be_bytes());
    P256Signer::new(&SecretKey::from_entropy(&SecretBytes::new(entropy)))
}

fn timed(mut validators: Validators, count: usize, length: Length) -> f64 {
    let Length { warm_up, blocks } = length;
    validators.run_to(warm_up);
    let begin = thread_cpu_ns();
    assert!(validators.run_to(warm_up + blocks), "nothing goes wrong");
    per_block(thread_cpu_ns() - begin, blocks, count)
}

/// One run on processor time, with signatures that cost nothing.
pub fn free(count: usize, length: Length) -> f64 {
    timed(free_validators(count), count, length)
}

/// One run on processor time, with signatures that ring checks.
pub fn signed(count: usize, length: Length) -> f64 {
    let validators = Validators::with_scheme(near(count), signer, FastVerifier);
    timed(validators, count, length)
}

/// What a block takes.
pub fn work(count: usize) -> Work {
    let counts = || [&SIGNED, &CHECKED].map(|count| count.load(Ordering::Relaxed));
    let mut validators = free_validators(count);
    validators.run_to(WORK.warm_up);
    let (before, allocations) = (counts(), Count::start());
    validators.run_to(WORK.warm_up + WORK.blocks);
    let (allocations, [signed, checked]) = (allocations.stop(), counts());
    let signatures = [signed - before[0], checked - before[1]];
    Work::of(Some(signatures), allocations.calls, WORK.blocks, count)
}

/// What travels for a block.
pub fn traffic(count: usize, relay: Relay) -> Traffic {
    let mut setup = Setup::new(count, Distance::World, 0);
    setup.relay = relay;
    let mut validators = Validators::new(setup);
    validators.run_to(WORK.warm_up);
    let before = validators.sent();
    validators.run_to(WORK.warm_up + WORK.blocks);
    Traffic::of(before, validators.sent(), WORK.blocks)
}

/// A run in virtual time.
pub fn run(plan: Plan) -> Seen {
    let mut setup = Setup::new(plan.count, Distance::World, plan.blocks);
    setup.count_bytes = false;
    setup.faults = plan.faults;
    let mut validators = Validators::new(setup);
    let done = validators.run_to(plan.blocks);
    let living: Vec<usize> = validators.living().collect();
    let mut seen = Seen {
        committed: vec![Vec::new(); living.len()],
        stalled: !done,
        ..Seen::default()
    };
    let mut tracks: Vec<_> = validators.tracks().collect();
    tracks.sort_by_key(|track| (track.height, track.proposed));
    for (number, track) in (0_u64..).zip(tracks) {
        seen.proposed.insert(number, track.proposed.0);
        for (list, node) in seen.committed.iter_mut().zip(&living) {
            list.extend(track.committed[*node].map(|at| (number, at.0)));
        }
    }
    seen
}

/// A scheme that costs nothing: every signature is the same, and all are good. Its
/// uses are counted.
struct Free(PublicKey);

static SIGNED: AtomicU64 = AtomicU64::new(0);
static CHECKED: AtomicU64 = AtomicU64::new(0);

impl Free {
    fn everything() -> Self {
        Self(*FakeAuthority::new(1).signer(0).public_key())
    }
}

impl Signer for Free {
    fn public_key(&self) -> &PublicKey {
        &self.0
    }

    fn sign_bytes(&self, _: &[u8]) -> Signature {
        SIGNED.fetch_add(1, Ordering::Relaxed);
        Signature::from_bytes([1; 64]).expect("in range and low")
    }
}

impl Verifier for Free {
    fn verify_bytes(&self, _: &PublicKey, _: &[u8], _: &Signature) -> Result<(), VerifyError> {
        CHECKED.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
