//! What the system knows of a process: CPU time, memory, wake-ups.

use std::fs;
use std::mem::MaybeUninit;
use std::time::Duration;

/// The system's monotonic clock, the same for all processes.
pub(crate) fn monotonic() -> Duration {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the call writes the time, whose address it is given; a clock that every system has cannot fail.
    let time = unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, time.as_mut_ptr());
        time.assume_init()
    };
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}

/// CPU time of the whole process so far, user and system, threads that ended included; zero once it is gone.
pub(crate) fn cpu(pid: u32) -> Duration {
    let mut clock = 0;
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: both calls only write what they are given the address of; the time is read only if it was written.
    unsafe {
        if libc::clock_getcpuclockid(pid.cast_signed(), &raw mut clock) != 0
            || libc::clock_gettime(clock, time.as_mut_ptr()) != 0
        {
            return Duration::ZERO;
        }
        let time = time.assume_init();
        Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
    }
}

/// Resident memory in bytes: the highest so far, and now.
pub(crate) fn resident(pid: u32) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    (field(&status, "VmHWM:") * 1024, field(&status, "VmRSS:") * 1024)
}

/// How often its threads went to sleep so far: each time is a wake-up later.
pub(crate) fn sleeps(pid: u32) -> u64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok())
        .map(|status| field(&status, "voluntary_ctxt_switches:"))
        .sum()
}

fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// One line about the machine.
pub(crate) fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{cores} cores, {}, {} MB, Linux {}, load {}",
        model.trim_start_matches(['\t', ' ', ':']),
        field(&memory, "MemTotal:") / 1024,
        kernel.trim(),
        load.split_whitespace().next().unwrap_or("?"),
    )
}
