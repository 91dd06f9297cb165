//! The macros that make a crate a component. Natively, they only check the type of the function.

/// Exports a function as a policy.
///
/// The function decides on a request, and deletes the record through `host` if the caller has permission:
///
/// ```
/// # use delete_learning_sdk::{DeleteRequest, ErrorCode, PolicyHost, Rejection, export_policy};
/// pub async fn refuse(_request: &DeleteRequest, _host: &impl PolicyHost) -> Result<(), Rejection> {
///     Err(Rejection::new(ErrorCode::Forbidden, "read-only", "No learning can be deleted".into()))
/// }
///
/// export_policy!(refuse);
/// ```
///
/// A function that needs settings or the time has the argument `host: &(impl PolicyHost + Environment)`.
#[macro_export]
macro_rules! export_policy {
    ($function:path) => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "an exported function receives raw pointers")]
        const _: () = {
            struct Component;

            impl $crate::contract::policy::Guest for Component {
                fn delete_learning(request: $crate::DeleteRequest) -> ::core::result::Result<(), $crate::Rejection> {
                    $crate::component::poll_once($function(&request, &$crate::component::ComponentHost))
                }
            }

    $crate::contract::policy::export_policy_world!(Component with_types_in $crate::contract::policy);
        };

        #[cfg(not(target_family = "wasm"))]
        const _: fn(&$crate::DeleteRequest, &$crate::testing::TestHost) =
            |request, host| $crate::testing::assert_policy($function(request, host));
    };
}

/// Exports a function as a guard.
///
/// The function decides whether a record can be deleted. It is called only for a delete that would otherwise happen, and
/// returns nothing, or a sentence for the caller that states why the record cannot be deleted:
///
/// ```
/// # use delete_learning_sdk::{Caller, Environment, Learning, export_guard};
/// pub fn keep_profiles(learning: &Learning, _: &Caller, _: &impl Environment) -> Result<(), String> {
///     if learning.learning_type == "user_profile" { Err("A user profile cannot be deleted".into()) } else { Ok(()) }
/// }
///
/// export_guard!(keep_profiles);
/// ```
#[macro_export]
macro_rules! export_guard {
    ($function:path) => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "an exported function receives raw pointers")]
        const _: () = {
            use $crate::contract::guard::exports::learnings::plugin::storage;
            use $crate::{PolicyHost as _, component::ComponentHost, component::poll_once};

            struct Component;

            impl storage::Guest for Component {
                fn locate() -> ::core::result::Result<storage::Target, storage::StorageError> {
                    poll_once(ComponentHost.locate())
                }

                fn find() -> ::core::result::Result<storage::Lookup, storage::StorageError> {
                    poll_once(ComponentHost.find()).map(|learning| storage::Lookup { learning })
                }

                fn delete() -> ::core::result::Result<storage::Outcome, storage::StorageError> {
                    poll_once($crate::Guarded::new(&ComponentHost, $function).delete())
                }

                fn delete_if_owned_by(
                    user_id: $crate::String,
                ) -> ::core::result::Result<storage::Outcome, storage::StorageError> {
                    poll_once($crate::Guarded::new(&ComponentHost, $function).delete_if_owned_by(&user_id))
                }

                fn delete_if_unchanged(
                    revision: $crate::String,
                ) -> ::core::result::Result<storage::Outcome, storage::StorageError> {
                    poll_once($crate::Guarded::new(&ComponentHost, $function).delete_if_unchanged(&revision))
                }
            }

    $crate::contract::guard::export_guard_world!(Component with_types_in $crate::contract::guard);
        };

        #[cfg(not(target_family = "wasm"))]
        const _: fn(
            &$crate::Learning,
            &$crate::Caller,
            &$crate::testing::TestHost,
        ) -> ::core::result::Result<(), $crate::String> = $function;
    };
}
