//! Sizes, times and switches as people write them.

use std::time::Duration;

/// Reads a switch, in the forms that Go's `strconv.ParseBool` takes.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Reads a size in bytes: a whole number, and `KiB`, `MiB`, `GiB` or their first letter. All are powers of 1024.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

/// Reads a time: a whole number and its unit, `ms`, `s`, `m` or `h`.
pub fn parse_time(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

/// Writes a size so that [`parse_size`] reads it back, in the largest unit that needs no fraction.
pub(super) fn format_size(bytes: u64) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes != 0 && bytes.is_multiple_of(1 << shift) {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}

/// Writes a time of whole milliseconds so that [`parse_time`] reads it back. Seconds are used up to two minutes.
pub(super) fn format_time(time: Duration) -> String {
    let milliseconds = time.as_millis();
    for (size, unit, from) in [(3_600_000, "h", 3_600_000), (60_000, "m", 180_000), (1000, "s", 0)] {
        if milliseconds >= from && milliseconds.is_multiple_of(size) {
            return format!("{}{unit}", milliseconds / size);
        }
    }
    format!("{milliseconds}ms")
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1234", Some(1234)),
            ("64KiB", Some(65_536)),
            ("64k", Some(65_536)),
            ("64K", Some(65_536)),
            ("2M", Some(2 << 20)),
            ("2 MiB", Some(2 << 20)),
            ("3GiB", Some(3 << 30)),
            ("", None),
            ("KiB", None),
            ("-1", None),
            ("1.5MiB", None),
            ("1MB", None),
            ("1KiBx", None),
            ("99999999999999999999", None),
            ("18446744073709551615k", None),
        ] {
            assert_eq!(parse_size(text), expected, "{text}");
        }
    }

    #[test]
    fn times() {
        for (text, expected) in [
            ("15s", Some(15_000)),
            ("250ms", Some(250)),
            ("1m", Some(60_000)),
            ("2h", Some(7_200_000)),
            ("0s", Some(0)),
            ("15", None),
            ("s", None),
            ("1.5s", None),
            ("-1s", None),
            ("1d", None),
            ("18446744073709551615h", None),
        ] {
            assert_eq!(parse_time(text), expected.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn switches_are_gos() {
        for text in ["1", "t", "T", "TRUE", "true", "True"] {
            assert_eq!(parse_bool(text), Some(true), "{text}");
        }
        for text in ["0", "f", "F", "FALSE", "false", "False"] {
            assert_eq!(parse_bool(text), Some(false), "{text}");
        }
        for text in ["", "yes", "on", "tRUE", "2", " true"] {
            assert_eq!(parse_bool(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for bytes in [0, 1, 1023, 1024, 1536, 1 << 20, 3 << 20, 1 << 30, (1 << 30) + 1024] {
            assert_eq!(parse_size(&format_size(bytes)), Some(bytes), "{bytes}");
        }
        for milliseconds in [0, 1, 999, 1000, 1500, 60_000, 180_000, 3_600_000, 5_400_000] {
            let time = Duration::from_millis(milliseconds);
            assert_eq!(parse_time(&format_time(time)), Some(time), "{milliseconds}");
        }
        assert_eq!(format_size(64 << 20), "64MiB");
        assert_eq!(format_time(Duration::from_secs(60)), "60s");
    }
}
