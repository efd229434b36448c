//! What schedulers and registers answer, read without trust: any bytes give either a list with something in it, or a
//! sentence. Pure.

use serde_json::{Map, Value};

use super::BrokerAddress;
use crate::record::parse_broker;

/// Most brokers that are taken from one answer. Some of them are enough to find all others.
const BROKERS_MAX: usize = 200;

/// Most places that are tried of one answer: a task has two or three ports.
pub(super) const PLACES_MAX: usize = 8;

/// The brokers that a scheduler lists, in the three forms in which it may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lists {
    /// None: the answer has no such list. Empty: it has, and there is nothing good in it.
    dns: Option<Vec<String>>,
    address: Option<Vec<String>>,
    vip: Option<Vec<String>>,
    /// Entries that are no `host:port`.
    left_out: usize,
}

/// A list that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    /// Never empty; each is `host:port`.
    pub(super) brokers: Vec<String>,
    pub(super) form: BrokerAddress,
    pub(super) left_out: usize,
}

/// Why nothing was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoChoice {
    /// The scheduler is asked too early, or has lost sight of its brokers.
    NoBrokers,
    /// There are entries, and none of them is an address.
    NoAddresses,
}

impl Lists {
    /// Reads the answer to `/v1/connection` or `/v1/endpoints/...`. Members that are not what they should be count as
    /// missing, and further ones are passed over.
    ///
    /// # Errors
    /// It is something else altogether.
    pub(super) fn parse(body: &[u8]) -> Result<Lists, &'static str> {
        let answer: Map<String, Value> =
            serde_json::from_slice(body).map_err(|_| "the answer is no JSON object")?;
        if !["dns", "address", "vip"].iter().any(|name| answer.contains_key(*name)) {
            return Err("the answer has neither of dns, address and vip");
        }
        let mut left_out = 0;
        let mut list = |name: &str| {
            let texts: Vec<&Value> = match answer.get(name)? {
                Value::Array(texts) => texts.iter().collect(),
                text @ Value::String(_) => vec![text],
                _ => return None,
            };
            let mut brokers: Vec<String> = Vec::new();
            for text in texts {
                let found = text.as_str().map(entry).unwrap_or_default();
                left_out += usize::from(found.is_empty());
                for broker in found {
                    if brokers.len() < BROKERS_MAX && !brokers.contains(&broker) {
                        brokers.push(broker);
                    }
                }
            }
            Some(brokers)
        };
        Ok(Lists { dns: list("dns"), address: list("address"), vip: list("vip"), left_out })
    }

    /// The list in the form that is `wanted`, or else the first of dns, address and vip that is there. An answer whose
    /// lists are there and empty is no reason to go to the virtual address: the scheduler has lost sight of its
    /// brokers, and what was known before is better.
    pub(super) fn choose(self, wanted: BrokerAddress) -> Result<Chosen, NoChoice> {
        let Lists { dns, address, vip, left_out } = self;
        let lists = [dns, address];
        let are_empty = lists.iter().any(Option::is_some) && lists.iter().flatten().all(Vec::is_empty);
        let [dns, address] = lists;
        let mut forms = vec![(BrokerAddress::Dns, dns), (BrokerAddress::Address, address)];
        if !are_empty || wanted == BrokerAddress::Vip {
            forms.push((BrokerAddress::Vip, vip));
        }
        // Stable: the others keep their order.
        forms.sort_by_key(|(form, _)| *form != wanted);
        let filled = forms.into_iter().find_map(|(form, list)| Some((form, list.filter(|l| !l.is_empty())?)));
        match filled {
            Some((form, brokers)) => Ok(Chosen { brokers, form, left_out }),
            None if left_out > 0 => Err(NoChoice::NoAddresses),
            None => Err(NoChoice::NoBrokers),
        }
    }
}

/// The brokers of one entry: one, or as many as it has addresses, which schedulers write as Java prints a list:
/// `[10.0.0.1, fd01::1]:1025`. Nothing good in it: none.
fn entry(text: &str) -> Vec<String> {
    let Some((hosts, port)) = text.trim().rsplit_once(':') else { return Vec::new() };
    let hosts = hosts.strip_prefix('[').and_then(|hosts| hosts.strip_suffix(']')).unwrap_or(hosts);
    hosts.split(',').filter_map(|host| place(host.trim(), port)).collect()
}

/// `host:port` of the two, if they are good. An IPv6 address gets its brackets.
fn place(host: &str, port: &str) -> Option<String> {
    // Without a port it would pass as one with Kafka's.
    let host = if host.parse::<std::net::Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.to_owned() };
    if port.is_empty() || host.is_empty() {
        return None;
    }
    parse_broker(&format!("{host}:{port}")).ok()
}

/// The names of the endpoints that a scheduler has; none where the answer is no list.
pub(super) fn endpoint_names(body: &[u8]) -> Vec<String> {
    let names: Vec<Value> = serde_json::from_slice(body).unwrap_or_default();
    let good = |name: &&str| name.len() <= 64 && name.chars().all(|c| c.is_ascii_graphic());
    names.iter().filter_map(Value::as_str).filter(good).take(20).map(str::to_owned).collect()
}

/// Where the scheduler's API may be, by Marathon's `/v2/apps/...`: every port of every task, a port that is called
/// `api` first. Empty: the app has no running task.
///
/// # Errors
/// It is no app.
pub(super) fn marathon_places(body: &[u8]) -> Result<Vec<String>, &'static str> {
    let answer: Value = serde_json::from_slice(body).map_err(|_| "the answer is no JSON")?;
    let app = answer.get("app").ok_or("the answer has no app")?;
    let list =
        |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let is_api = |port: &Value| port.get("name").and_then(Value::as_str) == Some("api");
    let api = list(app, "portDefinitions").iter().position(is_api);
    let mut places = Places::default();
    let tasks = list(app, "tasks");
    for first in [true, false] {
        for task in &tasks {
            let host = task.get("host").and_then(Value::as_str).unwrap_or_default();
            for (i, port) in list(task, "ports").iter().enumerate() {
                if (Some(i) == api) == first {
                    places.add(host, port);
                }
            }
        }
    }
    Ok(places.0)
}

/// Where the scheduler's API may be, by Mesos-DNS's `/v1/services/...`. A name that it does not know is answered by a
/// record with nothing in it, so: none.
///
/// # Errors
/// It is no list of records.
pub(super) fn mesos_dns_places(body: &[u8]) -> Result<Vec<String>, &'static str> {
    let records: Vec<Value> = serde_json::from_slice(body).map_err(|_| "the answer is no list of records")?;
    let mut places = Places::default();
    for record in &records {
        if let (Some(ip), Some(port)) = (record.get("ip").and_then(Value::as_str), record.get("port")) {
            places.add(ip, port);
        }
    }
    Ok(places.0)
}

/// A few places, each once.
#[derive(Default)]
struct Places(Vec<String>);

impl Places {
    /// `port` may be a number or a text.
    fn add(&mut self, host: &str, port: &Value) {
        let port = port.as_u64().map(|port| port.to_string()).or_else(|| port.as_str().map(str::to_owned));
        let found = port.and_then(|port| place(host.trim_matches(['[', ']']), &port));
        if let Some(found) = found
            && self.0.len() < PLACES_MAX
            && !self.0.contains(&found)
        {
            self.0.push(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::WORDS;
    use super::*;
    use crate::dcos::testing::json;
    use BrokerAddress::{Address, Dns, Vip};

    /// What is chosen of `body`: form and brokers, or why nothing is.
    fn chosen(body: &str, wanted: BrokerAddress) -> String {
        match Lists::parse(body.as_bytes()).map(|lists| lists.choose(wanted)) {
            Ok(Ok(Chosen { brokers, form, left_out: 0 })) => format!("{form}: {}", brokers.join(" ")),
            Ok(Ok(Chosen { brokers, form, left_out })) => {
                format!("{form}: {} -{left_out}", brokers.join(" "))
            }
            Ok(Err(NoChoice::NoBrokers)) => "no brokers".to_owned(),
            Ok(Err(NoChoice::NoAddresses)) => "no addresses".to_owned(),
            Err(why) => why.to_owned(),
        }
    }

    #[test]
    fn answers_good_and_odd() {
        const NOT_THIS: &str = "the answer is no JSON object";
        const NEITHER: &str = "the answer has neither of dns, address and vip";
        let whole = r#"{"address":["10.0.0.1:1","10.0.0.2:2"],"dns":["b-0.k:1","b-1.k:2"],"vip":"broker.k:9092","zookeeper":"m:2181/k"}"#;
        for (body, wanted, expected) in [
            (whole, Dns, "dns: b-0.k:1 b-1.k:2"),
            (whole, Address, "address: 10.0.0.1:1 10.0.0.2:2"),
            (whole, Vip, "vip: broker.k:9092"),
            // Lists that are not there.
            (r#"{"address":["a:1"],"dns":["d:1"]}"#, Vip, "dns: d:1"),
            (r#"{"address":["a:1"],"vip":"v:1"}"#, Dns, "address: a:1"),
            (r#"{"vip":"v:1"}"#, Dns, "vip: v:1"),
            (r#"{"vip":"v:1"}"#, Address, "vip: v:1"),
            (r#"{"dns":null,"address":["a:1"]}"#, Dns, "address: a:1"),
            (r#"{"dns":{"a":1},"address":7,"vip":"v:1"}"#, Dns, "vip: v:1"),
            // One of them empty.
            (r#"{"dns":[],"address":["a:1"],"vip":"v:1"}"#, Dns, "address: a:1"),
            // All empty: ZooKeeper did not answer the scheduler.
            (r#"{"dns":[],"address":[],"vip":"v:1"}"#, Dns, "no brokers"),
            (r#"{"dns":[],"vip":"v:1"}"#, Address, "no brokers"),
            (r#"{"dns":[],"address":[],"vip":"v:1"}"#, Vip, "vip: v:1"),
            (r#"{"dns":[],"address":[]}"#, Vip, "no brokers"),
            (r#"{"vip":""}"#, Dns, "no addresses"),
            (r#"{"vip":null}"#, Dns, "no brokers"),
            // Several addresses in one entry, and IPv6 in each spelling.
            (
                r#"{"address":["[10.0.2.199, fd01:b::2]:1025"]}"#,
                Address,
                "address: 10.0.2.199:1025 [fd01:b::2]:1025",
            ),
            (r#"{"address":["[fd01::1]:7","fd01::2:7"]}"#, Address, "address: [fd01::1]:7 [fd01::2]:7"),
            (r#"{"address":["[10.0.0.1, ?]:7"]}"#, Address, "address: 10.0.0.1:7"),
            // Entries that are none.
            (
                r#"{"dns":["a:1","b","c:0","d:x",":5","","http://e:1","f g:1",3,null,"a:1"]}"#,
                Dns,
                "dns: a:1 -9",
            ),
            (r#"{"dns":["null:null"],"address":["a:"]}"#, Dns, "no addresses"),
            (r#"{"dns":["[]:1","[,]:2"]}"#, Dns, "no addresses"),
            (r#"{"dns":"a:1"}"#, Dns, "dns: a:1"),
            // Something else.
            ("", Dns, NOT_THIS),
            ("master.mesos:2181/dcos-service-kafka", Dns, NOT_THIS),
            ("<html>", Dns, NOT_THIS),
            ("[]", Dns, NOT_THIS),
            (r#"["broker","zookeeper"]"#, Dns, NOT_THIS),
            ("{}", Dns, NEITHER),
            (r#"{"message":"no"}"#, Dns, NEITHER),
        ] {
            assert_eq!(chosen(body, wanted), expected, "{wanted} of {body}");
        }
    }

    #[test]
    fn a_list_has_a_length() {
        let brokers: Vec<String> = (0..1000).map(|i| format!("b-{i}:1")).collect();
        let body = serde_json::json!({ "dns": brokers }).to_string();
        let chosen = Lists::parse(body.as_bytes()).unwrap().choose(Dns).unwrap();
        assert_eq!(chosen.brokers, brokers[..BROKERS_MAX]);
    }

    #[test]
    fn endpoints_are_names() {
        assert_eq!(endpoint_names(br#"["broker-tls","zookeeper",7,"a b"]"#), ["broker-tls", "zookeeper"]);
        for body in ["", "{}", "no", "null"] {
            assert_eq!(endpoint_names(body.as_bytes()), [""; 0]);
        }
    }

    #[test]
    fn marathon_gives_every_port_of_every_task() {
        for (body, expected) in [
            (r#"{"app":{"tasks":[{"host":"a","ports":[1,2]},{"host":"b","ports":[3]}]}}"#, Ok("a:1 a:2 b:3")),
            (
                r#"{"app":{"portDefinitions":[{"name":"health"},{"name":"api"}],"tasks":[{"host":"a","ports":[1,2]}]}}"#,
                Ok("a:2 a:1"),
            ),
            (r#"{"app":{"tasks":[]}}"#, Ok("")),
            (r#"{"app":{}}"#, Ok("")),
            (
                r#"{"app":{"tasks":[{"host":"a/b","ports":[1]},{"host":7,"ports":"x"},{"ports":[1]},null]}}"#,
                Ok(""),
            ),
            (r#"{"app":{"tasks":[{"host":"a","ports":[0,-1,65536,"9"]}]}}"#, Ok("a:9")),
            (r#"{"message":"App '/kafka' does not exist"}"#, Err("the answer has no app")),
            ("<html>", Err("the answer is no JSON")),
        ] {
            assert_eq!(
                marathon_places(body.as_bytes()).map(|p| p.join(" ")),
                expected.map(str::to_owned),
                "{body}"
            );
        }
    }

    #[test]
    fn mesos_dns_gives_addresses_and_text_ports() {
        for (body, expected) in [
            (r#"[{"service":"s","host":"h.","ip":"10.0.2.162","port":"14799"}]"#, Ok("10.0.2.162:14799")),
            (r#"[{"ip":"::1","port":"1"},{"ip":"::1","port":"1"},{"ip":"a","port":2}]"#, Ok("[::1]:1 a:2")),
            (r#"[{"service":"","host":"","ip":"","port":""}]"#, Ok("")),
            ("[]", Ok("")),
            (r#"[{"ip":"a"},{"port":"1"},7,{"ip":"a/b","port":"1"},{"ip":"a","port":"x"}]"#, Ok("")),
            ("{}", Err("the answer is no list of records")),
            ("", Err("the answer is no list of records")),
        ] {
            assert_eq!(
                mesos_dns_places(body.as_bytes()).map(|p| p.join(" ")),
                expected.map(str::to_owned),
                "{body}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_json_gives_a_list_with_something_in_it_or_a_reason(answer in json(WORDS), wanted in 0..3_usize) {
            let body = answer.to_string();
            let wanted = [Dns, Address, Vip][wanted];
            if let Ok(Ok(chosen)) = Lists::parse(body.as_bytes()).map(|lists| lists.choose(wanted)) {
                prop_assert!(!chosen.brokers.is_empty());
                for broker in &chosen.brokers {
                    prop_assert_eq!(parse_broker(broker), Ok(broker.clone()));
                }
            }
            _ = endpoint_names(body.as_bytes());
            for places in [marathon_places(body.as_bytes()), mesos_dns_places(body.as_bytes())].into_iter().flatten() {
                prop_assert!(places.len() <= PLACES_MAX);
                for place in places {
                    prop_assert_eq!(parse_broker(&place), Ok(place.clone()));
                }
            }
        }

        #[test]
        fn any_bytes_give_no_panic(body in prop::collection::vec(any::<u8>(), 0..64)) {
            _ = Lists::parse(&body).map(|lists| lists.choose(Dns));
            _ = (endpoint_names(&body), marathon_places(&body), mesos_dns_places(&body));
        }
    }
}
