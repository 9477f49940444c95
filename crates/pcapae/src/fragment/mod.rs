//! Packets to fragments: fixed-size pieces of bytes, each byte with its provenance.
