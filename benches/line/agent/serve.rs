//! A stand-in for the Mesos agent: it answers with what was made before, so that it costs next to nothing itself. Its
//! `/state` has the size of a real one's, some two kilobytes for each container; its first containers are those of the
//! senders' records.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpListener;

use serde_json::json;

use crate::data;

/// Applications of which there are several containers each.
const APPLICATIONS: usize = 500;

/// Serves until it is killed; the first line says where.
pub(crate) fn serve(containers: usize, with_statistics: bool) -> io::Result<()> {
    let ids: Vec<[String; 3]> = (0..containers).map(ids).collect();
    let state = state(&ids);
    let statistics = if with_statistics { statistics(&ids) } else { "[]".to_owned() };
    let system = if with_statistics { r#"{"slave/cpus_total":4.0}"# } else { "{}" };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", json!({ "port": listener.local_addr()?.port() }));
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
            Some("/metrics/snapshot") => system,
            _ => "",
        };
        let status = if body.is_empty() { "501 Not Implemented" } else { "200 OK" };
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        // Whoever asked may have gone.
        _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    }
    Ok(())
}

/// Framework, executor and container.
fn ids(n: usize) -> [String; 3] {
    if n < data::CONTAINERS {
        return data::ids(n);
    }
    let executor = format!("team/app{}.{n:08x}-6f76-11e6-92e2-ee20dd7354ad", n % APPLICATIONS);
    [
        "8b4e6d80-0271-4be0-9f08-0aeff7f0d751-0001".into(),
        executor,
        format!("{n:08x}-38c3-4877-9383-7331bb81da75"),
    ]
}

fn state(ids: &[[String; 3]]) -> String {
    let mut text = r#"{"id":"bench-agent","flags":{},"frameworks":["#.to_owned();
    for (place, of_framework) in ids.chunk_by(|a, b| a[0] == b[0]).enumerate() {
        let comma = if place > 0 { "," } else { "" };
        _ = write!(text, r#"{comma}{{"id":"{}","name":"bench-framework","executors":["#, of_framework[0][0]);
        for (place, ids) in of_framework.iter().enumerate() {
            text.push_str(if place > 0 { "," } else { "" });
            executor(ids, &mut text);
        }
        text.push_str("]}");
    }
    text + r#"],"completed_frameworks":[]}"#
}

fn executor([framework, executor, container]: &[String; 3], text: &mut String) {
    // What the senders' records get is what they get without an agent, to the byte.
    let application = executor.split_once('.').map_or("bench-application", |(application, _)| application);
    let directory = "/slaves".repeat(40);
    let label = format!(r#"[{{"key":"MARATHON_APP_ID","value":"/{application}"}}]"#);
    _ = write!(
        text,
        r#"{{"id":"{executor}","name":"Command Executor (Task: {executor})","source":"{executor}",
        "container":"{container}","directory":"{directory}","labels":{label},
        "resources":{{"disk":0.0,"mem":160.0,"gpus":0.0,"cpus":1.1,"ports":"[8124-8124]"}},
        "tasks":[{{"id":"{executor}","name":"app","framework_id":"{framework}","executor_id":"","slave_id":"bench-agent",
        "state":"TASK_RUNNING","resources":{{"disk":0.0,"mem":128.0,"cpus":1.0}},"labels":{label},
        "statuses":[{{"state":"TASK_RUNNING","timestamp":1472646722.83822,"container_status":{{"network_infos":
        [{{"ip_addresses":[{{"ip_address":"10.0.3.79"}}]}}]}}}}],"discovery":{{"visibility":"FRAMEWORK"}}}}],
        "queued_tasks":[],"completed_tasks":[]}}"#
    );
}

fn statistics(ids: &[[String; 3]]) -> String {
    let numbers: Vec<String> =
        (0..20).map(|n| format!(r#""mem_of_some_kind_{n}_bytes":{}"#, n * 1_048_576)).collect();
    let numbers = numbers.join(",");
    let one = |[framework, executor, container]: &[String; 3]| {
        format!(
            r#"{{"container_id":"{container}","executor_id":"{executor}","executor_name":"","framework_id":"{framework}",
            "source":"","statistics":{{"cpus_limit":1.1,{numbers},"timestamp":1472647303.0474}}}}"#
        )
    };
    format!("[{}]", ids.iter().map(one).collect::<Vec<_>>().join(","))
}
