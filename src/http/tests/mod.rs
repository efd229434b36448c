//! Tests of the whole server: `router` calls it without a socket, `socket` over real ones, `times` against a paused
//! clock.

mod fixture;
mod router;
mod socket;
mod times;
