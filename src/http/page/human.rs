//! Numbers and times for people; the exact ones stand behind them.

use super::html::Cell;

/// `1,234,567`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let first = (digits.len() + 2) % 3 + 1;
    let (head, rest) = digits.split_at(first.min(digits.len()));
    let mut text = head.to_owned();
    for group in rest.as_bytes().chunks(3) {
        text.push(',');
        text.push_str(str::from_utf8(group).expect("digits are text"));
    }
    text
}

/// A count.
pub(super) fn count(number: u64) -> Cell {
    Cell::number(thousands(number), number)
}

/// So many of something a second.
pub(super) fn rate(per_second: f64, of: &str) -> Cell {
    Cell::number(format_args!("{} {of}/s", amount(per_second)), format_args!("{per_second:.3} {of} a second"))
}

/// The same where a column says of what.
pub(super) fn bare_rate(per_second: f64) -> Cell {
    Cell::number(amount(per_second), format_args!("{per_second:.3} a second"))
}

/// Bytes.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown, and the exact number besides")]
pub(super) fn bytes(bytes: u64) -> Cell {
    Cell::number(scaled(bytes as f64), format_args!("{} bytes", thousands(bytes)))
}

/// Bytes a second.
pub(super) fn bytes_rate(per_second: f64) -> Cell {
    Cell::number(format_args!("{}/s", scaled(per_second)), format_args!("{per_second:.3} bytes a second"))
}

/// How long ago something was, at `now_ms`; a dash where it never was. Both are Unix times in milliseconds.
pub(super) fn age(since_ms: Option<u64>, now_ms: u64) -> Cell {
    match since_ms {
        Some(since_ms) => {
            Cell::number(span(now_ms.saturating_sub(since_ms)), format_args!("since {}", utc(since_ms)))
        }
        None => nothing(),
    }
}

/// A dash, where there is nothing to show.
pub(super) fn nothing() -> Cell {
    Cell::number("–", "nothing")
}

/// `0.4`, `12`, `1,234`: digits enough to see whether something goes on.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is neither negative nor that large"
)]
fn amount(per_second: f64) -> String {
    if per_second <= 0.0 {
        "0".to_owned()
    } else if per_second < 0.05 {
        "<0.1".to_owned()
    } else if per_second < 9.95 {
        format!("{per_second:.1}")
    } else {
        thousands(per_second.round() as u64)
    }
}

/// `999 B`, `1.23 kB`, `45.6 MB`, `789 GB`.
fn scaled(bytes: f64) -> String {
    let mut scaled = bytes;
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        if scaled < 999.5 || unit == "TB" {
            return match unit {
                "B" => format!("{scaled:.0} B"),
                unit if scaled < 9.995 => format!("{scaled:.2} {unit}"),
                unit if scaled < 99.95 => format!("{scaled:.1} {unit}"),
                unit => format!("{scaled:.0} {unit}"),
            };
        }
        scaled /= 1000.0;
    }
    unreachable!("the last unit takes all")
}

/// `8 s`, `3 min 8 s`, `5 h 12 min`, `3 d 4 h`.
pub(super) fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// `2026-11-26 03:12:01 UTC`, of a Unix time in milliseconds.
pub(super) fn utc(ms: u64) -> String {
    let (year, month, day) = date(ms / 86_400_000);
    format!("{year}-{month:02}-{day:02} {} UTC", clock(ms))
}

/// `03:12:01`, of a Unix time in milliseconds.
pub(super) fn clock(ms: u64) -> String {
    let seconds = ms / 1000 % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Year, month and day of the day of this number, from 1970-01-01 on. A year begins in March here, so that the day that
/// may be missing is its last.
fn date(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097;
    // To 0000-03-01.
    let days = days + 719_468;
    let (era, day) = (days / ERA, days % ERA);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = (era * 400 + year, if month < 10 { month + 3 } else { month - 9 });
    (year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_their_thousands_apart() {
        for (number, expected) in
            [(0, "0"), (7, "7"), (999, "999"), (1000, "1,000"), (12_345, "12,345"), (1_234_567, "1,234,567")]
        {
            assert_eq!(thousands(number), expected);
        }
        assert_eq!(thousands(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn rates_show_whether_something_goes_on() {
        for (rate, expected) in
            [(0.0, "0"), (0.001, "<0.1"), (0.06, "0.1"), (9.94, "9.9"), (9.96, "10"), (1234.5, "1,235")]
        {
            assert_eq!(amount(rate), expected, "{rate}");
        }
        let cell = rate(1234.5, "records").to_string();
        assert_eq!(cell, "<span title=\"1234.500 records a second\">1,235 records/s</span>");
    }

    #[test]
    fn bytes_have_three_digits() {
        for (number, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (12_345, "12.3 kB"),
            (999_499, "999 kB"),
            (999_500, "1.00 MB"),
            (33_554_432, "33.6 MB"),
            (5_000_000_000_000_000, "5000 TB"),
        ] {
            let cell = bytes(number).to_string();
            assert!(cell.contains(&format!(">{expected}<")), "{number} {cell}");
            assert!(cell.contains(&format!("title=\"{} bytes\"", thousands(number))), "{cell}");
        }
    }

    #[test]
    fn spans_have_two_units() {
        for (seconds, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (61, "1 min 1 s"),
            (3600, "1 h 0 min"),
            (86_399, "23 h 59 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(span(seconds * 1000 + 999), expected);
        }
    }

    #[test]
    fn times_of_day_and_dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (951_868_800, "2000-03-01 00:00:00 UTC"),
            (1_709_164_800, "2024-02-29 00:00:00 UTC"),
            (1_767_225_599, "2025-12-31 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(utc(seconds * 1000 + 7), expected);
        }
    }
}
