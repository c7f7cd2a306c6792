//! The link to the ledger: each final block once and in order, whatever a crash loses or
//! repeats.

use super::config::Bug;
use super::effect::{Effect, Notice};
use super::event::Link;
use super::state::{Phase, Reading, Running, Toy};
use crate::bft::Height;
use crate::crypto::Digest;
use crate::machine::Outbox;

impl Toy {
    /// The ledger has something to tell. Before the cursor is known, and when everything is
    /// being made durable for the end, that is for nobody: it is read later, by this process
    /// or the next.
    pub(super) fn on_link(&mut self, link: Link, out: &mut Outbox<Effect>) {
        let bug = self.config.bug;
        let running = match &mut self.phase {
            Phase::Running(running) if !running.is_stopping => running,
            _ => return,
        };
        if bug == Bug::AnswersItself {
            out.push(Effect::Notice(Notice::Echo));
        }
        match link {
            Link::Final { height, hash } => running.on_final(height, &hash, bug),
            Link::Replaced { at } => running.hear(at),
            Link::Run {
                after,
                blocks,
                is_last,
            } => running.on_run(after, &blocks, is_last),
            Link::Echo => {}
        }
        if bug == Bug::TrustsNotices {
            running.reading = Reading::Idle;
        }
    }

    /// Asks for what lies behind the cursor, at the end of an iteration: not in the step of a link,
    /// so that links cause nothing without end.
    pub(super) fn ask(&mut self, out: &mut Outbox<Effect>) {
        if let Phase::Running(running) = &mut self.phase
            && running.must_ask()
        {
            running.reading = Reading::Asked;
            out.push(Effect::Notice(Notice::ReadOn {
                after: running.taken.height,
                bytes_max: self.config.page_bytes,
            }));
        }
    }
}

impl Running {
    pub(super) fn must_ask(&self) -> bool {
        self.reading == Reading::Due && !self.is_stopping
    }

    fn on_final(&mut self, height: Height, hash: &Digest, bug: Bug) {
        let next = self.taken.height.next();
        let is_taken = height == next
            || (height > next && bug == Bug::TrustsNotices)
            || (height < next && bug == Bug::TakesRepeats);
        if is_taken {
            let height = height.max(self.taken.height);
            self.taken = self.taken.take(height, hash);
        }
        self.hear(height);
    }

    /// Something is known of a block: all up to it are there to be read.
    fn hear(&mut self, height: Height) {
        self.heard = self.heard.max(height);
        if self.taken.height < self.heard && self.reading == Reading::Idle {
            self.reading = Reading::Due;
        }
    }

    /// What it has asked for. Notices may have brought some of it meanwhile, and more.
    fn on_run(&mut self, after: Height, blocks: &[Digest], is_last: bool) {
        assert_eq!(self.reading, Reading::Asked, "one answer for each question");
        if after > self.taken.height {
            self.taken = self.taken.jump(after);
        }
        let mut height = after;
        for block in blocks {
            height = height.next();
            if height == self.taken.height.next() {
                self.taken = self.taken.take(height, block);
            }
        }
        self.heard = self.heard.max(self.taken.height);
        let has_all = is_last && self.taken.height == self.heard;
        self.reading = match has_all {
            true => Reading::Idle,
            false => Reading::Due,
        };
    }
}
