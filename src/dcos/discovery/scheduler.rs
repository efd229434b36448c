//! One scheduler is asked for its brokers, whatever its age.
//!
//! Schedulers since 2017 have `/v1/endpoints`, those before have `/v1/connection` and no TLS. Whoever answers HTTP is
//! asked for both, since what stands in front of a scheduler does not always answer 404 for what is not there.

use std::fmt::Write;

use super::answers::{Chosen, Lists, NoChoice, endpoint_names};
use super::reasons::{Cause, Miss};
use super::{BrokerAddress, Config};
use crate::dcos::Client;
use crate::dcos::client::{Error, Problem};

/// Brokers, never empty, and who said what.
pub(super) type Told = (Vec<String>, String);

/// Asks the scheduler at `base` for its brokers.
pub(super) async fn ask(client: &Client, base: &str, config: &Config) -> Result<Told, Miss> {
    let endpoint = |tls| if tls { "broker-tls" } else { "broker" };
    let new = format!("{base}/v1/endpoints/{}", endpoint(config.tls));
    let refused = match client.get(&new).await {
        Ok(body) => match chosen(&new, &body, config.address) {
            Err(miss) if miss.cause == Cause::Silent => miss,
            known => return known,
        },
        Err(error) if error.is_not_found() => Miss::unknown(text(&error)),
        Err(error) if error.is_denial() => Miss::new(Cause::Denied, text(&error)),
        Err(error) if answered(&error) => Miss::new(Cause::Silent, text(&error)),
        // Nobody is there, or they are slow: a second question would fare no better.
        Err(error) => return Err(Miss::failed(text(&error))),
    };
    let old = format!("{base}/v1/connection");
    if let Ok(body) = client.get(&old).await
        && let Some(known) = decided(chosen(&old, &body, config.address))
    {
        return known;
    }
    let all = format!("{base}/v1/endpoints");
    let names = client.get(&all).await.map(|body| endpoint_names(&body)).unwrap_or_default();
    if names.iter().any(|name| name == endpoint(!config.tls))
        && !names.iter().any(|name| name == endpoint(config.tls))
    {
        let text = format!("{all} lists {} and no {}", names.join(", "), endpoint(config.tls));
        return Err(Miss::new(Cause::OtherSecurity, text));
    }
    Err(refused)
}

/// What a body decides, if it is a scheduler's.
fn decided(chosen: Result<Told, Miss>) -> Option<Result<Told, Miss>> {
    match chosen {
        Err(miss) if miss.cause == Cause::Silent => None,
        decided => Some(decided),
    }
}

fn chosen(url: &str, body: &[u8], wanted: BrokerAddress) -> Result<Told, Miss> {
    let lists = Lists::parse(body).map_err(|why| Miss::new(Cause::Silent, format!("GET {url}: {why}")))?;
    match lists.choose(wanted) {
        Ok(Chosen { brokers, form, left_out }) => {
            let mut said = format!("{form} of {url}");
            if left_out > 0 {
                // Writing to a text cannot fail.
                _ = write!(said, ", without {left_out} entries that are no host:port");
            }
            Ok((brokers, said))
        }
        Err(NoChoice::NoBrokers) => Err(Miss::new(Cause::Empty, format!("GET {url}: it lists no brokers"))),
        Err(NoChoice::NoAddresses) => {
            Err(Miss::new(Cause::Empty, format!("GET {url}: none of what it lists is host:port")))
        }
    }
}

/// Whether somebody who speaks HTTP is there.
fn answered(error: &Error) -> bool {
    matches!(error.problem, Problem::Status { .. } | Problem::TooLarge(_))
}

/// The error in one line. Its source is left out: what there is to do stands in its own text.
pub(super) fn text(error: &Error) -> String {
    error.to_string()
}
