//! The sandbox holds, whatever a policy does: hostile components as text, each with what must come of it.

mod check;
mod http;
mod limits;
mod noisy_neighbor;
mod record;
pub mod text;
mod wasi;

use crate::support::database::project;
use delete_learning::{DEFAULT_POLICY, Limits, LoadError, Policy, PolicyError, RecordOutcome};
use record::{decide, good_goes_on, run};
use wasmtime::Trap;

/// A hostile component: its name, which is that of its file; what must come of it, as below; and its text.
type Component = (&'static str, &'static str, &'static str);

/// A test for each file, of the file's name. What must come of it: `fails` with a fault and this fate of the record,
/// `deletes` (what it does is odd and allowed), or `refused` when it is loaded, with this in the reason.
macro_rules! hostile {
    ($($name:ident: $verb:ident($($how:tt)*);)*) => {
        /// Every file of this folder.
        const COMPONENTS: &[Component] =
            &[$((stringify!($name), stringify!($verb), include_str!(concat!(stringify!($name), ".wat")))),*];
        $(
            #[test]
            fn $name() {
                hostile!(@ $verb include_str!(concat!(stringify!($name), ".wat")), $($how)*);
            }
        )*
    };
    (@ fails $text:expr, $fault:pat, $record:ident) => {
        fails($text, |fault| matches!(fault, $fault), RecordOutcome::$record)
    };
    (@ deletes $text:expr,) => { deletes($text) };
    (@ refused $text:expr, $reason:pat, $part:literal) => {
        refused(&text::bytes($text), |error| matches!(error, $reason), $part)
    };
}

hostile! {
    spins_before_calls: fails(PolicyError::CpuTimeLimit, NotDeleted);
    spins_between_calls: fails(PolicyError::CpuTimeLimit, NotDeleted);
    spins_after_deleting: fails(PolicyError::CpuTimeLimit, Deleted);
    spins_at_start: fails(PolicyError::CpuTimeLimit, NotDeleted);
    spins_after_its_answer: fails(PolicyError::CpuTimeLimit, Deleted);
    recurses: fails(PolicyError::Trapped(Trap::StackOverflow), NotDeleted);

    grows_memory: fails(PolicyError::CpuTimeLimit, NotDeleted);
    fills_memory: fails(PolicyError::Trapped(_), NotDeleted);
    grows_many_memories: fails(PolicyError::CpuTimeLimit, NotDeleted);
    grows_table: fails(PolicyError::CpuTimeLimit, NotDeleted);
    has_many_memories: refused(LoadError::ExceedsLimits(_), "memories");
    has_a_large_memory: refused(LoadError::ExceedsLimits(_), "memory");
    has_large_memories_together: fails(PolicyError::ExceedsLimits, NotDeleted);
    has_a_large_table: refused(LoadError::ExceedsLimits(_), "table");
    has_large_tables_together: fails(PolicyError::ExceedsLimits, NotDeleted);
    has_many_instances: refused(LoadError::ExceedsLimits(_), "instances");
    hoards_handles: fails(PolicyError::Sandbox(_), NotDeleted);

    passes_a_string_out_of_memory: fails(PolicyError::Sandbox(_), NotDeleted);
    passes_a_string_that_wraps: fails(PolicyError::Sandbox(_), NotDeleted);
    passes_a_long_string: fails(PolicyError::Sandbox(_), NotDeleted);
    passes_long_strings: fails(PolicyError::TooManyBytes, NotDeleted);
    passes_invalid_utf8: fails(PolicyError::Sandbox(_), NotDeleted);
    asks_without_end: fails(PolicyError::TooManyCalls, NotDeleted);
    spins_and_calls: fails(PolicyError::TooManyCalls, NotDeleted);
    locates_without_end: fails(PolicyError::TooManyCalls, NotDeleted);
    deletes_without_end: fails(PolicyError::TooManyCalls, Deleted);

    reallocs_out_of_memory: fails(PolicyError::Sandbox(_), NotDeleted);
    reallocs_unaligned: fails(PolicyError::Sandbox(_), NotDeleted);
    reallocs_the_same: deletes();
    reallocs_without_end: fails(PolicyError::CpuTimeLimit, NotDeleted);
    deletes_in_realloc: fails(PolicyError::Trapped(Trap::CannotLeaveComponent), NotDeleted);

    traps: fails(PolicyError::Trapped(Trap::UnreachableCodeReached), NotDeleted);
    divides_by_zero: fails(PolicyError::Trapped(Trap::IntegerDivisionByZero), NotDeleted);
    traps_after_deleting: fails(PolicyError::Trapped(Trap::UnreachableCodeReached), Deleted);
    traps_after_its_answer: fails(PolicyError::Trapped(Trap::UnreachableCodeReached), Deleted);

    claims_a_deletion: fails(PolicyError::FalseSuccess, NotDeleted);
    claims_a_refused_deletion: fails(PolicyError::FalseSuccess, NotDeleted);
    deletes_twice: deletes();
    deletes_at_start: deletes();
    deletes_at_start_and_traps: fails(PolicyError::Trapped(Trap::UnreachableCodeReached), Deleted);
    deletes_after_its_answer: fails(PolicyError::Trapped(Trap::CannotLeaveComponent), NotDeleted);
    remembers: deletes();

    refuses_after_deleting: fails(PolicyError::RejectedAfterDeletion { .. }, Deleted);
    refuses_with_another_codes_status: fails(PolicyError::InvalidRejection { .. }, NotDeleted);
    refuses_with_a_success: fails(PolicyError::InvalidRejection { .. }, NotDeleted);
    refuses_with_an_unknown_status: fails(PolicyError::InvalidRejection { .. }, NotDeleted);
    refuses_with_an_unknown_code: fails(PolicyError::Sandbox(_), NotDeleted);
    refuses_in_no_words: fails(PolicyError::InvalidRejection { .. }, NotDeleted);
    refuses_in_too_many_words: fails(PolicyError::InvalidRejection { .. }, NotDeleted);
    refuses_with_control_characters: fails(PolicyError::InvalidRejection { .. }, NotDeleted);
    refuses_with_c1_control_characters: fails(PolicyError::InvalidRejection { .. }, NotDeleted);
    refuses_in_invalid_utf8: fails(PolicyError::Sandbox(_), NotDeleted);
    refuses_in_words_out_of_memory: fails(PolicyError::Sandbox(_), NotDeleted);
    refuses_by_no_rule: fails(PolicyError::InvalidRejection { .. }, NotDeleted);
    refuses_by_a_rule_of_its_own_spelling: fails(PolicyError::InvalidRejection { .. }, NotDeleted);
    refuses_by_a_long_rule: fails(PolicyError::InvalidRejection { .. }, NotDeleted);
    answers_out_of_memory: fails(PolicyError::Sandbox(_), Deleted);
    answers_unaligned: fails(PolicyError::Sandbox(_), NotDeleted);
    answers_neither: fails(PolicyError::Sandbox(_), NotDeleted);

    exports_nothing: refused(LoadError::IncompatibleWorld(_), "delete-learning");
    exports_another_name: refused(LoadError::IncompatibleWorld(_), "delete-learning");
    exports_another_type: refused(LoadError::IncompatibleWorld(_), "delete-learning");
    exports_another_kind: refused(LoadError::IncompatibleWorld(_), "delete-learning");
    imports_the_network: refused(LoadError::WasiDisabled(_), "imports wasi:sockets/tcp@0.2.0; WASI is off");
    imports_the_environment: refused(LoadError::WasiDisabled(_), "imports wasi:cli/environment@0.2.0; WASI is off");
    imports_a_function: refused(LoadError::UnknownImports(_), "imports delete-everything;");
    imports_a_module: refused(LoadError::UnknownImports(_), "imports code;");
    imports_another_version: refused(LoadError::UnknownImports(_), "imports learnings:plugin/storage@0.2.0;");
    imports_more_of_storage: refused(LoadError::IncompatibleWorld(_), "delete-all");
    imports_storage_of_another_type: refused(LoadError::IncompatibleWorld(_), "delete-if-owned-by");
    is_a_core_module: refused(LoadError::CoreModule, "wasm-tools component new");
    shares_memory: refused(LoadError::Invalid(_), "threads");
}

fn fails(text: &str, is_expected: fn(&PolicyError) -> bool, record: RecordOutcome) {
    let policy = Policy::load(&text::bytes(text), &record::limits()).expect("it fits");
    run(async {
        // More often than there are places for it: none of them is lost.
        for _ in 0..3 {
            let (decision, _) = decide(&policy, "hers", None).await;
            assert!(decision.error.as_ref().is_some_and(is_expected), "{decision:?}");
            assert_eq!(decision.record, record);
            good_goes_on().await;
        }
    });
}

fn deletes(text: &str) {
    let policy = Policy::load(&text::bytes(text), &record::limits()).expect("it fits");
    run(async {
        for _ in 0..10 {
            let (decision, is_there) = decide(&policy, "hers", None).await;
            assert!(decision.answer.is_ok() && !is_there, "{decision:?}");
        }
        good_goes_on().await;
    });
}

fn refused(bytes: &[u8], is_expected: fn(&LoadError) -> bool, part: &str) {
    let error = Policy::load(bytes, &record::limits()).err().expect("it is refused");
    let reason = error.to_string();
    assert!(is_expected(&error) && reason.contains(part), "{error:?}: {reason}");
    run(good_goes_on());
}

#[test]
fn every_file_of_this_folder_has_a_test_and_says_what_must_come_of_it() {
    let mut files: Vec<String> = std::fs::read_dir(project("tests/malicious_policies"))
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wat"))
        .map(|path| path.file_stem().expect("a name").to_str().expect("text").to_owned())
        .collect();
    files.sort();
    let mut tested: Vec<&str> = COMPONENTS.iter().map(|(name, ..)| *name).collect();
    tested.sort_unstable();
    assert_eq!(files, tested);
    for (name, verb, text) in COMPONENTS {
        let comment: String = text.lines().take_while(|line| line.starts_with(";;")).collect();
        let said = match *verb {
            "fails" => "500",
            "deletes" => "204",
            _ => "refused when it is loaded",
        };
        assert!(comment.contains(said), "{name}: {comment}");
    }
}

#[test]
fn what_is_cut_short_is_refused_wherever_it_is_cut() {
    let whole = text::bytes(include_str!("deletes_twice.wat"));
    for length in (0..whole.len()).step_by(97) {
        let error = Policy::load(&whole[..length], &record::limits()).err().expect("it is refused");
        // Between two sections it may be a component still, of less than it was.
        assert!(matches!(error, LoadError::Invalid(_) | LoadError::IncompatibleWorld(_)), "{length}: {error:?}");
    }
}

#[test]
fn one_byte_more_than_a_policy_may_have_is_refused_and_so_are_200_megabytes() {
    let bytes = DEFAULT_POLICY.len();
    let limits = Limits { max_component_bytes: bytes, ..record::limits() };
    assert!(Policy::load(DEFAULT_POLICY, &limits).is_ok());
    let limits = Limits { max_component_bytes: bytes - 1, ..record::limits() };
    let error = Policy::load(DEFAULT_POLICY, &limits).err().expect("it is refused");
    assert!(error.to_string().contains(&format!("({})", bytes - 1)), "{error}");

    // The shipped policy, and behind it a custom section that makes it large.
    let mut large = DEFAULT_POLICY.to_vec();
    let size = 200_000_000_u32;
    large.push(0);
    large.extend((0..5).map(|at| (size >> (7 * at)) as u8 & 0x7f | if at < 4 { 0x80 } else { 0 }));
    large.resize(large.len() + size as usize, 0);
    refused(&large, |error| matches!(error, LoadError::TooLarge { max: 16_777_216, .. }), "max_component_bytes");
}
