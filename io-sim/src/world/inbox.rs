//! Messages for a part that takes none now: they wait with the transport of its node, in
//! order, as they do in the queue of the real host, which reads for parts that accept alone.

use std::collections::VecDeque;

use decube_core::node::{Event, PartId};

use super::{Host, World};
use crate::subject::Subject;

/// Messages that the transport of a node keeps for one of its parts. What comes then is
/// lost: its senders cannot get rid of it, and drop what is oldest of their own.
pub const INBOX_MAX: usize = 1024;

/// What waits for a part.
#[derive(Debug)]
pub(super) struct Waiting {
    part: PartId,
    events: VecDeque<Event>,
}

impl Waiting {
    pub(super) fn push(&mut self, event: Event) {
        if self.events.len() < INBOX_MAX {
            self.events.push_back(event);
        }
    }
}

impl<S: Subject> World<S> {
    /// Where a message has to wait whose part does not take it, or that would overtake
    /// another one.
    pub(super) fn held_back(&mut self, slot: usize, event: &Event) -> Option<&mut Waiting> {
        let Event::Message { message, .. } = event else {
            return None;
        };
        let part = message.part();
        let host = &mut self.hosts[slot];
        let known = host.inbox.iter().position(|waiting| waiting.part == part);
        let place = match known {
            Some(place) => place,
            None if host.accepts(part) => return None,
            None => {
                let events = VecDeque::new();
                host.inbox.push(Waiting { part, events });
                host.inbox.len() - 1
            }
        };
        self.coverage.messages_held += 1;
        Some(&mut host.inbox[place])
    }

    /// The next message that waited and that its part takes now.
    pub(super) fn taken_up(&mut self, slot: usize) -> Option<Event> {
        let host = &mut self.hosts[slot];
        if host.inbox.is_empty() || host.paused {
            return None;
        }
        let takes = |waiting: &Waiting| host.accepts(waiting.part);
        let place = host.inbox.iter().position(takes)?;
        let events = &mut host.inbox[place].events;
        let event = events.pop_front().expect("nothing empty is kept");
        if events.is_empty() {
            host.inbox.remove(place);
        }
        Some(event)
    }
}

impl<S: Subject> Host<S> {
    fn accepts(&self, part: PartId) -> bool {
        let subject = self.subject.as_ref();
        subject.is_some_and(|subject| subject.accepts(part))
    }
}
