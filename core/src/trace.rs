//! The record and replay format.
