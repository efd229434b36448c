//! The log, on standard error.

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use super::settings::{Config, Format};

/// Decides what goes to the log while it is written. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// None where another log was set before ours.
    filter: Option<reload::Handle<Targets, Registry>>,
}

impl Log {
    /// Logs by another filter from now on, one that [`check_filter`] finds good.
    pub fn set(&self, filter: &str) {
        if let Some(handle) = &self.filter {
            // It fails only where the log is gone.
            _ = handle.reload(targets(filter));
        }
    }
}

/// Sends what the program says to standard error from now on. A second call changes nothing.
///
/// A line that cannot be written, as when standard error is closed, is dropped without a word: there is no other
/// place to say it.
pub fn init(config: &Config) -> Log {
    let colours =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // It fails only where another log is set already, such as by an earlier test of the same process.
    let (subscriber, filter) = subscriber(config, io::stderr, colours);
    Log { filter: subscriber.try_init().ok().map(|()| filter) }
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

fn targets(filter: &str) -> Targets {
    filter.replace(' ', "").parse().expect("the configuration has checked the filter")
}

fn subscriber<W>(
    config: &Config,
    writer: W,
    colours: bool,
) -> (impl Subscriber + Send + Sync + use<W>, reload::Handle<Targets, Registry>)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(targets(&config.filter));
    // Without this a failed write is told on standard error, with a macro that panics where that is closed.
    let lines = fmt::layer().with_writer(writer).with_ansi(colours).log_internal_errors(false);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match config.format {
        Format::Text => lines.boxed(),
        Format::Json => {
            lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
        }
    };
    (Registry::default().with(layer.with_filter(filter)), handle)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

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
        let config = Config { filter: filter.to_owned(), format };
        let writer = lines.clone();
        tracing::subscriber::with_default(subscriber(&config, move || writer.clone(), false).0, say);
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
    fn the_filter_changes_while_the_log_is_written() {
        let lines = Lines::default();
        let config = Config { filter: "warn".to_owned(), format: Format::Text };
        let writer = lines.clone();
        let (subscriber, filter) = subscriber(&config, move || writer.clone(), false);
        let log = Log { filter: Some(filter) };
        tracing::subscriber::with_default(subscriber, || {
            // The same place each time: what it remembers of the filter is out of date then.
            for (filter, word) in [("warn", "one"), ("debug", "two"), ("error", "three"), ("info", "four")] {
                log.set(filter);
                tracing::info!("{word}");
            }
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let said = ["one", "two", "three", "four"].map(|word| text.contains(word));
        assert_eq!(said, [false, true, false, true], "{text}");
    }

    #[test]
    fn a_closed_standard_error_is_no_panic() {
        let config = Config { filter: "info".to_owned(), format: Format::Text };
        let (subscriber, _) = subscriber(&config, || Closed, false);
        tracing::subscriber::with_default(subscriber, || tracing::info!("lost"));
    }
}
