//! Where one of the cluster's APIs is: an `http` or `https` address that paths are put behind.

use std::fmt;

use reqwest::Url;

/// `http://host:port`, maybe with a path, without a login, a question or a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn parse(text: &str) -> Result<BaseUrl, &'static str> {
        let url = Url::parse(text.trim()).map_err(|_| "it is no address")?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("it has another protocol");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it has a user name or password in it");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("it has a ? or # in it");
        }
        Ok(BaseUrl(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart_and_put_together() {
        for (text, expected) in [
            ("http://marathon.mesos:8080", Ok("http://marathon.mesos:8080")),
            (" https://leader.mesos/ ", Ok("https://leader.mesos")),
            ("https://leader.mesos/mesos_dns/", Ok("https://leader.mesos/mesos_dns")),
            ("http://[::1]:80", Ok("http://[::1]")),
            ("leader.mesos", Err("no address")),
            ("leader.mesos:8080", Err("another protocol")),
            ("ftp://a", Err("another protocol")),
            ("http://", Err("no address")),
            ("http://me:secret@a", Err("user name or password")),
            ("http://a/?b", Err("a ? or #")),
        ] {
            let got = BaseUrl::parse(text);
            match expected {
                Ok(url) => assert_eq!(got.as_ref().map(BaseUrl::as_str), Ok(url), "{text}"),
                Err(why) => assert!(got.as_ref().is_err_and(|got| got.contains(why)), "{text}: {got:?}"),
            }
        }
    }
}
