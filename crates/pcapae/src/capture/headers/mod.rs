//! The conversation inside a packet: only what flows and alerts need.
