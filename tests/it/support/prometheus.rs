//! A real Prometheus.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::{eventually, http, once};

/// Debian's Prometheus, which scrapes each second.
pub(crate) struct Prometheus {
    process: Child,
    log: PathBuf,
    address: SocketAddr,
}

impl Prometheus {
    /// Starts one at a free port of this address, with all that it has in `folder`. `jobs` is the list below
    /// `scrape_configs`.
    pub(crate) fn start(folder: &Path, at: IpAddr, jobs: &str) -> Prometheus {
        let file = folder.join("prometheus.yml");
        let head = "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n";
        std::fs::write(&file, format!("{head}{jobs}")).unwrap();
        let log = folder.join("prometheus.log");
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()))
            .arg(format!("--web.listen-address={}", SocketAddr::new(at, 0)))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .expect("prometheus is needed for this test; ci/test installs it or says how");
        // Ended by its own `Drop` from here on.
        let mut prometheus = Prometheus { process, log, address: SocketAddr::new(at, 0) };
        prometheus.address = eventually("Prometheus says where it listens", || {
            let said = prometheus.said();
            let at = said.split("msg=\"Listening on\" address=").nth(1).and_then(|rest| rest.lines().next());
            at.and_then(|at| at.trim().parse().ok()).ok_or(said)
        });
        eventually("Prometheus is ready", || {
            let ready = http::try_get(prometheus.address, "/-/ready")?;
            once(ready.status == 200, || format!("{ready:?}"))
        });
        prometheus
    }

    /// The series of a query, each with its labels (`metric`) and its `value`.
    pub(crate) fn query(&self, query: &str) -> Vec<Value> {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("query", query).finish();
        let answer = http::get(self.address, &format!("/api/v1/query?{query}"));
        let series = &answer.json()["data"]["result"];
        series.as_array().unwrap_or_else(|| panic!("{answer:?}; {}", self.said())).clone()
    }

    /// What it has logged.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}
