//! The integration tests, one binary: the real programs between real senders and a real Apache Kafka.
//!
//! `ci/test` runs them. Run alone (`cargo test --test it`) they need what it installs: a JDK of Java 17, Maven, Go,
//! Python, openssl, Prometheus, Chromium and iproute2. Every test uses topics of its own, so they share one broker and run at once; a
//! test that stops a broker or shapes it has its own.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

mod agent;
mod architecture;
mod cli;
mod clients;
mod compat;
mod dialled;
mod discovery;
mod effects;
mod harness;
mod http;
mod input;
mod kafka_errors;
mod limits;
mod live;
mod login;
mod migrating;
mod moving;
mod openapi;
mod outage;
mod package;
mod page;
mod partners;
mod rehearsal;
mod renewal;
mod sample_producer;
mod security;
mod sessions;
mod steering;
mod streams;
mod topics;
