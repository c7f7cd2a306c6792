//! Certificates that no quorum signed.

use std::ops::ControlFlow;

use decube_core::bft::{self, Cert, Signers, Statement, ValidatorIndex, View, VoteKind};
use decube_core::crypto::Digest;

use super::{Adversary, Deviation, Mind, Outgoing, Scene, wrapped};

/// Bad certificates, alone and in blocks.
#[derive(Debug)]
pub(super) struct Garbage;

impl Adversary for Garbage {
    fn on_send(&mut self, mind: &mut Mind, scene: &Scene<'_>, deviation: Deviation) -> Outgoing {
        let Some(view) = deviation.view() else {
            return Outgoing::Pass(deviation);
        };
        let bad = mind.of_view(view).again().again().chance(200_000);
        Outgoing::Pass(match bad {
            true => deviation.with_proposal(|mut proposal| {
                proposal.parent = garbage_cert(mind, scene).or(proposal.parent);
                proposal
            }),
            false => deviation,
        })
    }

    fn on_idle(
        &mut self,
        mind: &mut Mind,
        scene: &Scene<'_>,
        deviations: &mut Vec<Deviation>,
    ) -> ControlFlow<()> {
        if let Some(cert) = garbage_cert(mind, scene) {
            let message = wrapped(bft::Message::Cert(Box::new(cert)));
            mind.spread(scene, &message, deviations);
        }
        ControlFlow::Continue(())
    }
}

/// A certificate that no quorum signed.
fn garbage_cert(mind: &mut Mind, scene: &Scene<'_>) -> Option<Cert> {
    if mind.certs.is_empty() {
        return None;
    }
    let at = mind.draw().index(mind.certs.len());
    let mut cert = mind.certs[at].clone();
    let me = scene.bft.validator().unwrap_or_default();
    match mind.draw().below(6) {
        // Everybody's name, its own signature.
        0 => {
            let view = View(scene.bft.view().0 + mind.draw().below(4));
            cert.statement = Statement::nullify(scene.bft.epoch().epoch, view);
            let signature = mind.signed(cert.statement, me).signature;
            let set = &scene.bft.epoch().validators;
            cert.signers = set.iter().map(|(index, _)| index).collect();
            cert.signatures = set.iter().map(|_| signature).collect();
        }
        // Fewer than a quorum.
        1 => {
            let fewer: Vec<_> = cert.signers.iter().take(1).collect();
            cert.signers = fewer.into_iter().collect();
            cert.signatures.truncate(1);
        }
        // Good signatures under something else.
        2 => cert.statement.block.hash = Digest([9; 32]),
        3 => {
            cert.statement.kind = match cert.statement.kind {
                VoteKind::Notarize => VoteKind::Finalize,
                VoteKind::Finalize | VoteKind::Nullify => VoteKind::Notarize,
            }
        }
        // A signer that the set does not have.
        4 => {
            let mut signers: Signers = cert.signers;
            if signers.insert(ValidatorIndex(127)) {
                cert.signers = signers;
                cert.signatures.push(cert.signatures[0]);
            }
        }
        // One signature in the place of another.
        _ => cert.signatures.rotate_left(1),
    }
    Some(cert)
}
