//! Tests of the whole server: `router` and `config` call it without a socket, `socket` over real ones, `times` against a
//! paused clock. `walk` tries every refusal at every
//! route, and `described` holds what the router answers against the document.

mod config;
mod described;
mod fixture;
mod router;
mod socket;
mod times;
mod walk;
