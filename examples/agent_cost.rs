//! What a poll of an agent with very many containers costs the collector, in CPU and memory. Prints, and judges nothing.
//!
//! ```sh
//! cargo run --release --example agent_cost -- 10000
//! ```
//!
//! A stand-in agent runs in a process of its own; the collector is polled by nobody and has no Kafka. The state has the
//! size that a real agent's has: 2 KB for each container.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How often the agent is polled while it is measured.
const POLLS: u32 = 5;

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", containers] => serve(number(containers)),
        [containers] => measure(number(containers)),
        _ => measure(10_000),
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number of containers")
}

/// Answers every request with what was made before.
fn serve(containers: usize) -> std::io::Result<()> {
    let (state, statistics) = (state(containers), statistics(containers));
    let system = r#"{"slave/cpus_total":4.0}"#.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let mut stream = stream?;
        let mut request = String::new();
        let mut lines = BufReader::new(stream.try_clone()?);
        lines.read_line(&mut request)?;
        let mut line = String::new();
        while lines.read_line(&mut line)? > 2 {
            line.clear();
        }
        let body = match request.split(' ').nth(1) {
            Some("/state") => &state,
            Some("/containers") => &statistics,
            Some("/metrics/snapshot") => &system,
            _ => &String::new(),
        };
        let status = if body.is_empty() { "501 Not Implemented" } else { "200 OK" };
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        // Whoever asked may have gone.
        _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    }
    Ok(())
}

fn state(containers: usize) -> String {
    let mut text =
        r#"{"id":"agent-S0","flags":{},"frameworks":[{"id":"f-0001","name":"marathon","executors":["#
            .to_owned();
    for n in 0..containers {
        let comma = if n > 0 { "," } else { "" };
        let (task, directory) =
            (format!("app{}.{n:08x}-6f76-11e6-92e2-ee20dd7354ad", n % 500), "/slaves".repeat(40));
        let label = format!(r#"[{{"key":"MARATHON_APP_ID","value":"/team/app{}"}}]"#, n % 500);
        _ = write!(
            text,
            r#"{comma}{{"id":"{task}","name":"Command Executor (Task: {task})","source":"{task}",
            "container":"{n:08x}-38c3-4877-9383-7331bb81da75","directory":"{directory}","labels":{label},
            "resources":{{"disk":0.0,"mem":160.0,"gpus":0.0,"cpus":1.1,"ports":"[8124-8124]"}},
            "tasks":[{{"id":"{task}","name":"app","framework_id":"f-0001","executor_id":"","slave_id":"agent-S0",
            "state":"TASK_RUNNING","resources":{{"disk":0.0,"mem":128.0,"cpus":1.0}},"labels":{label},
            "statuses":[{{"state":"TASK_RUNNING","timestamp":1472646722.83822,"container_status":{{"network_infos":
            [{{"ip_addresses":[{{"ip_address":"10.0.3.79"}}]}}]}}}}],"discovery":{{"visibility":"FRAMEWORK"}}}}],
            "queued_tasks":[],"completed_tasks":[]}}"#
        );
    }
    text + r#"],"completed_executors":[]}],"completed_frameworks":[]}"#
}

fn statistics(containers: usize) -> String {
    let numbers: Vec<String> =
        (0..20).map(|n| format!(r#""mem_of_some_kind_{n}_bytes":{}"#, n * 1_048_576)).collect();
    let numbers = numbers.join(",");
    let one = |n: usize| {
        format!(
            r#"{{"container_id":"{n:08x}-38c3-4877-9383-7331bb81da75","executor_id":"app.{n:08x}","executor_name":"",
            "framework_id":"f-0001","source":"","statistics":{{"cpus_limit":1.1,{numbers},"timestamp":1472647303.0474}}}}"#
        )
    };
    format!("[{}]", (0..containers).map(one).collect::<Vec<_>>().join(","))
}

/// CPU seconds and resident bytes at most of a process.
fn cost(pid: u32) -> std::io::Result<(f64, u64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
    let ticks = |field: usize| fields[field].parse::<u32>().map_or(0.0, f64::from);
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().split(' ').next()?.parse().ok());
    // Clock ticks are a hundredth of a second on every Linux.
    Ok(((ticks(11) + ticks(12)) / 100.0, peak.unwrap_or(0) * 1024))
}

fn measure(containers: usize) -> std::io::Result<()> {
    let (idle_cpu, idle_bytes) = run(50)?;
    let (cpu, bytes) = run(containers)?;
    let polls = f64::from(POLLS);
    println!("containers  CPU seconds a poll  MiB at most");
    for (containers, cpu, bytes) in [(50, idle_cpu, idle_bytes), (containers, cpu, bytes)] {
        println!(
            "{containers:>10}  {:>18.3}  {:>11.1}",
            cpu / polls,
            f64::from((bytes >> 10) as u32) / 1024.0
        );
    }
    Ok(())
}

/// Runs a collector that polls so many containers.
fn run(containers: usize) -> std::io::Result<(f64, u64)> {
    let mut agent = Command::new(std::env::current_exe()?)
        .args(["serve", &containers.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(agent.stdout.take().expect("piped")).read_line(&mut line)?;
    let address: SocketAddr = line.trim().parse().expect("the stand-in says where it listens");
    let examples = std::env::current_exe()?;
    let program = examples.with_file_name("..").join("metrics-collector");
    let mut collector = Command::new(program)
        .env_clear()
        .args(["--kafka=false", "--listen-endpoint=127.0.0.1:0", "--http-endpoint=127.0.0.1:0"])
        .args(["--agent-ip=127.0.0.1", "--agent-poll-period=5", "--log-level=warn"])
        .arg(format!("--agent-port={}", address.port()))
        .stdout(Stdio::null())
        .spawn()?;
    let period = Duration::from_secs(5);
    // Up to the middle between two polls.
    std::thread::sleep(period / 2);
    let (begun, _) = cost(collector.id())?;
    std::thread::sleep(period * POLLS);
    let (ended, bytes) = cost(collector.id())?;
    collector.kill()?;
    collector.wait()?;
    agent.kill()?;
    agent.wait()?;
    Ok((ended - begun, bytes))
}
