//! The log-in at the cluster, and the rules between its keys.

use std::path::{Path, PathBuf};

use super::stages::Builder;
use crate::dcos::{Account, Authorities, Config, HOST_CA, SANDBOX_CA, Source, TokenHost};
use crate::record::Secret;

const ACCOUNT: &str = "dcos-service-account";
const ACCOUNT_FILE: &str = "iam-config-path";
const HOSTS: &str = "dcos-auth-hosts";
const CA: &str = "dcos-ca";

/// Makes the settings. `sandbox` is where the task that we are has its own files.
pub(super) fn build(builder: &mut Builder<'_>, sandbox: Option<&Path>) -> Config {
    Config {
        authorities: builder.authorities(sandbox),
        account: builder.account(),
        agent_token: builder.settings.owned("auth-credential").map(Secret::new),
        hosts: builder.hosts(),
    }
}

impl Builder<'_> {
    /// What the key names must be good; what lies in a usual place and is not is said and done without.
    fn authorities(&mut self, sandbox: Option<&Path>) -> Authorities {
        if let Some(path) = self.settings.path(CA) {
            self.note_file(CA, &path);
            return Authorities::read(&path).unwrap_or_else(|why| {
                self.fault(CA, &[], format!("expected a PEM file of certificates, but {why}"));
                Authorities::default()
            });
        }
        let usual = sandbox.map(|sandbox| sandbox.join(SANDBOX_CA)).into_iter().chain([HOST_CA.into()]);
        let usual: Vec<PathBuf> = usual.collect();
        for path in &usual {
            // One that is not there may come.
            self.note_file(CA, path);
        }
        let Some(path) = usual.into_iter().find(|path| path.exists()) else {
            return Authorities::default();
        };
        Authorities::read(&path).unwrap_or_else(|why| {
            let line = format!("the certificates in {} are not used, since {why}; see {CA}", path.display());
            self.warnings.push(line);
            Authorities::default()
        })
    }

    fn account(&mut self) -> Option<(Source, Account)> {
        let direct = self.settings.text(ACCOUNT).map(Source::of);
        let file = self.settings.path(ACCOUNT_FILE).map(Source::File);
        let (name, source) = match (direct, file) {
            (Some(_), Some(_)) => {
                let expected = format!("only one of {ACCOUNT} and {ACCOUNT_FILE} may be set");
                self.fault(ACCOUNT_FILE, &[ACCOUNT], expected);
                return None;
            }
            (Some(source), None) => (ACCOUNT, source),
            (None, Some(source)) => (ACCOUNT_FILE, source),
            (None, None) => return None,
        };
        if let Source::File(path) = &source {
            self.note_file(name, path);
        }
        match source.read() {
            Ok(account) => {
                if account.is_plain() {
                    let endpoint = account.endpoint();
                    let line = format!(
                        "the service account logs in at {endpoint}, where anybody on the way can take"
                    );
                    self.warnings.push(format!("{line} its tokens; its login_endpoint should be https"));
                }
                Some((source, account))
            }
            Err(why) => {
                // What names no file may be a secret that lost its form.
                let place = match &source {
                    Source::File(path) if path.exists() => format!("{}: ", path.display()),
                    _ => String::new(),
                };
                self.fault(name, &[], format!("expected a service account in JSON, but {place}{why}"));
                None
            }
        }
    }

    fn hosts(&mut self) -> Vec<TokenHost> {
        let Some(text) = self.settings.text(HOSTS) else { return Vec::new() };
        let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        let bad: Vec<&str> = parts.iter().copied().filter(|part| TokenHost::parse(part).is_none()).collect();
        if !bad.is_empty() {
            let forms = "host, *.domain, http://host or http://*.domain, without port and path";
            self.fault(HOSTS, &[], format!("expected {forms}, but there is {bad:?}"));
        } else if !self.settings.is_set(ACCOUNT) && !self.settings.is_set(ACCOUNT_FILE) {
            let expected = format!("has no effect without {ACCOUNT} or {ACCOUNT_FILE}");
            self.fault(HOSTS, &[ACCOUNT, ACCOUNT_FILE], expected);
        }
        parts.into_iter().filter_map(TokenHost::parse).collect()
    }
}
