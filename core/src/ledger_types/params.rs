//! What validators can change by a vote, with the bounds that nobody can.

use crate::codec::{Decode, Encode};
use crate::limits::{BLOCK_BYTES_MAX, BLOCK_ITEMS_MAX, LEDGER_TX_BYTES_MAX};

/// The parameters in force.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
#[codec(check = Params::check)]
pub struct Params([u64; Param::COUNT]);

/// One parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[codec(what = "parameter")]
pub enum Param {
    /// Bytes of all transactions of one block.
    #[codec(tag = 0)]
    BlockBytes,
    /// Signed transactions of one block.
    #[codec(tag = 1)]
    BlockItems,
    /// Blocks of an epoch that nothing ends earlier.
    #[codec(tag = 2)]
    EpochBlocks,
    /// Operations of one account in one epoch.
    #[codec(tag = 3)]
    AccountOps,
    /// Bytes of the transactions of one account in one epoch.
    #[codec(tag = 4)]
    AccountBytes,
    /// Accounts that one block may begin.
    #[codec(tag = 5)]
    NewAccounts,
    /// Blocks that a transaction may be valid for, counted from where it is taken.
    #[codec(tag = 6)]
    ValidBlocks,
    /// Blocks that a proposal of validators stays open.
    #[codec(tag = 7)]
    ProposalBlocks,
}

/// Why a value was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{param} may be {least} to {most}")]
pub struct ParamError {
    /// Which.
    pub param: &'static str,
    /// The smallest value.
    pub least: u64,
    /// The largest.
    pub most: u64,
}

impl Param {
    const COUNT: usize = 8;

    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [
        Self::BlockBytes,
        Self::BlockItems,
        Self::EpochBlocks,
        Self::AccountOps,
        Self::AccountBytes,
        Self::NewAccounts,
        Self::ValidBlocks,
        Self::ProposalBlocks,
    ];

    /// What it is called by the HTTP API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BlockBytes => "block_bytes",
            Self::BlockItems => "block_items",
            Self::EpochBlocks => "epoch_blocks",
            Self::AccountOps => "account_ops_per_epoch",
            Self::AccountBytes => "account_bytes_per_epoch",
            Self::NewAccounts => "new_accounts_per_block",
            Self::ValidBlocks => "valid_blocks",
            Self::ProposalBlocks => "proposal_blocks",
        }
    }

    /// The parameter of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|param| param.name() == name)
    }

    /// The value that a ledger begins with.
    const fn initial(self) -> u64 {
        match self {
            Self::BlockBytes => BLOCK_BYTES_MAX as u64,
            Self::BlockItems => BLOCK_ITEMS_MAX as u64,
            Self::EpochBlocks => 10_000,
            Self::AccountOps => 10_000_000,
            Self::AccountBytes => 4 << 30,
            Self::NewAccounts => 1_000,
            Self::ValidBlocks => 100_000,
            Self::ProposalBlocks => 100_000,
        }
    }

    /// The smallest and the largest value.
    pub const fn bounds(self) -> (u64, u64) {
        match self {
            // One transaction of the largest size always fits.
            Self::BlockBytes => (LEDGER_TX_BYTES_MAX as u64, BLOCK_BYTES_MAX as u64),
            Self::BlockItems => (1, BLOCK_ITEMS_MAX as u64),
            Self::EpochBlocks => (2, 10_000_000),
            // Validators have to be able to vote this value away again.
            Self::AccountOps => (1_000, 1 << 40),
            Self::AccountBytes => (1 << 20, 1 << 50),
            Self::NewAccounts => (1, BLOCK_ITEMS_MAX as u64),
            Self::ValidBlocks => (10, 10_000_000),
            Self::ProposalBlocks => (100, 10_000_000),
        }
    }

    const fn place(self) -> usize {
        self as usize
    }
}

impl Params {
    /// The value of a parameter.
    pub const fn get(&self, param: Param) -> u64 {
        self.0[param.place()]
    }

    /// Changes a parameter.
    ///
    /// # Errors
    /// The value is out of bounds; nothing has changed.
    pub fn set(&mut self, param: Param, value: u64) -> Result<(), ParamError> {
        check(param, value)?;
        self.0[param.place()] = value;
        Ok(())
    }

    fn check(&self) -> Result<(), &'static str> {
        let values = Param::ALL.into_iter().zip(self.0);
        let mut checked = values.map(|(param, value)| check(param, value));
        if checked.all(|checked| checked.is_ok()) {
            Ok(())
        } else {
            Err("parameter")
        }
    }
}

impl Default for Params {
    fn default() -> Self {
        Self(Param::ALL.map(Param::initial))
    }
}

pub(crate) fn check(param: Param, value: u64) -> Result<(), ParamError> {
    let (least, most) = param.bounds();
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(ParamError {
        param: param.name(),
        least,
        most,
    })
}
