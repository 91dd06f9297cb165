//! Ages and boundaries, on a record in memory.

use super::*;
use delete_learning_sdk::testing::{TestHost, alice, learning, run, security_key};
use delete_learning_sdk::{Guarded, Outcome, PolicyHost, StorageErrorKind};

const DAY: i64 = SECONDS_PER_DAY;

fn created_at(created_at: i64) -> Learning {
    Learning { created_at, ..learning() }
}

fn with_days(days: &str) -> TestHost {
    TestHost::new(alice()).with_setting("default_minimum_age_days", days)
}

fn is_retained(record: &Learning, host: &TestHost) -> bool {
    retention(record, &alice(), host).is_err()
}

#[test]
fn record_is_retained_until_it_has_its_minimum_age() {
    for created in [0, 1, 1_700_000_000, -5 * DAY] {
        let record = created_at(created);
        for (age, expected) in [(0, true), (1, true), (30 * DAY - 1, true), (30 * DAY, false), (31 * DAY, false)] {
            let host = with_days("30").with_now(created + age);
            assert_eq!(is_retained(&record, &host), expected, "created at {created}, {age} seconds ago");
        }
    }
}

#[test]
fn record_from_the_future_is_young() {
    for now in [0, 999, i64::MIN] {
        assert!(is_retained(&created_at(1000), &with_days("1").with_now(now)));
    }
}

#[test]
fn extreme_times_do_not_overflow() {
    assert!(is_retained(&created_at(i64::MAX - 1), &with_days("4294967295").with_now(i64::MAX - 1)));
    assert!(!is_retained(&created_at(i64::MIN), &with_days("4294967295").with_now(0)));
    assert!(!is_retained(&created_at(0), &with_days("1").with_now(i64::MAX)));
}

#[test]
fn setting_of_the_type_replaces_the_default() {
    let host = |now| {
        with_days("10")
            .with_setting("minimum_age_days.user_profile", "20")
            .with_setting("minimum_age_days.user_memory", "0")
            .with_now(now)
    };
    let of_type = |learning_type: &str| Learning { learning_type: learning_type.into(), ..learning() };
    for (learning_type, days) in [("user_profile", 20), ("user_memory", 0), ("session_context", 10), ("", 10)] {
        assert!(!is_retained(&of_type(learning_type), &host(days * DAY)), "{learning_type}");
        assert_eq!(is_retained(&of_type(learning_type), &host(days * DAY - 1)), days > 0, "{learning_type}");
    }
}

#[test]
fn record_without_minimum_age_is_not_retained() {
    assert!(!is_retained(&created_at(1000), &TestHost::new(alice())));
    assert!(!is_retained(&created_at(1000), &with_days("0")));
}

#[test]
fn unreadable_setting_retains_every_record() {
    let unreadable = Err("All learnings are retained because the settings of the retention cannot be read".into());
    for days in ["", " 1", "1 ", "-1", "1.5", "1e3", "thirty", "30d", "\"30\"", "4294967296", "null"] {
        let host = with_days(days).with_now(i64::MAX);
        assert_eq!(retention(&learning(), &alice(), &host), unreadable, "{days:?}");
        let host = with_days("0").with_setting("minimum_age_days.user_memory", days).with_now(i64::MAX);
        assert_eq!(retention(&learning(), &alice(), &host), unreadable, "{days:?}");
    }
    let host = TestHost::new(alice()).with_setting_error().with_now(i64::MAX);
    assert_eq!(retention(&learning(), &alice(), &host), unreadable);
}

#[test]
fn young_record_is_deleted_by_nobody() {
    let host = TestHost::new(security_key())
        .with_setting("default_minimum_age_days", "30")
        .with_now(1_700_000_000)
        .with_record(created_at(1_700_000_000));
    let error = run(Guarded::new(&host, retention).delete()).expect_err("denied");
    let message = "Learnings of this type are retained for 30 days after their creation, this one until \
                   2023-12-14T22:13:20Z";
    assert_eq!((error.kind, error.message.as_str()), (StorageErrorKind::Denied, message));
    let host = host.with_now(1_700_000_000 + 30 * DAY);
    assert_eq!(run(Guarded::new(&host, retention).delete()), Ok(Outcome::Deleted));
}

#[test]
fn date_is_formatted_in_the_gregorian_calendar() {
    for (seconds, expected) in [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (951_868_800, "2000-03-01T00:00:00Z"),
        (1_709_164_800, "2024-02-29T00:00:00Z"),
        (1_735_689_599, "2024-12-31T23:59:59Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
        (253_402_300_799, "9999-12-31T23:59:59Z"),
        (-11_676_096_000, "1600-01-01T00:00:00Z"),
    ] {
        assert_eq!(date::format(seconds), expected);
    }
    // Far dates neither overflow nor take long.
    assert!(date::format(i64::MAX).len() < 40 && date::format(i64::MIN).len() < 40);
}
