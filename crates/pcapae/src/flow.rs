//! Five-tuples and flow keys: which packets belong to one conversation.
