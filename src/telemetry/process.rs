//! What the process is and what it uses: build, memory, CPU, file descriptors.

use std::fs;

use prometheus::process_collector::ProcessCollector;
use prometheus::{IntGaugeVec, Opts, Registry};

/// Adds `process_*`, under the names that every Prometheus client uses, and `metrics_collector_build_info`, which is
/// 1 and says in its labels which build this is.
///
/// # Errors
/// The registry has series of these names already.
pub fn register(registry: &Registry, version: &str, revision: &str) -> prometheus::Result<()> {
    let build = IntGaugeVec::new(
        Opts::new("metrics_collector_build_info", "1; the labels say which build this is."),
        &["version", "revision"],
    )?;
    build.with_label_values(&[version, revision]).set(1);
    registry.register(Box::new(build))?;
    registry.register(Box::new(ProcessCollector::for_self()))
}

/// Resident memory of this process in bytes (`VmRSS` in `/proc/self/status`, proc_pid_status(5)). None where the
/// kernel does not say.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    parse_resident(&fs::read_to_string("/proc/self/status").ok()?)
}

/// The kernel counts in units of 1024 bytes and calls them kB.
fn parse_resident(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = value.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::super::page;
    use super::*;

    #[test]
    fn the_line_of_the_kernel_is_read() {
        let cases = [
            ("Name:\tx\nVmHWM:\t  99 kB\nVmRSS:\t    1234 kB\nRssAnon:\t 1 kB\n", Some(1234 * 1024)),
            ("VmRSS:\t0 kB", Some(0)),
            ("Name:\tzombie\n", None),
            ("VmRSS:\t12 MB\n", None),
            ("VmRSS:\t-1 kB\n", None),
            ("VmRSS:\t18446744073709551615 kB\n", None),
            ("", None),
        ];
        for (status, expected) in cases {
            assert_eq!(parse_resident(status), expected, "{status:?}");
        }
    }

    #[test]
    fn a_live_process_is_resident() {
        let bytes = resident_bytes().unwrap();
        assert!((100 * 1024..1 << 40).contains(&bytes), "{bytes}");
    }

    #[test]
    fn build_and_process_are_on_the_page() {
        let registry = Registry::new();
        register(&registry, "1.2.3", "abc").unwrap();
        let page = page::encode(&registry);
        assert!(page.contains("metrics_collector_build_info{revision=\"abc\",version=\"1.2.3\"} 1\n"), "{page}");
        for name in ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds"] {
            assert!(page.contains(&format!("\n{name} ")), "{name} in {page}");
        }
        assert!(register(&registry, "1.2.3", "abc").is_err());
    }
}
