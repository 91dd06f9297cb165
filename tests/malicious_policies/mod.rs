//! Malicious policies and guards: components that try to break the sandbox, and what the sandbox must answer.

mod chains;
mod check;
mod guards;
mod http;
mod limits;
mod measurement;
mod noisy_neighbor;
mod record;
pub mod text;
mod wasi;

use crate::support::database::repository_path;
use delete_learning::{DEFAULT_POLICY, LoadError, Policy, PolicyError, RecordOutcome};
use record::{assert_default_policy_works, block_on, decide};
use wasmtime::Trap;

/// A malicious component: its file name without extension, its expectation in [`malicious_policies!`], and its text.
type Component = (&'static str, &'static str, &'static str);

/// Defines a test for each component, with the name of its file.
///
/// The expectations: `fails` with this error and this outcome of the record; `deletes`, for unusual but allowed behavior;
/// `fails_to_load` with this error and this part of its message.
macro_rules! malicious_policies {
    ($($name:ident: $expectation:ident($($arguments:tt)*);)*) => {
        /// Every component of this directory.
        const COMPONENTS: &[Component] =
            &[$((stringify!($name), stringify!($expectation), include_str!(concat!(stringify!($name), ".wat")))),*];
        $(
            #[test]
            fn $name() {
                malicious_policies!(@ $expectation include_str!(concat!(stringify!($name), ".wat")), $($arguments)*);
            }
        )*
    };
    (@ fails $text:expr, $error:pat, $record:ident) => {
        assert_fails($text, |error| matches!(error, $error), RecordOutcome::$record)
    };
    (@ deletes $text:expr,) => { assert_deletes($text) };
    (@ fails_to_load $text:expr, $error:pat, $part:literal) => {
        assert_fails_to_load(&text::bytes($text), |error| matches!(error, $error), $part)
    };
}

malicious_policies! {
    spins_before_calls: fails(PolicyError::CpuTimeLimit, NotDeleted);
    spins_between_calls: fails(PolicyError::CpuTimeLimit, NotDeleted);
    spins_after_deleting: fails(PolicyError::CpuTimeLimit, Deleted);
    spins_in_start_function: fails(PolicyError::CpuTimeLimit, NotDeleted);
    spins_in_post_return: fails(PolicyError::CpuTimeLimit, Deleted);
    recurses_endlessly: fails(PolicyError::Trapped(Trap::StackOverflow), NotDeleted);

    grows_memory: fails(PolicyError::CpuTimeLimit, NotDeleted);
    fills_memory_and_traps: fails(PolicyError::Trapped(_), NotDeleted);
    grows_eight_memories: fails(PolicyError::CpuTimeLimit, NotDeleted);
    grows_table: fails(PolicyError::CpuTimeLimit, NotDeleted);
    declares_too_many_memories: fails_to_load(LoadError::ExceedsLimits(_), "memories");
    declares_oversized_memory: fails_to_load(LoadError::ExceedsLimits(_), "memory");
    declares_memories_above_total: fails(PolicyError::ExceedsLimits, NotDeleted);
    declares_oversized_table: fails_to_load(LoadError::ExceedsLimits(_), "table");
    declares_tables_above_total: fails(PolicyError::ExceedsLimits, NotDeleted);
    declares_too_many_core_instances: fails_to_load(LoadError::TooManyCoreInstances { .. }, "max_core_instances");
    leaks_resource_handles: fails(PolicyError::Sandbox(_), NotDeleted);

    passes_string_out_of_bounds: fails(PolicyError::Sandbox(_), NotDeleted);
    passes_string_that_wraps: fails(PolicyError::Sandbox(_), NotDeleted);
    passes_oversized_string: fails(PolicyError::Sandbox(_), NotDeleted);
    passes_strings_above_total: fails(PolicyError::TooManyBytes, NotDeleted);
    passes_invalid_utf8: fails(PolicyError::Sandbox(_), NotDeleted);
    calls_identity_a_million_times: fails(PolicyError::TooManyCalls, NotDeleted);
    spins_and_locates_endlessly: fails(PolicyError::TooManyCalls, NotDeleted);
    locates_endlessly: fails(PolicyError::TooManyCalls, NotDeleted);
    deletes_endlessly: fails(PolicyError::TooManyCalls, Deleted);

    realloc_returns_out_of_bounds: fails(PolicyError::Sandbox(_), NotDeleted);
    realloc_returns_unaligned: fails(PolicyError::Sandbox(_), NotDeleted);
    realloc_returns_same_address: deletes();
    realloc_spins: fails(PolicyError::CpuTimeLimit, NotDeleted);
    deletes_in_realloc: fails(PolicyError::Trapped(Trap::CannotLeaveComponent), NotDeleted);

    traps: fails(PolicyError::Trapped(Trap::UnreachableCodeReached), NotDeleted);
    divides_by_zero: fails(PolicyError::Trapped(Trap::IntegerDivisionByZero), NotDeleted);
    traps_after_deleting: fails(PolicyError::Trapped(Trap::UnreachableCodeReached), Deleted);
    traps_in_post_return: fails(PolicyError::Trapped(Trap::UnreachableCodeReached), Deleted);

    reports_success_without_delete: fails(PolicyError::FalseSuccess, NotDeleted);
    reports_success_after_failed_delete: fails(PolicyError::FalseSuccess, NotDeleted);
    deletes_twice: deletes();
    deletes_in_start_function: deletes();
    deletes_in_start_function_and_traps: fails(PolicyError::Trapped(Trap::UnreachableCodeReached), Deleted);
    deletes_in_post_return: fails(PolicyError::Trapped(Trap::CannotLeaveComponent), NotDeleted);
    stores_state_between_requests: deletes();

    rejects_after_deleting: fails(PolicyError::RejectedAfterDeletion { .. }, Deleted);
    rejects_with_mismatched_status: fails(PolicyError::InvalidRejection { .. }, NotDeleted);
    rejects_with_success_status: fails(PolicyError::InvalidRejection { .. }, NotDeleted);
    rejects_with_unknown_status: fails(PolicyError::InvalidRejection { .. }, NotDeleted);
    rejects_with_unknown_code: fails(PolicyError::Sandbox(_), NotDeleted);
    rejects_with_empty_detail: fails(PolicyError::InvalidRejection { .. }, NotDeleted);
    rejects_with_oversized_detail: fails(PolicyError::InvalidRejection { .. }, NotDeleted);
    rejects_with_control_characters: fails(PolicyError::InvalidRejection { .. }, NotDeleted);
    rejects_with_c1_control_characters: fails(PolicyError::InvalidRejection { .. }, NotDeleted);
    rejects_with_invalid_utf8_detail: fails(PolicyError::Sandbox(_), NotDeleted);
    rejects_with_out_of_bounds_detail: fails(PolicyError::Sandbox(_), NotDeleted);
    rejects_with_empty_rule: fails(PolicyError::InvalidRejection { .. }, NotDeleted);
    rejects_with_malformed_rule: fails(PolicyError::InvalidRejection { .. }, NotDeleted);
    rejects_with_oversized_rule: fails(PolicyError::InvalidRejection { .. }, NotDeleted);
    returns_out_of_bounds_pointer: fails(PolicyError::Sandbox(_), Deleted);
    returns_unaligned_pointer: fails(PolicyError::Sandbox(_), NotDeleted);
    grows_memory_and_returns_invalid_discriminant: fails(PolicyError::Sandbox(_), NotDeleted);
    returns_invalid_discriminant: fails(PolicyError::Sandbox(_), NotDeleted);

    exports_nothing: fails_to_load(LoadError::IncompatibleWorld { .. }, "delete-learning");
    exports_wrong_name: fails_to_load(LoadError::IncompatibleWorld { .. }, "delete-learning");
    exports_wrong_type: fails_to_load(LoadError::IncompatibleWorld { .. }, "delete-learning");
    exports_instance_as_function: fails_to_load(LoadError::IncompatibleWorld { .. }, "delete-learning");
    imports_wasi_sockets: fails_to_load(LoadError::NotGranted { .. }, "imports wasi:sockets/tcp@0.2.0, which it is not granted");
    imports_wasi_environment: fails_to_load(LoadError::NotGranted { .. }, "imports wasi:cli/environment@0.2.0, which it is not granted");
    imports_unknown_function: fails_to_load(LoadError::UnknownImports(_), "imports delete-everything;");
    imports_core_module: fails_to_load(LoadError::UnknownImports(_), "imports code;");
    imports_unknown_storage_version: fails_to_load(LoadError::UnknownImports(_), "imports learnings:plugin/storage@0.2.0;");
    imports_unknown_storage_function: fails_to_load(LoadError::IncompatibleWorld { .. }, "delete-all");
    imports_mistyped_storage_function: fails_to_load(LoadError::IncompatibleWorld { .. }, "delete-if-owned-by");
    is_core_module: fails_to_load(LoadError::CoreModule, "wasm-tools component new");
    declares_shared_memory: fails_to_load(LoadError::Invalid(_), "threads");
}

fn assert_fails(text: &str, is_expected: fn(&PolicyError) -> bool, record: RecordOutcome) {
    let policy = Policy::load(&text::bytes(text), &record::limits()).expect("the policy loads");
    block_on(async {
        // More often than `max_concurrent_instances`: a permit that leaked would be missed.
        for _ in 0..3 {
            let (decision, _) = decide(&policy, "record", None).await;
            assert!(decision.error.as_ref().is_some_and(is_expected), "{decision:?}");
            assert_eq!(decision.record, record);
            assert_default_policy_works().await;
        }
    });
}

fn assert_deletes(text: &str) {
    let policy = Policy::load(&text::bytes(text), &record::limits()).expect("the policy loads");
    block_on(async {
        for _ in 0..10 {
            let (decision, exists) = decide(&policy, "record", None).await;
            assert!(decision.answer.is_ok() && !exists, "{decision:?}");
        }
        assert_default_policy_works().await;
    });
}

fn assert_fails_to_load(bytes: &[u8], is_expected: fn(&LoadError) -> bool, part: &str) {
    let error = Policy::load(bytes, &record::limits()).err().expect("a load error");
    let reason = error.to_string();
    assert!(is_expected(&error) && reason.contains(part), "{error:?}: {reason}");
    block_on(assert_default_policy_works());
}

#[test]
fn every_component_file_has_a_test_and_states_its_expectation() {
    let mut files: Vec<String> = std::fs::read_dir(repository_path("tests/malicious_policies"))
        .expect("the directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wat"))
        .map(|path| path.file_stem().expect("a name").to_str().expect("UTF-8").to_owned())
        .collect();
    files.sort();
    let mut tested: Vec<&str> = COMPONENTS.iter().map(|(name, ..)| *name).collect();
    tested.sort_unstable();
    assert_eq!(files, tested);
    for (name, expectation, text) in COMPONENTS {
        let comment: String = text.lines().take_while(|line| line.starts_with(";;")).collect();
        let stated = match *expectation {
            "fails" => "500",
            "deletes" => "204",
            _ => "load error",
        };
        assert!(comment.contains(stated), "{name}: {comment}");
    }
}

#[test]
fn truncated_component_fails_to_load() {
    let whole = text::bytes(include_str!("deletes_twice.wat"));
    for length in (0..whole.len()).step_by(97) {
        let error = Policy::load(&whole[..length], &record::limits()).err().expect("a load error");
        // Truncated between two sections, it can still be a valid component, with fewer exports.
        assert!(matches!(error, LoadError::Invalid(_) | LoadError::IncompatibleWorld { .. }), "{length}: {error:?}");
    }
}

#[test]
fn component_above_size_limit_fails_to_load() {
    let bytes = DEFAULT_POLICY.len();
    let limits = record::limits().max_component_bytes(bytes);
    assert!(Policy::load(DEFAULT_POLICY, &limits).is_ok());
    let limits = record::limits().max_component_bytes(bytes - 1);
    let error = Policy::load(DEFAULT_POLICY, &limits).err().expect("a load error");
    assert!(error.to_string().contains(&format!("({})", bytes - 1)), "{error}");

    // The default policy followed by a custom section of 200 MB.
    let mut large = DEFAULT_POLICY.to_vec();
    let size = 200_000_000_u32;
    large.push(0);
    large.extend((0..5).map(|at| (size >> (7 * at)) as u8 & 0x7f | if at < 4 { 0x80 } else { 0 }));
    large.resize(large.len() + size as usize, 0);
    assert_fails_to_load(
        &large,
        |error| matches!(error, LoadError::TooLarge { max: 16_777_216, .. }),
        "max_component_bytes",
    );
}
