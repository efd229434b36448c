//! Exit codes of the process.

/// All went well.
pub const SUCCESS: u8 = 0;
/// It could not start, or not do all that it was asked: a port or a file that is needed cannot be had, an answer cannot
/// be written, the demonstration's counts disagree.
pub const FAILURE: u8 = 1;
/// An unknown flag or subcommand, or a flag without its value.
pub const USAGE: u8 = 2;
/// A part of the collector ended before its time (`EX_SOFTWARE` of `sysexits.h`).
pub const TASK_DIED: u8 = 70;
/// A bad value, from whatever source (`EX_CONFIG` of `sysexits.h`).
pub const BAD_CONFIGURATION: u8 = 78;
