//! Consensus between clusters: a ledger that fewer than a third of Byzantine
//! validators can neither fork nor stop.
//!
//! # Source
//! Chan and Pass, *Simplex Consensus: A Simple and Fast Consensus Protocol*
//! (IACR eprint 2023/463). The order of the rules below, S1 to S12, follows the
//! paper's protocol: enter a view, propose, check, notarise, certify, finalise,
//! give up, skip, commit, report, idle, help.
//!
//! A view has one leader. Everybody notarises its block or, when it is late,
//! gives the view up. A certificate of either lets everybody into the next view.
//! Who sees a block notarised and has not given its view up finalises it. A
//! quorum is more than two thirds of the power ([`ValidatorSet::is_quorum`]).
//!
//! # Why it is safe
//! Two quorums share an honest validator. It notarises one block per view, so at
//! most one block of a view is certified. It never both gives up and finalises a
//! view, so a finalised view has no nullification, and whatever is built later
//! cannot skip it: it rests on that block. Everything depends on what an honest
//! validator never signs; that is `guard.rs`, and nothing else makes a vote.
//!
//! # Deviations from the paper
//! - Certificates are not sent by everybody to everybody. Votes already are, so
//!   they are relayed to those who seem to need them (`relay.rs`, C1 to C5). The
//!   paper's flood is the switch [`Relay::Flood`]; the tests run both.
//! - A leader may build on the newest *certified* block even if the view after it
//!   is not given up yet by a certificate that it holds; it asks for what it lacks
//!   instead of waiting for the flood.
//! - A finalization may be cast after the view has been left, as long as the view
//!   was not given up. It does no harm and saves blocks from waiting for others.
//! - An idle ledger makes no blocks in a hurry: without something to do a view
//!   begins its deadlines only after [`Timing::idle_block`], or when somebody else
//!   is at it (S11). What was wanted may become final before anybody has begun with
//!   the next view: then that one goes back to sleep. For this its leader holds an
//!   empty block back for one delay, unless the view before it failed or somebody
//!   gave that one up. A single item so gets one block, and no empty one behind it.
//! - Deadlines grow when more views fail in a row than bad leaders can explain.
//! - A leader that has sent nothing for eight views and for the length of one, while a
//!   quorum of the others has, is not waited for: its views are given up at once. It
//!   costs a view that it could have led, if it is back and nobody has heard of it.
//! - A validator that lost its disk asks before it votes (`rejoin.rs`).
//! - Signatures are verified inside of the step, since a vote counts only then and
//!   the order of verification has to replay. Work that is known to be useless
//!   (old views, duplicates, settled statements) is left out first.
//!
//! # Epochs
//! A machine lives for one epoch. The epoch ends with the first final block that
//! says so ([`Commitments::ends_epoch`]). Blocks on it are empty and commit to
//! what it commits to ([`Commitments::epoch_closing`]); they only help to finalise it. When it is
//! committed the machine signs nothing more ([`Bft::has_ended`]), and its owner
//! starts one for the next epoch, with that block as its root and the set that it
//! named. Votes, certificates and tallies carry their epoch and never mix.
//!
//! # Persistence
//! | rule | must be durable | before |
//! |---|---|---|
//! | D1 | an own vote | it is counted or sent, for the first time or again |
//! | D1b | a block | the own notarization of it |
//! | D2 | a notarised block, its notarization and all blocks before it | the own finalization of it |
//! | D3 | a final block and its finalization | its [`Effect::Commit`] |
//! | D4 | the application's data | the owner's business; it tells by [`Recovered::committed`] |
//! | D5 | the view up to which a validator that lost its disk is silent | its first vote |
//! | D6 | own votes, certificates and open blocks of the epoch | are taken up again at the start |
//!
//! [`Effect::Persist`] names a batch, [`Event::Persisted`] confirms it, and the
//! gate (`gate.rs`) says what waited for it. A failed write halts the ledger.
//! Records of views that lie [`VIEWS_KEPT`](crate::limits::VIEWS_KEPT) or more
//! below the last durable finalization may be deleted.
//!
//! # Invariants
//! Each name begins the message of an assert: of what a rule decides where it is
//! decided, of what is true after every step in `invariants.rs`. Those that walk over
//! what is kept run after each of the first steps and then now and then, by the number
//! of the step, so that every build runs the same. No peer reaches one.
//!
//! | name | holds |
//! |---|---|
//! | S1 | a view is opened by a kept certificate of the view before |
//! | S2 | the leader alone builds, for its present view, on an earlier block |
//! | S3 | the application judges a block after its parent was found good |
//! | S4 | voted for is the leader's first block of the present view, with its parent here |
//! | S5 | a certificate is of a quorum, one signature of each |
//! | S6 | what is finalised is notarised |
//! | S7 | the present view is given up, and no other |
//! | S8 | no final view is skipped |
//! | S9 | one block per height is committed, on its parent, by a finalization above it |
//! | S10 | whom a validator reports is convicted by what it shows |
//! | S11 | a view sleeps or it runs, and whoever sleeps is woken |
//! | S12 | who was heard is helped |
//! | D1 D1b D2 D3 D4 D5 D6 | the table above |
//! | C1 C2 C3 C4 | skips lie between, nobody supplies itself, pushed views have ended, own votes are sent again from the disk |
//! | B1 | announced ≤ committed ≤ final < the present view |
//! | B2 | own votes are this validator's, in views that it reached, and do not contradict each other |
//! | B3 | everything kept has a bound, and no step leaves something unwritten |
//! | B4 | heads never go back |
//! | B5 | certificates of a view do not exclude each other |
//! | B6 | powers add up, and none together weigh more than all |
//! | B7 | timers fit the view and each other |
//! | B8 | open blocks lie above the committed one, and nothing is open behind the end |
//! | B9 | a vote that only adds up changes nothing else |
//! | B10 | who has seen a fork says nothing more but what shows it, once that is durable |
//!
//! What only an observer of all can see (agreement, one certified block per view,
//! evidence that convicts nobody honest, progress after healing) is checked in
//! `tests/check.rs`, which shares no rule with this code.
//!
//! # Adversary
//! Less than a third of the power does anything it likes, together, and knows
//! everything. The network delays, drops, doubles and reorders. Any number of
//! honest validators crash and come back with their disks. A node that sees two
//! certificates that contradict each other, or a final block that does not rest on
//! what it has committed, knows that more are Byzantine. It votes no more, writes down
//! what shows it, sends that to everybody, and reports [`Effect::SafetyViolation`]
//! (`fork.rs`); a restart finds it in the log and does the same.
//!
//! # Beyond a third
//! Nobody honest is ever convicted, however many are Byzantine: an honest validator signs at
//! most one of the two votes of an [`Evidence`].
//!
//! While Byzantine validators are no quorum by themselves (of 3t + 1 equal validators: t + 1 to 2t
//! of them), they may fork the ledger, and then the certificates of honest validators
//! convict more than a third of the power ([`forensics`]). Every certificate has an
//! honest signer then. So whoever finalised a block holds its notarization (D2), and
//! of every notarised block somebody honest has checked the justification (S3) and holds the
//! certificates that it rests on. Of two final blocks, neither of which rests on the
//! other, let B be the one of the earlier view v. The chain of the other one has in
//! view v
//! - nothing: v was given up, and nullification and finalization of v share more than
//!   a third of the power, or
//! - another block: the notarizations of both, or the finalizations of both, do.
//!
//! It can take the certificates of several nodes. The notarization of one block and
//! the finalization of another of its view contradict each other and convict nobody:
//! an honest signer of both has finalised what others notarised. The notarization of
//! the second block convicts; each honest signer of its finalization has it. Neither
//! does it last for ever: certificates are kept for [`VIEWS_KEPT`](crate::limits::VIEWS_KEPT)
//! views.
//!
//! Byzantine validators that are a quorum can fork the ledger and be convicted of nothing. They
//! notarise one block of a view, finalise another and build on the first: no honest
//! validator has seen the missing notarization, and no Byzantine validator has signed two votes
//! that contradict each other. The bounds are those of PBFT and HotStuff (Sheng et al.,
//! *BFT Protocol Forensics*, CCS 2021).
//!
//! # Bounds
//! One vote per validator, kind and view; votes only up to the next view; blocks
//! that are open, wanted or proposed, certificates per proposal, headers and
//! blocks per answer: [`limits`](crate::limits).
//!
//! # Limits that an operator can meet
//! - If 256 blocks in a row are notarised and none of them becomes final, no more
//!   are taken in until a finalization arrives. Votes to finalise the newest of them
//!   are sent again until then, however old its view is. Where those are too few,
//!   because others gave that view up, the ledger stays where it is.
//! - A validator that lost its disk is silent for some views, and asks once more when
//!   the next epoch begins. Until it votes it counts as faulty: if it, Byzantine validators and
//!   those who are down are a third of the power together, no view ends before one of the
//!   others is back. Of three validators none can come back without its disk.
//! - Answers to questions are not limited by this code: the transport's limits per
//!   peer hold.
//! - Proposals carry whole blocks; how they travel is the owner's business.
//!
//! # Files
//! | file | holds |
//! |---|---|
//! | `types.rs` `validators.rs` `block.rs` `vote.rs` `cert.rs` | the vocabulary, with its canonical encoding |
//! | `config.rs` `message.rs` `event.rs` `effect.rs` | what goes in and out |
//! | `state.rs` `round.rs` | what is known: altogether, and of one view |
//! | `step.rs` | routing, recovery, what follows from any event |
//! | `votes.rs` | votes and certificates as they arrive (S1, S5, S8, S10, S12) |
//! | `propose.rs` | leading, and the leader's block (S2, S3) |
//! | `rules.rs` | when to notarise, finalise, give up (S3, S4, S6, S7) |
//! | `commit.rs` | from final to committed (S9) |
//! | `timers.rs` | deadlines, the idle rule (S11) |
//! | `relay.rs` `sync.rs` | how certificates travel, asking and answering |
//! | `rejoin.rs` | after the loss of the disk |
//! | `guard.rs` `gate.rs` | what may be signed; what waits for the disk |
//! | `evidence.rs` | evidence, culprits of a fork |
//! | `invariants.rs` `digest.rs` | what always holds; the state in 32 bytes |

mod block;
mod cert;
mod commit;
pub mod config;
mod digest;
pub mod effect;
pub mod event;
pub mod evidence;
mod fork;
mod gate;
mod guard;
mod invariants;
pub mod message;
mod propose;
mod rejoin;
mod relay;
mod round;
mod rules;
mod state;
mod step;
mod sync;
mod timers;
mod types;
mod validators;
mod vote;
mod votes;

#[cfg(test)]
mod tests;

pub use block::{Block, BlockRef, Commitments, HEADER_VERSION, Header};
pub use cert::{Cert, CertError, Proven};
pub use config::{Config, EpochStart, Relay, Timing};
pub use effect::{Committed, Effect, Record};
pub use event::{Content, Event, Recovered};
pub use evidence::{Evidence, EvidenceError, Form, contradict, forensics};
pub use message::{FinalBlocks, Message, Proposal, Status};
pub use state::Bft;
pub(crate) use types::drop_before;
pub use types::{Epoch, Height, PersistSeq, Power, ValidatorIndex, View};
pub use validators::{Leaders, SetError, Signers, Validator, ValidatorSet};
pub use vote::{Statement, Vote, VoteKind};
