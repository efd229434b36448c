//! What a person sees: lines from several threads, in colour where there is a terminal.

use std::fmt::Display;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// Takes lines. Cheap to clone.
#[derive(Clone)]
pub struct Screen {
    writer: Arc<Mutex<Box<dyn Write + Send>>>,
    closed: watch::Sender<bool>,
    /// How words are set off.
    pub style: Style,
}

impl Screen {
    /// A screen on `writer`.
    #[must_use]
    pub fn new(writer: Box<dyn Write + Send>, style: Style) -> Screen {
        Screen { writer: Arc::new(Mutex::new(writer)), closed: watch::Sender::new(false), style }
    }

    /// Shows lines, which other threads do not come between.
    pub fn show(&self, lines: &[String]) {
        let mut text = String::new();
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.write_all(text.as_bytes()).and_then(|()| writer.flush()).is_err() {
            self.closed.send_replace(true);
        }
    }

    /// Done when nobody can see any more, as after `| head`.
    pub async fn closed(&self) {
        // The sender is ours, so this ends with the value alone.
        _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }
}

/// Sets words off, or leaves them plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether to use colours.
    pub colours: bool,
}

impl Style {
    /// What is most important.
    #[must_use]
    pub fn strong(self, text: impl Display) -> String {
        self.paint("1", text)
    }

    /// What may be skipped.
    #[must_use]
    pub fn faint(self, text: impl Display) -> String {
        self.paint("2", text)
    }

    /// Names.
    #[must_use]
    pub fn name(self, text: impl Display) -> String {
        self.paint("36", text)
    }

    /// Good news.
    #[must_use]
    pub fn good(self, text: impl Display) -> String {
        self.paint("32", text)
    }

    /// Bad news.
    #[must_use]
    pub fn bad(self, text: impl Display) -> String {
        self.paint("31", text)
    }

    /// SGR sequences of ECMA-48.
    fn paint(self, code: &str, text: impl Display) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn colours_only_where_they_are_wanted() {
        assert_eq!(Style { colours: true }.name("a"), "\x1b[36ma\x1b[0m");
        assert_eq!(Style { colours: false }.name("a"), "a");
    }

    #[tokio::test]
    async fn a_closed_screen_is_told() {
        let screen = Screen::new(Box::new(Closed), Style { colours: false });
        screen.show(&["line".to_owned()]);
        screen.closed().await;
    }
}
