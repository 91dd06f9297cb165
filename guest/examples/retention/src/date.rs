//! Dates without a calendar library.

use crate::SECONDS_PER_DAY;
use alloc::string::String;

/// Formats seconds since 1970-01-01T00:00:00Z as a date and a time in UTC (RFC 3339).
pub(crate) fn format(seconds: i64) -> String {
    let (mut year, mut month, day) = (1970, 1, seconds.div_euclid(SECONDS_PER_DAY));
    let second = seconds.rem_euclid(SECONDS_PER_DAY);

    // The calendar repeats every 400 years.
    const DAYS_OF_400_YEARS: i64 = 146_097;
    year += day.div_euclid(DAYS_OF_400_YEARS) * 400;
    let mut day = day.rem_euclid(DAYS_OF_400_YEARS);
    while day >= days_of_year(year) {
        day -= days_of_year(year);
        year += 1;
    }
    while day >= days_of_month(year, month) {
        day -= days_of_month(year, month);
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    alloc::format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", day + 1)
}

const fn is_leap_year(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_of_year(year: i64) -> i64 {
    if is_leap_year(year) { 366 } else { 365 }
}

const fn days_of_month(year: i64, month: u8) -> i64 {
    match month {
        2 if is_leap_year(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
