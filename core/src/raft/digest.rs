//! A digest of the whole state, to compare two runs step by step.

use sha2::{Digest, Sha256};

use super::effect::Role;
use super::progress::{Mode, Progress};
use super::snapshot::Sending;
use super::state::{Lead, Raft};
use crate::codec::Writer;
use crate::types::Time;

impl Raft {
    /// SHA-256 over everything that decides what this node does next. The
    /// entries enter through their chain.
    pub fn digest(&self) -> [u8; 32] {
        let mut writer = Writer::new();
        self.write_standing(&mut writer);
        self.write_log(&mut writer);
        writer.bool(self.lead.is_some());
        if let Some(lead) = &self.lead {
            write_lead(lead, &mut writer);
        }
        Sha256::digest(writer.as_slice()).into()
    }

    fn write_standing(&self, writer: &mut Writer) {
        writer.put(&self.now);
        writer.put(&self.hard_state());
        writer.u8(role_tag(self.role));
        writer.put(&self.leader);
        writer.put(&self.contact);
        writer.put(&self.election_at);
        writer.put(&self.campaign.id);
        writer.bool(self.campaign.transfer);
        writer.seq(&self.campaign.granted);
        writer.seq(&self.campaign.refused);
        writer.bool(self.flush_wanted);
        writer.bool(self.repair.is_some());
        if let Some(repair) = &self.repair {
            writer.put(&repair.damaged_upto);
            writer.put(&repair.first_round);
            writer.put(&repair.confirmed);
        }
        writer.bool(self.staging.is_some());
        if let Some(staging) = &self.staging {
            writer.put(&*staging.meta);
            writer.u64(staging.next);
            writer.bool(staging.installing);
        }
    }

    fn write_log(&self, writer: &mut Writer) {
        writer.put(self.log.base());
        writer.put(&self.log.last());
        writer.put(&self.log.last_chain());
        writer.put(&self.handed);
        writer.put(&self.applied);
        writer.put(&self.gate.durable());
        writer.put(&self.gate.flushed());
        writer.u64(self.gate.done().0);
        self.gate.write(writer);
    }
}

fn write_lead(lead: &Lead, writer: &mut Writer) {
    writer.put(&lead.next_inflight);
    writer.put(&lead.round);
    writer.bool(lead.round_wanted);
    writer.put(&lead.heartbeat_at);
    writer.put(&lead.quorum_at);
    writer.put(&lead.noop);
    writer.length(lead.reads.len());
    for read in &lead.reads {
        writer.put(&read.round);
        writer.u64(read.context.0);
        writer.put(&read.index);
    }
    writer.put(&lead.transfer.map(|transfer| transfer.to));
    writer.put(&lead.transfer.map_or(Time::ZERO, |transfer| transfer.until));
    writer.length(lead.peers.len());
    for peer in &lead.peers {
        write_peer(peer, writer);
    }
}

fn write_peer(peer: &Progress, writer: &mut Writer) {
    writer.put(&peer.id);
    writer.put(&peer.matched);
    writer.put(&peer.next);
    writer.put(&peer.incarnation);
    writer.put(&peer.floor);
    writer.put(&peer.told_commit);
    writer.put(&peer.told_round);
    writer.put(&peer.confirmed_round);
    writer.put(&peer.heard);
    writer.length(peer.inflight_len());
    writer.length(peer.inflight_bytes());
    match &peer.mode {
        Mode::Probe { waiting } => {
            writer.u8(0);
            writer.bool(*waiting);
        }
        Mode::Replicate => writer.u8(1),
        Mode::Snapshot(sending) => {
            writer.u8(2);
            write_sending(sending, writer);
        }
    }
}

fn write_sending(sending: &Sending, writer: &mut Writer) {
    match sending {
        Sending::Opening => writer.u8(0),
        Sending::Reading { meta, chunk } => {
            writer.u8(1);
            writer.put(&**meta);
            writer.u64(*chunk);
        }
        Sending::Waiting {
            meta,
            chunk,
            inflight,
            resend_at,
        } => {
            writer.u8(2);
            writer.put(&**meta);
            writer.u64(*chunk);
            writer.put(inflight);
            writer.put(resend_at);
        }
    }
}

fn role_tag(role: Role) -> u8 {
    match role {
        Role::Follower => 0,
        Role::PreCandidate => 1,
        Role::Candidate => 2,
        Role::Leader => 3,
        Role::Repairing => 4,
        Role::Halted => 5,
    }
}
