//! HELP.
