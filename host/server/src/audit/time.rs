//! Times as text (RFC 3339).

use std::time::{SystemTime, UNIX_EPOCH};

/// This time in UTC with microseconds, as `2026-11-26T10:51:42.000000Z`. A clock before 1970 is written as 1970, and a
/// year after 9999 as 9999.
pub(super) fn format(time: SystemTime) -> String {
    digits(time).map(char::from).iter().collect()
}

/// The characters of this time as [`format()`] has it.
pub(super) fn digits(time: SystemTime) -> [u8; 27] {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, microseconds) = (since_epoch.as_secs(), since_epoch.subsec_micros());
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    for (range, value) in [
        (0..4, year.min(9999)),
        (5..7, month),
        (8..10, day),
        (11..13, hour),
        (14..16, minute),
        (17..19, second),
        (20..26, microseconds.into()),
    ] {
        write_digits(text.get_mut(range).unwrap_or_default(), value);
    }
    text
}

/// Writes a number with as many digits as there is space. Several times faster than formatting.
fn write_digits(text: &mut [u8], mut value: u64) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// The year, month and day of a number of days since 1970.
const fn date(days: u64) -> (u64, u64, u64) {
    // Years that begin in March, so that a leap day is the last day of its year; eras of 400 years have equal lengths.
    let since_march_of_year_0 = days + 719_468;
    let (era, day_of_era) = (since_march_of_year_0 / 146_097, since_march_of_year_0 % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::format;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn times_are_formatted_in_utc() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000Z"),
            (951_868_799, "2000-02-29T23:59:59.000000Z"),
            (951_868_800, "2000-03-01T00:00:00.000000Z"),
            (1_798_675_200, "2026-12-31T00:00:00.000000Z"),
            (1_798_714_302, "2026-12-31T10:51:42.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(format(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
        assert_eq!(format(UNIX_EPOCH - Duration::from_secs(5)), "1970-01-01T00:00:00.000000Z");
    }
}
