//! The command line: from arguments and environment to what is to be done. Nothing here prints or ends the process.

mod arguments;
mod command;
pub mod demo;
pub mod exit;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};

use clap::error::ErrorKind;
use clap::{ArgMatches, Error};

use crate::config::{self, CheckKafka, Faults, Key, Live, Loaded, Settings, Sources};
use crate::demo::Options;

/// What the arguments come to.
#[derive(Debug)]
pub struct Answer {
    /// For standard output.
    pub out: String,
    /// For standard error.
    pub err: String,
    /// What to do when that is printed.
    pub next: Next,
}

/// What to do next.
#[derive(Debug)]
pub enum Next {
    /// End with this code.
    Exit(u8),
    /// Run the collector.
    Run(Box<Loaded>),
    /// Run the demonstration.
    Demo(Options),
}

/// Evaluates `arguments`, the program's name first, and `environment`.
pub fn evaluate(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    check_kafka: CheckKafka<'_>,
) -> Answer {
    let parsed = arguments::normalise(arguments)
        .map_err(|hint| command::build().error(ErrorKind::InvalidValue, hint))
        .and_then(|arguments| command::build().try_get_matches_from(arguments));
    match parsed {
        Ok(matches) => dispatch(&matches, environment.into_iter().collect(), check_kafka),
        Err(error) => Answer::of_clap(&error),
    }
}

impl Answer {
    /// Prints it. A closed pipe, as of `| head`, is no error.
    ///
    /// # Errors
    /// What the system says of any other end of the writing, such as a full disk.
    pub fn print(&self) -> io::Result<()> {
        let closed_is_fine = |written: io::Result<()>| match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        };
        let mut out = io::stdout();
        let written = out.write_all(self.out.as_bytes()).and_then(|()| out.flush());
        closed_is_fine(io::stderr().write_all(self.err.as_bytes()))?;
        closed_is_fine(written)
    }

    fn of_clap(error: &Error) -> Answer {
        let text = error.render().to_string();
        if error.use_stderr() {
            Answer { out: String::new(), err: text, next: Next::Exit(exit::USAGE) }
        } else {
            Answer::of_text(text)
        }
    }

    fn of_faults(faults: &Faults) -> Answer {
        let err = format!("metrics-collector: {faults}\n");
        Answer { out: String::new(), err, next: Next::Exit(exit::BAD_CONFIGURATION) }
    }

    /// Nothing to print, and something to do.
    fn of_next(next: Next) -> Answer {
        Answer { out: String::new(), err: String::new(), next }
    }

    fn of_text(out: String) -> Answer {
        Answer { out, err: String::new(), next: Next::Exit(exit::SUCCESS) }
    }
}

fn dispatch(matches: &ArgMatches, environment: Vec<(OsString, OsString)>, check: CheckKafka<'_>) -> Answer {
    let (name, own) = matches.subcommand().unzip();
    match name {
        Some("completions") => return Answer::of_text(command::completions(own)),
        Some("config-reference") => return Answer::of_text(config::markdown()),
        Some("demo") => return demonstration(&flags_of(matches), own),
        _ => {}
    }
    let flags = std::iter::once(matches).chain(own).flat_map(flags_of).collect();
    let loaded = match Live::load(Sources { flags, environment }, check) {
        Ok(loaded) => loaded,
        Err(faults) => return Answer::of_faults(&faults),
    };
    let (config, settings) = (&loaded.config, loaded.live.settings());
    match name {
        Some("check-config") => {
            Answer::of_text(format!("{}the configuration is valid\n", warnings(&config.warnings)))
        }
        Some("print-config") => Answer {
            out: printed(settings, own.and_then(|own| own.get_one::<String>("format"))),
            err: warnings(&config.warnings),
            next: Next::Exit(exit::SUCCESS),
        },
        _ => Answer::of_next(Next::Run(Box::new(loaded))),
    }
}

/// `before` are the keys in front of the command. One that does nothing would be believed in.
fn demonstration(before: &[(&'static str, OsString)], own: Option<&ArgMatches>) -> Answer {
    if let Some((name, _)) = before.iter().find(|(name, _)| *name != demo::BROKERS) {
        let hint = format!("the command demo takes no --{name}; see metrics-collector demo --help");
        return Answer::of_clap(&command::build().error(ErrorKind::ArgumentConflict, hint));
    }
    match demo::options(own, before.last().map(|(_, value)| value)) {
        Ok((options, passed_over)) => {
            let err = warnings(passed_over.iter().map(|line| format!("{}: {line}", demo::BROKERS)));
            Answer { err, ..Answer::of_next(Next::Demo(options)) }
        }
        Err(faults) => Answer::of_faults(&Faults(faults)),
    }
}

/// The keys among the flags of a command. Those in front of a subcommand's name and those behind it are told apart
/// by clap only.
fn flags_of(matches: &ArgMatches) -> Vec<(&'static str, OsString)> {
    let values = |key: &'static Key| {
        let values = matches.get_many::<OsString>(key.name).into_iter().flatten();
        values.map(|value| (key.name, value.clone()))
    };
    Key::all().flat_map(values).collect()
}

fn printed(settings: &Settings, format: Option<&String>) -> String {
    match format.map(String::as_str) {
        Some("json") => format!("{:#}\n", config::to_json(settings)),
        _ => config::to_toml(settings),
    }
}

fn warnings(lines: impl IntoIterator<Item: fmt::Display>) -> String {
    lines.into_iter().map(|line| format!("warning: {line}\n")).collect::<Vec<_>>().concat()
}
