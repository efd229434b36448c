//! The Kafka output.

mod settings;

pub use settings::{
    BatchLimits, Compression, Config, Key, MESSAGE_BYTES_MAX, Naming, NewTopic, Sasl, SaslMechanism,
    Security, Tls,
};
