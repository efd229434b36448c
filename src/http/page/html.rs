//! Text that means itself in HTML, and the few shapes that the page is made of.
//!
//! Everything that is not literally in the files of the page goes through [`Escaped`]: topics, errors and addresses come
//! from others.

use std::fmt::{self, Display, Write};

/// Shows a value so that it means itself in HTML, between tags and in quoted attributes.
pub(super) struct Escaped<T>(pub(super) T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaper(f), "{}", self.0)
    }
}

struct Escaper<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaper<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            '&' => self.0.write_str("&amp;"),
            '<' => self.0.write_str("&lt;"),
            '>' => self.0.write_str("&gt;"),
            '"' => self.0.write_str("&quot;"),
            '\'' => self.0.write_str("&#39;"),
            c => self.0.write_char(c),
        })
    }
}

/// How something is: a word says it, and a sign and a colour besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    /// It works, but for something.
    Warn,
    Bad,
    /// There is nothing to say.
    Quiet,
}

impl Tone {
    pub(super) fn class(self) -> &'static str {
        match self {
            Tone::Good => "good",
            Tone::Warn => "warn",
            Tone::Bad => "bad",
            Tone::Quiet => "quiet",
        }
    }

    pub(super) fn sign(self) -> &'static str {
        match self {
            Tone::Good => "✔",
            Tone::Warn => "▲",
            Tone::Bad => "✖",
            Tone::Quiet => "·",
        }
    }
}

/// A value with the exact one behind it, as HTML.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    html: String,
    is_number: bool,
}

impl Cell {
    pub(super) fn text(text: impl Display) -> Cell {
        Cell { html: Escaped(text).to_string(), is_number: false }
    }

    /// What is short for `exact`.
    pub(super) fn number(short: impl Display, exact: impl Display) -> Cell {
        let html = format!("<span title=\"{}\">{}</span>", Escaped(exact), Escaped(short));
        Cell { html, is_number: true }
    }

    /// A word on how something is.
    pub(super) fn tone(tone: Tone, word: impl Display) -> Cell {
        let (class, sign) = (tone.class(), tone.sign());
        let html = format!("<span class=\"{class}\">{sign} {}</span>", Escaped(word));
        Cell { html, is_number: false }
    }
}

impl Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.html)
    }
}

/// A part of the page: a heading, and what `fill` writes under it.
pub(super) fn section(
    html: &mut String,
    id: &str,
    heading: &str,
    fill: impl FnOnce(&mut String) -> fmt::Result,
) -> fmt::Result {
    writeln!(html, "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{}</h2>", Escaped(heading))?;
    fill(html)?;
    writeln!(html, "</section>")
}

/// A table. On a narrow screen each row is a box, and the columns' names stand before the values.
pub(super) fn table(
    html: &mut String,
    columns: &[&str],
    rows: impl IntoIterator<Item = Vec<Cell>>,
) -> fmt::Result {
    let rows: Vec<Vec<Cell>> = rows.into_iter().collect();
    let is_words = rows.first().is_none_or(|row| row.iter().all(|cell| !cell.is_number));
    let class = if is_words { "list" } else { "list numbers" };
    write!(html, "<table class=\"{class}\">\n<thead><tr>")?;
    for (n, column) in columns.iter().enumerate() {
        let class = if rows.first().is_some_and(|row| row[n].is_number) { " class=\"number\"" } else { "" };
        write!(html, "<th scope=\"col\"{class}>{}</th>", Escaped(column))?;
    }
    writeln!(html, "</tr></thead>\n<tbody>")?;
    for row in rows {
        write!(html, "<tr>")?;
        for (n, (cell, column)) in row.iter().zip(columns).enumerate() {
            let (tag, scope) = if n == 0 { ("th", " scope=\"row\"") } else { ("td", "") };
            let class = if cell.is_number { " class=\"number\"" } else { "" };
            write!(html, "<{tag}{scope}{class} data-name=\"{}\">{cell}</{tag}>", Escaped(column))?;
        }
        writeln!(html, "</tr>")?;
    }
    writeln!(html, "</tbody>\n</table>")
}

/// Names and values, a line each.
pub(super) fn facts(html: &mut String, facts: impl IntoIterator<Item = (&'static str, Cell)>) -> fmt::Result {
    writeln!(html, "<table class=\"facts\">")?;
    for (name, cell) in facts {
        writeln!(html, "<tr><th scope=\"row\">{}</th><td>{cell}</td></tr>", Escaped(name))?;
    }
    writeln!(html, "</table>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_html_is_escaped() {
        assert_eq!(Escaped("a<b>&\"c'").to_string(), "a&lt;b&gt;&amp;&quot;c&#39;");
        assert_eq!(Escaped(format_args!("{}<{}", "x", 5)).to_string(), "x&lt;5");
    }

    #[test]
    fn no_cell_lets_html_through() {
        let evil = "<b title='x'>\"&";
        for cell in [Cell::text(evil), Cell::number(evil, evil), Cell::tone(Tone::Bad, evil)] {
            assert!(!cell.to_string().contains("<b"), "{cell}");
            assert!(!cell.to_string().contains("'x'"), "{cell}");
        }
    }
}
