//! From a writer's schema text to a plan of reading its records as ours
//! (Avro specification 1.12, "Schema Resolution").
//!
//! The text is a stranger's. It is cut down to what shapes bytes and held against caps before apache-avro parses it
//! (`parse`); what comes out is compiled to a program of bounded size (`skips`, `fields`).
//!
//! Resolved is by field name. Names of records, namespaces, docs, orders, defaults and logical types of the writer mean
//! nothing. Ours has a default for `tags`, no tags, and knows `time_ms` as `time` too.

mod cache;
mod fields;
mod parse;
mod skips;

use std::sync::Arc;

use thiserror::Error;

pub use cache::PlanCache;

use super::project::{Program, Projection};

/// Longest schema text that is read, in bytes. Ours has 549.
pub const SCHEMA_BYTES_MAX: usize = 64 << 10;

/// Types within types of a schema text. Ours has 5 levels.
pub const SCHEMA_DEPTH_MAX: usize = 32;

/// Types, fields and enum symbols of a schema text. Ours has 18. It also bounds the compiled program, and with
/// [`SCHEMA_DEPTH_MAX`] the memory that parsing takes for a moment: about 10 MiB at most, since apache-avro keeps a copy of
/// each named type within each type around it.
pub const SCHEMA_NODES_MAX: usize = 1024;

/// Longest piece of a stranger's text that a fault quotes, in characters.
const QUOTE_CHARS_MAX: usize = 80;

/// How the records of a stream are read.
#[derive(Clone, Debug)]
pub enum Plan {
    /// They have the bytes of ours.
    Native,
    /// Each has to be written anew.
    Project(Arc<Projection>),
}

/// Why a stream's schema cannot be read as ours.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SchemaFault {
    /// Longer than [`SCHEMA_BYTES_MAX`], or more parts than [`SCHEMA_NODES_MAX`].
    #[error("schema larger than {SCHEMA_BYTES_MAX} bytes or {SCHEMA_NODES_MAX} types and fields")]
    TooLarge,
    /// Deeper than [`SCHEMA_DEPTH_MAX`].
    #[error("schema nested deeper than {SCHEMA_DEPTH_MAX} types")]
    TooDeep,
    /// No text.
    #[error("schema is not UTF-8")]
    NotUtf8,
    /// No JSON; with the parser's words.
    #[error("schema is not JSON: {0}")]
    NotJson(String),
    /// JSON, but no Avro schema; with the parser's words.
    #[error("schema is not Avro: {0}")]
    NotAvro(String),
    /// A record that holds itself, without an array, map or union between: no value can have an end.
    #[error("type {0:?} holds itself without end")]
    Endless(String),
    /// Something else than a record, or a union without one.
    #[error("schema is {0}, not a record")]
    NotARecord(String),
    /// A field of ours that has no default.
    #[error("field \"{0}\" is missing")]
    MissingField(&'static str),
    /// A field that Avro's rules do not turn into ours.
    #[error("field \"{field}\" is {found}, which cannot be read as {wanted}")]
    FieldType {
        /// Our field, with the fields around it.
        field: &'static str,
        /// The writer's type.
        found: String,
        /// Our type.
        wanted: &'static str,
    },
}

impl SchemaFault {
    /// Whether it says that a type is not ours, so that another branch of a union may still be.
    fn is_mismatch(&self) -> bool {
        matches!(
            self,
            SchemaFault::NotARecord(_) | SchemaFault::MissingField(_) | SchemaFault::FieldType { .. }
        )
    }
}

/// Finds out how to read the records of a writer with this schema.
///
/// # Errors
/// [`SchemaFault`]: none of them can be read.
pub fn plan(schema_text: &[u8]) -> Result<Plan, SchemaFault> {
    let schema = parse::parse(schema_text)?;
    let mut compiler = skips::Compiler::new();
    // All types are compiled as what is passed over first: they are then known when fields refer to them.
    compiler.skip(&schema)?;
    compiler.refuse_endless()?;
    let top = compiler.top(&schema)?;
    let (skips, n_nodes) = compiler.finish();
    let program = Program { skips, top };
    if program.is_native() {
        return Ok(Plan::Native);
    }
    Ok(Plan::Project(Arc::new(Projection::new(program, n_nodes))))
}

/// A stranger's text for a message: of bounded length, with nothing in it that a terminal would obey.
fn quote(text: &str) -> String {
    let mut quoted: String = text.chars().take(QUOTE_CHARS_MAX).flat_map(char::escape_default).collect();
    if text.chars().nth(QUOTE_CHARS_MAX).is_some() {
        quoted.push_str("...");
    }
    quoted
}

#[cfg(test)]
mod tests;
