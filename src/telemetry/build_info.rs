//! Which build this is.

/// Version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Commit it was built from, twelve digits, and `-dirty` behind them where the sources were changed since; `unknown`
/// where the build could not tell.
pub const REVISION: &str = env!("BUILT_FROM_REVISION");

/// Version of the compiler, such as `1.95.0`.
pub const RUSTC: &str = env!("BUILT_WITH_RUSTC");
