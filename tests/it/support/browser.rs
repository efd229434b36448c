//! A real browser without a screen: Chromium, driven through its debugging pipe.
//!
//! Messages are JSON with a NUL behind each, on two descriptors that the browser finds open. Beyond loopback it reaches
//! nobody.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{eventually, once};

/// How long one answer may take: long, because it is met only by what never comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page. It ends with this value.
pub(crate) struct Browser {
    child: Child,
    profile: TempDir,
    to: ChildStdin,
    from: Receiver<Value>,
    asked: u64,
    session: String,
    /// What it told without being asked.
    events: Vec<Value>,
}

impl Browser {
    /// Starts one whose page is empty.
    pub(crate) fn start() -> Browser {
        let profile = tempfile::tempdir().expect("a folder can be made");
        let log = File::create(profile.path().join("log")).expect("the folder takes a file");
        let mut child = Command::new("sh")
            // The descriptors of the pipe are 3 and 4.
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null", "chromium"])
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-component-update"])
            .args(["--disable-sync", "--disable-extensions", "--no-proxy-server"])
            .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
            .arg(format!("--user-data-dir={}", profile.path().join("data").display()))
            .args(["--remote-debugging-pipe", "about:blank"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("sh can be started");
        let to = child.stdin.take().expect("it is piped");
        let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, from) = mpsc::channel();
        thread::spawn(move || {
            let mut message = Vec::new();
            while out.read_until(0, &mut message).is_ok_and(|read| read > 0) {
                message.pop();
                let value = serde_json::from_slice(&message).expect("the browser speaks JSON");
                message.clear();
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        let mut browser =
            Browser { child, profile, to, from, asked: 0, session: String::new(), events: Vec::new() };
        let target = browser.ask("Target.createTarget", &json!({ "url": "about:blank" }));
        let target = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.ask("Target.attachToTarget", &target);
        attached["sessionId"].as_str().expect("a text").clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// Loads a page.
    pub(crate) fn open(&mut self, url: &str) {
        let answer = self.ask("Page.navigate", &json!({ "url": url }));
        assert_eq!(answer.get("errorText"), None, "{url}: {answer}");
        self.wait(&format!("{url} is loaded"), "document.readyState == 'complete'");
    }

    /// Makes the page so wide, in pixels.
    pub(crate) fn resize(&mut self, width: u32) {
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.ask("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Has the page drawn for people who want it `light` or `dark`.
    pub(crate) fn prefer(&mut self, scheme: &str) {
        let wanted = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.ask("Emulation.setEmulatedMedia", &wanted);
    }

    /// The value of an expression in the page.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let answer =
            self.ask("Runtime.evaluate", &json!({ "expression": expression, "returnByValue": true }));
        assert_eq!(answer.get("exceptionDetails"), None, "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// What a reader of the page sees.
    pub(crate) fn text(&mut self) -> String {
        self.value("document.body.innerText").as_str().expect("a text").to_owned()
    }

    /// Waits until an expression in the page is true.
    pub(crate) fn wait(&mut self, what: &str, expression: &str) {
        eventually(what, || {
            let value = self.value(expression);
            once(value == true, || format!("{expression} is {value} in {}", self.text()))
        });
    }

    /// Waits until a reader of the page sees this.
    pub(crate) fn wait_text(&mut self, text: &str) {
        self.wait(
            &format!("the page says {text:?}"),
            &format!("document.body.innerText.includes({})", json!(text)),
        );
    }

    /// Addresses that the browser asked for so far.
    pub(crate) fn requests(&mut self) -> Vec<String> {
        self.told("Network.requestWillBeSent", |event| event["request"]["url"].as_str().map(str::to_owned))
    }

    /// What the browser found wrong with the page so far: errors of scripts, what its policy forbids, what did not load.
    pub(crate) fn faults(&mut self) -> Vec<String> {
        let mut faults = self.told("Runtime.exceptionThrown", |event| Some(event.to_string()));
        faults.extend(self.told("Runtime.consoleAPICalled", |event| Some(event.to_string())));
        faults.extend(self.told("Log.entryAdded", |event| {
            let is_fault = event["entry"]["level"] == "error" || event["entry"]["level"] == "warning";
            is_fault.then(|| event.to_string())
        }));
        faults
    }

    fn told(&mut self, method: &str, of: impl Fn(&Value) -> Option<String>) -> Vec<String> {
        // An answer comes behind all that was told before.
        self.value("0");
        let events = self.events.iter().filter(|event| event["method"] == method);
        events.filter_map(|event| of(&event["params"])).collect()
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.asked += 1;
        let mut message = json!({ "id": self.asked, "method": method, "params": params });
        if !self.session.is_empty() {
            message["sessionId"] = self.session.as_str().into();
        }
        let sent = self.to.write_all(format!("{message}\0").as_bytes());
        assert!(sent.is_ok(), "the browser has ended: {}", self.log());
        loop {
            let heard = self.from.recv_timeout(PATIENCE);
            let heard = heard.unwrap_or_else(|e| panic!("no answer to {method} ({e}): {}", self.log()));
            if heard.get("id").is_none() {
                self.events.push(heard);
            } else if heard["id"] == self.asked {
                assert_eq!(heard.get("error"), None, "{method}: {heard}");
                return heard["result"].clone();
            }
        }
    }

    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.profile.path().join("log"));
        log.unwrap_or_default() + "\n(this test needs Chromium; ci/test installs it or says how)"
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends its own processes, which a signal would leave behind.
        _ = self.to.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let ended = (0..500).any(|_| {
            thread::park_timeout(Duration::from_millis(20));
            matches!(self.child.try_wait(), Ok(Some(_)))
        });
        if !ended {
            _ = self.child.kill();
            _ = self.child.wait();
        }
    }
}
