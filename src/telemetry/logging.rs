//! The log, on standard error.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{self, FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{self, FmtContext, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use prometheus::IntCounter;

use super::settings::{Config, Format};
use super::stderr::{Line, Unhurried};

/// Decides what goes to the log while it is written. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Log {
    /// None where another log was set before ours.
    filter: Option<reload::Handle<Targets, Registry>>,
    is_json: Arc<AtomicBool>,
    /// Lines that nobody read.
    dropped: IntCounter,
}

impl Default for Log {
    /// One that goes nowhere.
    fn default() -> Log {
        Log { filter: None, is_json: Arc::default(), dropped: Line::new().dropped() }
    }
}

impl Log {
    /// Logs by another filter from now on, one that [`check_filter`] finds good, and in another form.
    pub fn set(&self, config: &Config) {
        self.is_json.store(config.format == Format::Json, Ordering::Relaxed);
        if let Some(handle) = &self.filter {
            // It fails only where the log is gone.
            _ = handle.reload(targets(&config.filter));
        }
    }

    /// Counts the lines that were dropped because nobody read them, for a registry.
    #[must_use]
    pub fn dropped(&self) -> IntCounter {
        self.dropped.clone()
    }
}

/// Sends what the program says to standard error from now on. A second call changes nothing.
///
/// A line that cannot be written, as when standard error is closed, is dropped without a word: there is no other
/// place to say it. Nobody waits for whoever reads standard error: see [`Log::dropped`].
pub fn init(config: &Config) -> Log {
    let colours =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // It fails only where another log is set already, such as by an earlier test of the same process.
    let line = Arc::new(Line::new());
    let dropped = line.dropped();
    let writer = move || Unhurried::new(io::stderr(), line.clone());
    let is_json = Arc::new(AtomicBool::new(config.format == Format::Json));
    let (subscriber, filter) = subscriber(&config.filter, is_json.clone(), writer, colours);
    Log { filter: subscriber.try_init().ok().map(|()| filter), is_json, dropped }
}

/// Whether `text` is a filter that [`Config::filter`] may hold: between commas a level, or `target=level`.
///
/// # Errors
/// What was expected.
pub fn check_filter(text: &str) -> Result<(), String> {
    let expected =
        || Err("expected off, error, warn, info, debug or trace, or target=level between commas".to_owned());
    for directive in text.split(',').map(str::trim) {
        let (target, level) = directive.split_once('=').unwrap_or(("any", directive));
        let path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-');
        // Numbers are levels to the parser, and a misspelt level would be a target.
        let word = !level.is_empty() && level.bytes().all(|b| b.is_ascii_alphabetic());
        if !word || level.parse::<LevelFilter>().is_err() || target.is_empty() || !target.chars().all(path) {
            return expected();
        }
    }
    if text.parse::<Targets>().is_ok() { Ok(()) } else { expected() }
}

/// The Avro library says of hostile schemas, at the level of errors, what we say with the peer's name; it is heard only
/// where the filter names it.
fn targets(filter: &str) -> Targets {
    format!("apache_avro=off,{}", filter.replace(' ', ""))
        .parse()
        .expect("the configuration has checked the filter")
}

/// A line in the form that is wanted when it is written.
struct Form {
    is_json: Arc<AtomicBool>,
    text: format::Format<format::Full>,
    json: format::Format<format::Json>,
}

impl Form {
    fn new(is_json: Arc<AtomicBool>) -> Form {
        let text = format::format();
        let json = text.clone().json().flatten_event(true);
        Form { is_json, text, json: json.with_current_span(false).with_span_list(false) }
    }
}

impl<S, N> FormatEvent<S, N> for Form
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        if self.is_json.load(Ordering::Relaxed) {
            // One of its own, which has no colours.
            self.json.format_event(context, Writer::new(&mut writer), event)
        } else {
            self.text.format_event(context, writer, event)
        }
    }
}

fn subscriber<W>(
    filter: &str,
    is_json: Arc<AtomicBool>,
    writer: W,
    colours: bool,
) -> (impl Subscriber + Send + Sync + use<W>, reload::Handle<Targets, Registry>)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(targets(filter));
    let lines = fmt::layer().with_writer(writer).with_ansi(colours).event_format(Form::new(is_json));
    // Without this a failed write is told on standard error, with a macro that panics where that is closed.
    let lines = lines.log_internal_errors(false);
    (Registry::default().with(lines.with_filter(filter)), handle)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Takes the lines of one test.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// As standard error is when nobody reads it any more.
    struct Closed;

    impl io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    fn logged(filter: &str, format: Format, say: impl FnOnce()) -> String {
        let lines = Lines::default();
        let is_json = Arc::new(AtomicBool::new(format == Format::Json));
        let writer = lines.clone();
        tracing::subscriber::with_default(subscriber(filter, is_json, move || writer.clone(), false).0, say);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn filters() {
        for good in ["info", "OFF", "warn,metrics_collector::input=debug", "info, rdkafka=error", "a-b=trace"]
        {
            assert_eq!(check_filter(good), Ok(()), "{good}");
        }
        for bad in ["", "inof", "info,", "metrics_collector", "a=b", "=info", "a=", "5", "a[span]=info"] {
            assert!(check_filter(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_text_line_has_utc_time_level_target_message_and_fields() {
        let text = logged("info", Format::Text, || tracing::info!(peer = "p", "opened"));
        let (time, rest) = text.split_once(' ').unwrap();
        assert!(time.ends_with('Z') && time.contains('T'), "{text}");
        assert_eq!(rest.trim(), r#"INFO metrics_collector::telemetry::logging::tests: opened peer="p""#);
    }

    #[test]
    fn a_json_line_is_one_object() {
        let text = logged("info", Format::Json, || tracing::warn!(n = 3, "line\nbreak"));
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "line\nbreak");
        assert_eq!(line["n"], 3);
        assert!(line["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{text}");
    }

    #[test]
    fn levels_and_targets_are_filtered() {
        let say = || {
            tracing::debug!(target: "a", "one");
            tracing::debug!(target: "b", "two");
            tracing::info!(target: "b", "three");
        };
        let text = logged("info, a=debug", Format::Text, say);
        assert!(text.contains("one") && !text.contains("two") && text.contains("three"), "{text}");
    }

    #[test]
    fn filter_and_form_change_while_the_log_is_written() {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = Log::default();
        let (subscriber, filter) = subscriber("warn", log.is_json.clone(), move || writer.clone(), true);
        let log = Log { filter: Some(filter), ..log };
        tracing::subscriber::with_default(subscriber, || {
            // The same place each time: what it remembers of the filter is out of date then.
            for (filter, format, word) in [
                ("warn", Format::Text, "one"),
                ("debug", Format::Json, "two"),
                ("error", Format::Json, "three"),
                ("info", Format::Text, "four"),
            ] {
                log.set(&Config { filter: filter.to_owned(), format });
                tracing::info!("{word}");
            }
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let [two, four] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
        let two: serde_json::Value = serde_json::from_str(two).unwrap();
        assert_eq!((&two["message"], &two["level"]), (&"two".into(), &"INFO".into()));
        assert!(four.ends_with("four") && serde_json::from_str::<serde_json::Value>(four).is_err(), "{four}");
    }

    #[test]
    fn a_closed_standard_error_is_no_panic() {
        let (subscriber, _) = subscriber("info", Arc::default(), || Closed, false);
        tracing::subscriber::with_default(subscriber, || tracing::info!("lost"));
    }
}
