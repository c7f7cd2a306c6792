//! Each rule of the log by itself.
