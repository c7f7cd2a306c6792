//! Final blocks for other parts of the node, from the store: what a notice cannot be
//! relied on for.
//!
//! A part that follows the ledger keeps in its own volume up to which block it has taken.
//! It reads on from there when it is ready, when a notice leads further than to the next
//! block, and when the state was replaced. The answer rests on what the store says alone
//! and not on how far this process is: it may be asked during recovery as well, and what
//! only the log holds then becomes final, and a notice, behind the end of the store.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::{Purpose, decode_all};
use crate::bft::Height;
use crate::ledger::chain::record::{FinalBlock, HEAD_KEY, Head, block_key, end_of, only};
use crate::ledger::chain::recovery::DAMAGED;
use crate::ledger::effect::{Effect, Notice, Run};
use crate::ledger::event::{Link, ReadOn};
use crate::ledger::state::Ledger;
use crate::limits::LEDGER_ANSWER_BYTES_MAX;
use crate::machine::Outbox;

impl Ledger {
    /// Another part has something to tell.
    pub(in crate::ledger) fn on_link(&mut self, link: Link, out: &mut Outbox<Effect>) {
        match link {
            Link::ReadOn(ask) => {
                let head = only(Bytes::from_static(HEAD_KEY));
                self.read(Purpose::RunHead(ask), head, 1, out);
            }
        }
    }

    /// Where whole blocks begin: what was pruned, or jumped over by a fetched state, is
    /// not there to be read.
    pub(super) fn on_run_head(
        &mut self,
        mut ask: ReadOn,
        pairs: &[(Bytes, Bytes)],
        out: &mut Outbox<Effect>,
    ) {
        let Some(heads) = decode_all::<Head>(pairs) else {
            return self.halt(DAMAGED, out);
        };
        let before_base = |head: &Head| Height(head.base.0.saturating_sub(1));
        let jumped = heads.first().map(before_base);
        ask.after = ask.after.max(jumped.unwrap_or_default());
        let range = (block_key(ask.after.next()), end_of(b'b'));
        let bytes_max = ask.bytes_max.min(LEDGER_ANSWER_BYTES_MAX);
        self.read(Purpose::Run(ask), range, bytes_max, out);
    }

    /// A run of blocks was read.
    pub(super) fn on_run(
        &mut self,
        ask: ReadOn,
        pairs: &[(Bytes, Bytes)],
        is_last: bool,
        out: &mut Outbox<Effect>,
    ) {
        let Some(blocks) = decode_all::<FinalBlock>(pairs) else {
            return self.halt(DAMAGED, out);
        };
        let blocks: Vec<Arc<FinalBlock>> = blocks.into_iter().map(Arc::new).collect();
        // More may have been pruned since the head was read.
        let before_first = blocks
            .first()
            .map(|first| first.height().0.saturating_sub(1));
        let after = before_first.map_or(ask.after, Height);
        let mut expected = after;
        for block in &blocks {
            expected = expected.next();
            if block.height() != expected {
                return self.halt(DAMAGED, out);
            }
        }
        out.push(Effect::Notice(Notice::Run(Run {
            reader: ask.reader,
            after,
            blocks,
            is_last,
        })));
    }
}
