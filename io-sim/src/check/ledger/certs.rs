//! Certificates that honest nodes send.

use std::collections::{BTreeMap, BTreeSet};

use decube_core::bft::{Cert, Epoch, Signers, Statement, View, VoteKind};

use super::{LedgerChecker, power_of, total_power};
use crate::check::Finding;

/// The statements that quorums have signed.
#[derive(Debug, Default)]
pub(super) struct Certs {
    seen: BTreeSet<(Statement, Signers)>,
    pub(super) by_view: BTreeMap<(Epoch, View), Vec<Cert>>,
    given_up: u64,
}

impl Certs {
    pub(super) const fn given_up(&self) -> u64 {
        self.given_up
    }
}

impl LedgerChecker {
    /// An honest node sends a certificate.
    pub(super) fn on_cert(&mut self, slot: usize, cert: &Cert) -> Result<(), Finding> {
        if self.certs.seen.contains(&(cert.statement, cert.signers)) {
            return Ok(());
        }
        self.judge(cert).map_err(|what| {
            let message = format!("slot {slot} sends a certificate with {what}: {cert:?}");
            ("I8 good certificates", message)
        })?;
        self.certs.seen.insert((cert.statement, cert.signers));
        self.take_cert(cert)
    }

    /// A good certificate exists.
    pub(super) fn take_cert(&mut self, cert: &Cert) -> Result<(), Finding> {
        let statement = cert.statement;
        if self.is_known(&statement) {
            return Ok(());
        }
        let place = (statement.epoch, statement.block.view);
        let known = self.certs.by_view.entry(place).or_default();
        let clash = known.iter().find(|one| clashes(&one.statement, &statement));
        let clash = clash.cloned();
        known.push(cert.clone());
        self.certs.given_up += u64::from(statement.kind == VoteKind::Nullify);
        match clash {
            None => Ok(()),
            Some(_) if self.fork => self.convict(),
            Some(other) => {
                let message = format!("{:?} and {statement:?} are both certified", other.statement);
                Err(("I3, I4 one certified outcome of a view", message))
            }
        }
    }

    /// Whether a quorum is known to have signed this.
    pub(super) fn is_known(&self, statement: &Statement) -> bool {
        let place = (statement.epoch, statement.block.view);
        let known = self.certs.by_view.get(&place).into_iter().flatten();
        known.into_iter().any(|one| one.statement == *statement)
    }

    /// What is wrong with a certificate.
    pub(super) fn judge(&self, cert: &Cert) -> Result<(), &'static str> {
        let statement = &cert.statement;
        let set = self.sets.get(&statement.epoch).ok_or("an unknown epoch")?;
        let signers: Vec<_> = cert.signers.iter().collect();
        if signers.len() != cert.signatures.len() {
            return Err("another number of signatures than signers");
        }
        let mut signed = signers.iter().zip(&cert.signatures);
        if !signed.all(|(signer, by)| self.is_signed(statement, *signer, by)) {
            return Err("a bad signature");
        }
        if power_of(set, signers) * 3 <= total_power(set) * 2 {
            return Err("no quorum");
        }
        Ok(())
    }
}

/// Whether two statements on one view cannot both be certified.
fn clashes(one: &Statement, other: &Statement) -> bool {
    use VoteKind::{Finalize, Nullify};
    match (one.kind, other.kind) {
        (Nullify, Finalize) | (Finalize, Nullify) => true,
        (Nullify, _) | (_, Nullify) => false,
        _ => one.block != other.block,
    }
}
