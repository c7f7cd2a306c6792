//! From files and pairs to a running validator.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::history::{History, HistoryImage};
use super::pruning::Pruning;
use super::record::{HEAD_KEY, Head, LogHead, LogRecord, NOT_ASKED, end_of, only, state_key};
use crate::bft::{BlockRef, EpochStart};
use crate::codec::Decode as _;
use crate::io::{Io, Read};
use crate::ledger::effect::Effect;
use crate::ledger::execution::branch::{Branch, Branches};
use crate::ledger::execution::executor::Executed;
use crate::ledger::execution::ledger_state::{Changes, LedgerState};
use crate::ledger::reads::Purpose;
use crate::ledger::state::{Ledger, Phase, Running};
use crate::limits::{STORE_PAGE_BYTES, STORE_READ_BYTES_MAX};
use crate::machine::Outbox;
use crate::wal::{self, RecordKind};

/// What has been read so far.
#[derive(Debug, Default, Hash)]
pub(in crate::ledger) struct Recovery {
    /// Whether the volume was used before.
    is_used: bool,
    log: Option<wal::Recovered>,
    store: StoreImage,
    pairs: Vec<(Bytes, Bytes)>,
}

/// What the store held.
#[derive(Debug, Default, Hash)]
enum StoreImage {
    /// Its head is being read.
    #[default]
    Asked,
    /// The state that belongs to this head is being read.
    Reading(Box<Head>),
    /// The end of its history is being read.
    History(Box<HistoryImage>),
    /// Everything was read; nothing, if the node is new.
    Read(Option<Box<HistoryImage>>),
}

/// What the node halts with when its store does not add up.
pub(in crate::ledger) const DAMAGED: &str = "the state of the ledger is damaged: stop \
                                             the node, remove the store of the ledger and \
                                             keep its log; the node then fetches the blocks \
                                             again";
const UNKNOWN_RECORDS: &str = "the log of the ledger holds records that this version does not \
                               understand: start the node with the version that wrote them";

impl Ledger {
    /// Begins to read the log and the store, side by side.
    pub(in crate::ledger) fn start(&mut self, is_used: bool, out: &mut Outbox<Effect>) {
        assert!(matches!(self.phase, Phase::New), "a node starts once");
        let recovery = Recovery {
            is_used,
            ..Recovery::default()
        };
        self.phase = Phase::Recovering(Box::new(recovery));
        out.push(Effect::Peers);
        self.step_wal(wal::Event::Start);
        self.read(
            Purpose::Recovery,
            only(Bytes::from_static(HEAD_KEY)),
            1,
            out,
        );
    }

    pub(in crate::ledger) fn on_wal_recovered(
        &mut self,
        log: wal::Recovered,
        out: &mut Outbox<Effect>,
    ) {
        let Phase::Recovering(recovery) = &mut self.phase else {
            return;
        };
        recovery.log = Some(log);
        self.finish_recovery(out);
    }

    /// A page of the store.
    pub(in crate::ledger) fn on_recovery_page(
        &mut self,
        pairs: Vec<(Bytes, Bytes)>,
        out: &mut Outbox<Effect>,
    ) {
        let Phase::Recovering(recovery) = &mut self.phase else {
            return;
        };
        let from = match core::mem::take(&mut recovery.store) {
            StoreImage::History(mut image) => {
                image.take(&pairs);
                return self.read_history(image, out);
            }
            StoreImage::Asked => match pairs.first().map(|(_, head)| Head::from_bytes(head)) {
                None => {
                    recovery.store = StoreImage::Read(None);
                    return self.finish_recovery(out);
                }
                Some(Err(_)) => return self.halt(DAMAGED, out),
                Some(Ok(head)) => {
                    recovery.store = StoreImage::Reading(Box::new(head));
                    state_key(&[])
                }
            },
            StoreImage::Reading(head) => match pairs.last().map(|(last, _)| last.clone()) {
                None => return self.read_history(Box::new(HistoryImage::new(head)), out),
                Some(last) => {
                    recovery.store = StoreImage::Reading(head);
                    recovery.pairs.extend(pairs);
                    only(last).1
                }
            },
            StoreImage::Read(_) => unreachable!("nothing more was asked for"),
        };
        self.read(
            Purpose::Recovery,
            (from, end_of(b's')),
            STORE_PAGE_BYTES,
            out,
        );
    }

    /// Reads what is needed of the history, one thing after the other.
    fn read_history(&mut self, image: Box<HistoryImage>, out: &mut Outbox<Effect>) {
        let Phase::Recovering(recovery) = &mut self.phase else {
            return;
        };
        let next = image.next();
        recovery.store = match next {
            Some(_) => StoreImage::History(image),
            None => StoreImage::Read(Some(image)),
        };
        match next {
            Some(range) => self.read(Purpose::Recovery, range, STORE_READ_BYTES_MAX, out),
            None => self.finish_recovery(out),
        }
    }

    fn finish_recovery(&mut self, out: &mut Outbox<Effect>) {
        let Phase::Recovering(recovery) = &mut self.phase else {
            return;
        };
        if recovery.log.is_none() || !matches!(recovery.store, StoreImage::Read(_)) {
            return;
        }
        let recovery = core::mem::take(&mut **recovery);
        let log = recovery.log.expect("checked above");
        let StoreImage::Read(image) = recovery.store else {
            unreachable!("checked above")
        };
        let tip = match image {
            None => self.first_branch(out),
            Some(image) => match self.take_store(*image, recovery.pairs) {
                Some(branch) => branch,
                None => return self.halt(DAMAGED, out),
            },
        };
        if self.take_log(log, recovery.is_used).is_none() {
            return self.halt(UNKNOWN_RECORDS, out);
        }
        self.enter(Arc::new(tip), out);
    }

    /// Goes on from what the store holds, if it adds up.
    fn take_store(&mut self, image: HistoryImage, pairs: Vec<(Bytes, Bytes)>) -> Option<Branch> {
        let branch = branch_of(&image.head, pairs)?;
        self.storage.history = History::resume(&image)?;
        self.storage.pruning = Pruning::resume(image.head.base);
        self.storage.tip = image.head.place;
        self.storage.epoch_root = image.head.epoch_root;
        if let Some(block) = image.block {
            // Where its operations stand is in the store.
            self.recent.push(Arc::new(block), &[]);
        }
        Some(branch)
    }

    /// Block 0, and the store that begins with it.
    fn first_branch(&mut self, out: &mut Outbox<Effect>) -> Branch {
        let genesis = self.config.genesis.clone();
        let ledger_state = LedgerState::genesis(&genesis).expect("checked at the construction");
        let branch = Branch::genesis(genesis.hash(), genesis.time, ledger_state);
        self.storage.tip = BlockRef {
            hash: branch.hash,
            ..BlockRef::default()
        };
        self.storage.epoch_root = branch.hash;
        self.store_genesis(&branch, out);
        branch
    }

    /// Takes up the log. A hole in it may hide own votes: it is like a lost disk.
    fn take_log(&mut self, log: wal::Recovered, is_used: bool) -> Option<()> {
        let is_empty = log.records.is_empty();
        let is_damaged = !log.damage.is_empty();
        let mut head = LogHead::default();
        for record in log.records {
            match record.kind {
                RecordKind::State => head = LogHead::from_bytes(&record.payload).ok()?,
                RecordKind::Entry => {
                    let index = record.index;
                    let record = LogRecord::from_bytes(&record.payload).ok()?;
                    let (epoch, view) = (record.epoch, record.record.view());
                    self.storage.note_written(index, epoch, view);
                    self.later_epochs.entry(epoch).or_default().push(record);
                }
                RecordKind::Base | RecordKind::Truncate => {}
            }
        }
        let is_lost = is_damaged || (is_empty && is_used);
        if is_lost {
            head.lost_upto = Some(NOT_ASKED);
        }
        // Written before anything else, so that a log that was begun is never empty.
        self.write_head(head);
        Some(())
    }

    fn enter(&mut self, tip: Arc<Branch>, out: &mut Outbox<Effect>) {
        let state = tip.ledger_state().epoch();
        let start = EpochStart {
            epoch: state.epoch,
            root_height: state.root_height,
            root_hash: self.storage.epoch_root,
            validators: state.set().clone(),
        };
        let (epoch, height) = (state.epoch, tip.height);
        let root_height = state.root_height;
        let chain = self.chain;
        let verifier = self.config.verifier.clone();
        self.phase = Phase::Running(Box::new(Running {
            bft: self.validator_of(start),
            branches: Branches::new(chain, verifier, tip),
        }));
        let lost_disk = self.storage.head.lost_upto >= Some(epoch);
        let mut recovered = self.recovered_of(epoch, lost_disk);
        recovered.committed = (height > root_height).then_some(self.storage.tip);
        self.start_validator(recovered);
        self.read_staged(out);
    }
}

/// The state that a head describes, if the pairs add up to it.
fn branch_of(head: &Head, pairs: Vec<(Bytes, Bytes)>) -> Option<Branch> {
    let pairs = pairs
        .into_iter()
        .map(|(key, value)| (key.slice(1..), value));
    let ledger_state = LedgerState::load(pairs).ok()?;
    (ledger_state.root() == head.state).then(|| Branch {
        hash: head.place.hash,
        height: head.place.height,
        time: head.time,
        history: head.history.clone(),
        executed: Executed {
            ledger_state,
            changes: Changes::new(),
            results: Vec::new(),
            results_root: head.results_root,
        },
        transactions: Vec::new(),
    })
}

impl Ledger {
    /// Hands out the number of a read.
    pub(in crate::ledger) fn read(
        &mut self,
        purpose: Purpose,
        range: (Bytes, Bytes),
        bytes_max: usize,
        out: &mut Outbox<Effect>,
    ) {
        let id = self.reads.begin(purpose);
        let (from, to) = range;
        assert!(bytes_max <= STORE_READ_BYTES_MAX, "every read is bounded");
        out.push(Effect::Io(Io::Read(Read {
            id,
            from,
            to: Some(to),
            bytes_max,
        })));
    }
}
