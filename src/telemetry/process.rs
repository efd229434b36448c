//! What the process is and what it uses: build, memory, CPU, file descriptors.

use std::fs;

use prometheus::core::{Collector, Desc};
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;
use prometheus::{Counter, IntGaugeVec, Opts, Registry};

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
    let cpu = Counter::new(CPU_NAME, "Total user and system CPU time spent in seconds.")?;
    registry.register(Box::new(Process { usual: ProcessCollector::for_self(), cpu }))
}

const CPU_NAME: &str = "process_cpu_seconds_total";

/// Clock ticks in a second as the kernel shows them to programs (`USER_HZ`), whatever it counts in itself.
const TICKS_PER_SECOND: f64 = 100.0;

/// The library's collector, but for the CPU time: the library cuts it to whole seconds, and a collector that takes a
/// thousandth of a core would show nothing for a quarter of an hour.
struct Process {
    usual: ProcessCollector,
    cpu: Counter,
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.usual.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.usual.collect();
        families.retain(|family| family.name() != CPU_NAME);
        if let Some(seconds) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(parse_cpu) {
            // Two pages may be made at once; the later one must not take back what the other has added.
            self.cpu.inc_by((seconds - self.cpu.get()).max(0.0));
            families.extend(self.cpu.collect());
        }
        families
    }
}

/// User and system time in seconds: fields 14 and 15 of `proc_pid_stat(5)`. The second field is the program's name in
/// parentheses and may have anything in it, so that counting starts behind the last of them.
fn parse_cpu(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(system)) / TICKS_PER_SECOND)
}

/// Resident memory of this process in bytes (`VmRSS` in `/proc/self/status`, `proc_pid_status(5)`). None where the
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
    fn cpu_time_is_read_to_the_tick() {
        let stat = |name: &str, user: &str| {
            format!("7 ({name}) S 1 7 7 0 -1 4194304 100 0 0 0 {user} 5 0 0 20 0 4 0 9000 1 2 3\n")
        };
        let cases = [
            (stat("x", "123"), Some(1.28)),
            (stat("a ) b (c", "123"), Some(1.28)),
            (stat("x", "many"), None),
            ("7 (x) S 1".to_owned(), None),
            (String::new(), None),
        ];
        for (stat, expected) in cases {
            assert_eq!(parse_cpu(&stat), expected, "{stat:?}");
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
        assert!(
            page.contains("metrics_collector_build_info{revision=\"abc\",version=\"1.2.3\"} 1\n"),
            "{page}"
        );
        for name in
            ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds"]
        {
            assert_eq!(page.matches(&format!("\n{name} ")).count(), 1, "{name} in {page}");
        }
        assert!(register(&registry, "1.2.3", "abc").is_err());
    }
}
