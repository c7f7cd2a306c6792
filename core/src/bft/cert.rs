//! Certificates: a statement with the signatures of a quorum.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Deref;

use super::types::{Epoch, ValidatorIndex};
use super::validators::{Signers, ValidatorSet};
use super::vote::{Statement, Vote};
use crate::codec::{Decode, Encode};
use crate::crypto::{ChainId, Signature, Verifier};
use crate::limits::VALIDATORS_MAX;
use crate::mutant::Mutant;

/// A certificate as it arrives: nothing of it is verified.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
#[codec(what = "certificate", check = Cert::check)]
pub struct Cert {
    /// The statement.
    pub statement: Statement,
    /// By whom.
    pub signers: Signers,
    /// Their signatures, in ascending order of the signers.
    #[codec(max = VALIDATORS_MAX)]
    pub signatures: Vec<Signature>,
}

/// A certificate that the quorum of a trusted set really signed. Clones share it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Proven(Arc<Cert>);

/// Why a certificate was refused. Nothing of it may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertError {
    /// It speaks of another epoch than the set that it was checked against.
    #[error("the certificate is of another epoch")]
    Epoch,
    /// As many signatures as signers, no signer outside of the set.
    #[error("signers and signatures do not match the set")]
    Form,
    /// Two thirds of the power or less.
    #[error("the signers are no quorum")]
    NoQuorum,
    /// At least one signature does not verify: none of the others counts either.
    #[error("the signature of validator {0} does not verify")]
    Signature(ValidatorIndex),
}

impl Cert {
    /// Checks everything: the epoch, each signer, each signature, the quorum.
    /// One bad signature spoils the whole, or a forger could pad a certificate
    /// with names of validators that never signed.
    pub fn verify(
        &self,
        chain: ChainId,
        epoch: Epoch,
        set: &ValidatorSet,
        verifier: &(impl Verifier + ?Sized),
    ) -> Result<(), CertError> {
        self.verify_unknown(chain, epoch, set, verifier, |_| None, Mutant::None)
    }

    /// As [`verify`](Self::verify), without the work for signatures that the
    /// caller has verified before, under the same statement.
    pub(super) fn verify_unknown(
        &self,
        chain: ChainId,
        epoch: Epoch,
        set: &ValidatorSet,
        verifier: &(impl Verifier + ?Sized),
        known: impl Fn(ValidatorIndex) -> Option<Signature>,
        mutant: Mutant,
    ) -> Result<(), CertError> {
        if self.statement.epoch != epoch {
            return Err(CertError::Epoch);
        }
        let fits = self.signers.fits(set) || mutant.is(Mutant::BftSignerOutOfRange);
        if self.signers.count() != self.signatures.len() || !fits {
            return Err(CertError::Form);
        }
        if !set.is_quorum_under(self.signers, mutant) {
            return Err(CertError::NoQuorum);
        }
        let preimage = self.statement.preimage(chain);
        for (signer, signature) in self.signers.iter().zip(&self.signatures) {
            if known(signer).as_ref() == Some(signature) {
                continue;
            }
            let validator = set.get(signer).expect("checked above");
            let is_good = verifier
                .verify(&validator.key, &preimage, signature)
                .is_ok();
            if !is_good && !mutant.is(Mutant::BftCertSignaturesUnchecked) {
                return Err(CertError::Signature(signer));
            }
        }
        Ok(())
    }

    /// The vote of one signer, as it stands in the certificate.
    pub fn vote_of(&self, signer: ValidatorIndex) -> Option<Vote> {
        if !self.signers.contains(signer) {
            return None;
        }
        let place = self.signers.count_before(signer);
        Some(Vote {
            statement: self.statement,
            signer,
            signature: *self.signatures.get(place)?,
        })
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.signers.count() == self.signatures.len() {
            Ok(())
        } else {
            Err("signers of a certificate")
        }
    }
}

impl Proven {
    /// Checks a certificate against the trusted set of its epoch.
    ///
    /// # Errors
    /// See [`CertError`]: nothing of it may be used.
    pub fn check(
        cert: Cert,
        chain: ChainId,
        epoch: Epoch,
        set: &ValidatorSet,
        verifier: &(impl Verifier + ?Sized),
    ) -> Result<Self, CertError> {
        cert.verify(chain, epoch, set, verifier)?;
        Ok(Self::assume(cert))
    }

    /// Takes a certificate that the caller has verified, or put together from
    /// votes that it has verified.
    pub(super) fn assume(cert: Cert) -> Self {
        assert_eq!(
            cert.signers.count(),
            cert.signatures.len(),
            "S5: a certificate has one signature of each signer"
        );
        Self(Arc::new(cert))
    }

    /// The certificate, to be sent on.
    pub fn to_cert(&self) -> Cert {
        (*self.0).clone()
    }
}

impl Deref for Proven {
    type Target = Cert;

    fn deref(&self) -> &Cert {
        &self.0
    }
}
