//! The HTTP library's client, as the one HTTP client uses it.

use std::sync::Mutex;

use reqwest::Certificate;
use reqwest::redirect::Policy;
use tracing::error;

use super::authority::Authority;
use super::client::{Limits, NoTls, with_causes};

/// Made for the certificates of some time, and made anew where there are others.
#[derive(Debug)]
pub(super) struct Library(Mutex<Made>);

#[derive(Debug)]
struct Made {
    http: reqwest::Client,
    /// Of the authority's certificates.
    edition: u64,
}

impl Library {
    /// One that trusts these authorities beside the system's.
    pub(super) fn fixed(limits: &Limits, certificates: &[Certificate]) -> Result<Library, NoTls> {
        let http = make(limits, certificates)?;
        Ok(Library(Mutex::new(Made { http, edition: 0 })))
    }

    /// One that trusts those of `authority`, as they are at the time.
    pub(super) fn of(limits: &Limits, authority: &Authority) -> Result<Library, NoTls> {
        let (certificates, edition) = authority.certificates();
        let http = make(limits, &certificates)?;
        Ok(Library(Mutex::new(Made { http, edition })))
    }

    /// The client as it is to be now.
    pub(super) fn http(&self, limits: &Limits, authority: Option<&Authority>) -> reqwest::Client {
        let mut made = self.0.lock().expect("no code panics under this lock");
        if let Some(authority) = authority.filter(|authority| authority.edition() != made.edition) {
            let (certificates, edition) = authority.certificates();
            match make(limits, &certificates) {
                Ok(http) => *made = Made { http, edition },
                Err(error) => error!("{}; the certificates of before stay in use", with_causes(&error)),
            }
        }
        made.http.clone()
    }
}

/// The times are those of most requests; some are given others.
fn make(limits: &Limits, certificates: &[Certificate]) -> Result<reqwest::Client, NoTls> {
    reqwest::Client::builder()
        .user_agent(concat!("metrics-collector/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(limits.connect)
        .timeout(limits.total)
        .redirect(Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .tls_certs_merge(certificates.iter().cloned())
        .build()
        .map_err(NoTls)
}
