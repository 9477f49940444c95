//! Files that appear whole or not at all: written beside their final place and renamed when done.
