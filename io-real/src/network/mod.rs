//! Connections between nodes.
//!
//! | network | feature | for |
//! |---|---|---|
//! | [`InProcess`] | always | tests: channels inside one process |

mod in_process;

pub use in_process::{InProcess, InProcessHub};
