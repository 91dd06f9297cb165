"""Every wrong answer, type and exception that the host's own code can make, with its message."""

from dataclasses import replace
from typing import Any

import pytest

from delete_learning import (
    Caller,
    Credential,
    IdentityError,
    IdentityErrorKind,
    Outcome,
    PolicyFailure,
    Request,
    StorageError,
    StorageErrorKind,
    Target,
)
from support import (
    ALICE,
    CALLS,
    DELETES,
    LEARNING,
    REQUEST,
    Identity,
    Record,
    decide_with,
    policy,
    raises_failure,
)

LONE_SURROGATE = "a\ud800"
UNPAIRED = "has the unpaired surrogate U+D800 at index 1; expected text that UTF-8 can represent"
CREDENTIALS = "'jwt', 'service-account', 'security-key', 'none'"
IDENTITY_KINDS = (
    "'missing', 'malformed', 'invalid', 'expired', 'wrong-audience', 'reserved-subject', 'not-enabled', "
    "'rate-limited', 'unavailable', 'internal'"
)
READ_KINDS = (
    "'invalid-learning-id', 'repeated-parameter', 'database-required', 'unknown-database', 'unknown-table', "
    "'unsupported', 'unavailable', 'internal'"
)
DELETE_KINDS = (
    "'invalid-learning-id', 'repeated-parameter', 'database-required', 'unknown-database', 'unknown-table', "
    "'unsupported', 'denied', 'unavailable', 'outcome-unknown', 'internal'"
)
OUTCOMES = {
    "delete": "'absent', 'deleted'",
    "delete_if_owned_by": "'absent', 'unowned', 'owned-by-another', 'deleted'",
    "delete_if_unchanged": "'absent', 'changed', 'deleted'",
}
ANY: Any = None

NO_TEXT = [
    (5, "5"),
    (True, "True"),
    (b"a", "a bytes"),
    (["a"], "a list"),
    (object(), "an object"),
]
NO_BOOL = [(1, "1"), (0, "0"), (None, "None"), ("false", "'false'"), ("x" * 50, "a str of 50 characters")]
NO_TIME = [("5", "'5'"), (1.5, "1.5"), (True, "True"), (LEARNING, "a Learning")]


def fails_in_current(result: object, message: str) -> None:
    record = Record()
    with raises_failure("identity", message, deleted=False):
        policy().decide(REQUEST, Identity(result), record)
    assert record.calls == []


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "None"),
        ("alice", "'alice'"),
        ({"subject": "alice"}, "a dict"),
        (Caller, "the class Caller"),
        (IdentityError(IdentityErrorKind.MISSING, Credential.JWT).args, "a tuple"),
    ],
)
def test_current_returns_no_caller(value: object, shown: str) -> None:
    fails_in_current(value, f"identity.current returned {shown}; expected a Caller")


def test_current_is_asynchronous_in_decide() -> None:
    async def current() -> Caller:
        return ALICE

    message = "identity.current returned a coroutine; expected a Caller; use decide_async for functions that are async"
    fails_in_current(current(), message)


@pytest.mark.parametrize(
    ("value", "shown"), [*NO_TEXT, (None, "None"), ("JWT", "'JWT'"), ("x" * 50, "a str of 50 characters")]
)
def test_caller_has_wrong_credential(value: Any, shown: str) -> None:
    caller = replace(ALICE, credential=value)
    message = f"identity.current returned a Caller whose credential is {shown}; expected one of {CREDENTIALS}"
    fails_in_current(caller, message)


@pytest.mark.parametrize(("value", "shown"), NO_TEXT)
def test_caller_has_wrong_subject(value: Any, shown: str) -> None:
    caller = replace(ALICE, subject=value)
    fails_in_current(caller, f"identity.current returned a Caller whose subject is {shown}; expected a str or None")


@pytest.mark.parametrize(("value", "shown"), [*NO_TEXT, (None, "None")])
def test_caller_has_wrong_admin_scope(value: Any, shown: str) -> None:
    caller = replace(ALICE, admin_scope=value)
    fails_in_current(caller, f"identity.current returned a Caller whose admin_scope is {shown}; expected a str")


@pytest.mark.parametrize(
    ("value", "shown"),
    [("x", "'x'"), (None, "None"), ({"x"}, "a set"), ({"x": 1}, "a dict"), (iter(["x"]), "a list_iterator")],
)
def test_caller_has_wrong_scopes(value: Any, shown: str) -> None:
    caller = replace(ALICE, scopes=value)
    fails_in_current(caller, f"identity.current returned a Caller whose scopes is {shown}; expected a list of str")


@pytest.mark.parametrize(("value", "shown"), [*NO_TEXT, (None, "None")])
def test_caller_has_wrong_scope(value: Any, shown: str) -> None:
    caller = replace(ALICE, scopes=["a", value])
    fails_in_current(caller, f"identity.current returned a Caller whose scopes[1] is {shown}; expected a str")


@pytest.mark.parametrize("name", ["scopes_optional", "all_owners"])
@pytest.mark.parametrize(("value", "shown"), NO_BOOL)
def test_caller_has_wrong_flag(name: str, value: Any, shown: str) -> None:
    caller = replace(ALICE, **{name: value})
    fails_in_current(caller, f"identity.current returned a Caller whose {name} is {shown}; expected True or False")


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("subject", LONE_SURROGATE, "subject"),
        ("admin_scope", LONE_SURROGATE, "admin_scope"),
        ("scopes", [LONE_SURROGATE], "scopes[0]"),
    ],
)
def test_caller_has_unpaired_surrogate(name: str, value: Any, shown: str) -> None:
    fails_in_current(replace(ALICE, **{name: value}), f"identity.current returned a Caller whose {shown} {UNPAIRED}")


@pytest.mark.parametrize(
    ("value", "shown"), [*NO_TEXT, (None, "None"), ("Missing", "'Missing'"), ("denied", "'denied'")]
)
def test_identity_error_has_wrong_kind(value: Any, shown: str) -> None:
    message = f"identity.current raised an IdentityError whose kind is {shown}; expected one of {IDENTITY_KINDS}"
    fails_in_current(IdentityError(value, Credential.JWT), message)


@pytest.mark.parametrize(("value", "shown"), [*NO_TEXT, (None, "None"), ("bearer", "'bearer'")])
def test_identity_error_has_wrong_credential(value: Any, shown: str) -> None:
    message = f"identity.current raised an IdentityError whose credential is {shown}; expected one of {CREDENTIALS}"
    fails_in_current(IdentityError(IdentityErrorKind.MISSING, value), message)


@pytest.mark.parametrize(("value", "shown"), [*NO_TEXT, (None, "None")])
def test_identity_error_has_wrong_message(value: Any, shown: str) -> None:
    message = f"identity.current raised an IdentityError whose message is {shown}; expected a str"
    fails_in_current(IdentityError(IdentityErrorKind.MISSING, Credential.JWT, value), message)


def test_identity_error_has_unpaired_surrogate() -> None:
    error = IdentityError(IdentityErrorKind.MISSING, Credential.JWT, LONE_SURROGATE)
    fails_in_current(error, f"identity.current raised an IdentityError whose message {UNPAIRED}")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("secret"),
        StopIteration(),
        StorageError(StorageErrorKind.INTERNAL),
        PolicyFailure(ANY, "", deleted=True),
    ],
)
def test_current_raises_unexpected_exception(error: Exception) -> None:
    with raises_failure("identity", f"identity.current raised {type(error).__name__}", deleted=False) as raised:
        policy().decide(REQUEST, Identity(error), Record())
    assert raised.value.__cause__ is error
    assert error.__traceback__ is not None


def deleted_after(function: str) -> bool | None:
    """An invalid answer of a delete leaves the outcome unknown; another one deleted nothing."""
    return None if function in DELETES else False


def fails_in_storage(function: str, result: object, message: str) -> None:
    with raises_failure("storage", message, deleted=deleted_after(function)):
        decide_with(function, result)


@pytest.mark.parametrize("function", DELETES)
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("delted", "'delted'"),
        ("DELETED", "'DELETED'"),
        ("", "''"),
        (None, "None"),
        (True, "True"),
        (1, "1"),
        (Outcome, "the class Outcome"),
        ([Outcome.DELETED], "a list"),
        ("x" * 50, "a str of 50 characters"),
    ],
)
def test_delete_returns_no_outcome(function: str, value: object, shown: str) -> None:
    message = f"storage.{function} returned {shown}; expected one of {OUTCOMES[function]}"
    fails_in_storage(function, value, message)


@pytest.mark.parametrize(
    ("function", "outcome"),
    [
        ("delete", Outcome.UNOWNED),
        ("delete", Outcome.OWNED_BY_ANOTHER),
        ("delete", Outcome.CHANGED),
        ("delete_if_owned_by", Outcome.CHANGED),
        ("delete_if_unchanged", Outcome.UNOWNED),
        ("delete_if_unchanged", Outcome.OWNED_BY_ANOTHER),
    ],
)
def test_delete_returns_outcome_of_another_function(function: str, outcome: Outcome) -> None:
    message = f"storage.{function} returned '{outcome}'; expected one of {OUTCOMES[function]}"
    fails_in_storage(function, outcome, message)


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "None"), ("main", "'main'"), (("main", "t"), "a tuple"), (Target, "the class Target")]
)
def test_locate_returns_no_target(value: object, shown: str) -> None:
    fails_in_storage("locate", value, f"storage.locate returned {shown}; expected a Target")


@pytest.mark.parametrize("name", ["database", "table"])
@pytest.mark.parametrize(("value", "shown"), [*NO_TEXT, (None, "None")])
def test_target_has_wrong_field(name: str, value: Any, shown: str) -> None:
    target = replace(Target("main", "agno_learnings"), **{name: value})
    fails_in_storage("locate", target, f"storage.locate returned a Target whose {name} is {shown}; expected a str")


@pytest.mark.parametrize("name", ["database", "table"])
def test_target_has_unpaired_surrogate(name: str) -> None:
    target = replace(Target("main", "agno_learnings"), **{name: LONE_SURROGATE})
    fails_in_storage("locate", target, f"storage.locate returned a Target whose {name} {UNPAIRED}")


@pytest.mark.parametrize(
    ("value", "shown"), [(False, "False"), ({}, "a dict"), ((LEARNING,), "a tuple"), (Outcome.ABSENT, "'absent'")]
)
def test_find_returns_no_learning(value: object, shown: str) -> None:
    fails_in_storage("find", value, f"storage.find returned {shown}; expected a Learning or None")


REQUIRED_COLUMNS = ["learning_type", "content", "revision"]
OPTIONAL_COLUMNS = [
    "namespace",
    "user_id",
    "agent_id",
    "team_id",
    "workflow_id",
    "session_id",
    "entity_id",
    "entity_type",
    "metadata",
]


def fails_with_column(name: str, value: Any, message: str) -> None:
    fails_in_storage(
        "find", replace(LEARNING, **{name: value}), f"storage.find returned a Learning whose {name} {message}"
    )


@pytest.mark.parametrize("name", REQUIRED_COLUMNS)
@pytest.mark.parametrize(("value", "shown"), [*NO_TEXT, (None, "None"), ({"a": 1}, "a dict")])
def test_learning_has_wrong_required_column(name: str, value: object, shown: str) -> None:
    fails_with_column(name, value, f"is {shown}; expected a str")


@pytest.mark.parametrize("name", OPTIONAL_COLUMNS)
@pytest.mark.parametrize(("value", "shown"), [*NO_TEXT, ({"a": 1}, "a dict")])
def test_learning_has_wrong_optional_column(name: str, value: object, shown: str) -> None:
    fails_with_column(name, value, f"is {shown}; expected a str or None")


@pytest.mark.parametrize("name", REQUIRED_COLUMNS + OPTIONAL_COLUMNS)
def test_learning_has_unpaired_surrogate(name: str) -> None:
    fails_with_column(name, LONE_SURROGATE, UNPAIRED)


@pytest.mark.parametrize(("value", "shown"), [*NO_TIME, (None, "None")])
def test_learning_has_wrong_created_at(value: object, shown: str) -> None:
    fails_with_column("created_at", value, f"is {shown}; expected an int: seconds since 1970")


@pytest.mark.parametrize(("value", "shown"), NO_TIME)
def test_learning_has_wrong_updated_at(value: object, shown: str) -> None:
    fails_with_column("updated_at", value, f"is {shown}; expected an int or None: seconds since 1970")


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**30])
def test_learning_has_time_out_of_range(value: int) -> None:
    fails_with_column("created_at", value, "is out of range; expected an int of 64 bits: seconds since 1970")
    fails_with_column("updated_at", value, "is out of range; expected an int of 64 bits or None: seconds since 1970")


def test_learning_has_too_long_revision() -> None:
    fails_with_column("revision", "é" * 129, "has 258 bytes; expected at most 256")
    assert (
        decide_with(
            "find", replace(LEARNING, revision="é" * 128), Record(learning=replace(LEARNING, revision="é" * 128))
        )
        is None
    )


@pytest.mark.parametrize("function", list(CALLS))
@pytest.mark.parametrize(
    ("value", "shown"), [*NO_TEXT, (None, "None"), ("Denied", "'Denied'"), ("missing", "'missing'")]
)
def test_storage_error_has_wrong_kind(function: str, value: Any, shown: str) -> None:
    kinds = DELETE_KINDS if function in DELETES else READ_KINDS
    message = f"storage.{function} raised a StorageError whose kind is {shown}; expected one of {kinds}"
    fails_in_storage(function, StorageError(value), message)


@pytest.mark.parametrize("function", ["locate", "find"])
@pytest.mark.parametrize("kind", [StorageErrorKind.DENIED, StorageErrorKind.OUTCOME_UNKNOWN])
def test_read_raises_error_of_delete(function: str, kind: StorageErrorKind) -> None:
    message = f"storage.{function} raised a StorageError whose kind is '{kind}'; expected one of {READ_KINDS}"
    fails_in_storage(function, StorageError(kind), message)


@pytest.mark.parametrize("function", list(CALLS))
@pytest.mark.parametrize(("value", "shown"), [*NO_TEXT, (None, "None")])
def test_storage_error_has_wrong_message(function: str, value: Any, shown: str) -> None:
    error = StorageError(StorageErrorKind.INTERNAL, value)
    fails_in_storage(
        function, error, f"storage.{function} raised a StorageError whose message is {shown}; expected a str"
    )


@pytest.mark.parametrize("function", list(CALLS))
def test_storage_error_has_unpaired_surrogate(function: str) -> None:
    error = StorageError(StorageErrorKind.INTERNAL, LONE_SURROGATE)
    fails_in_storage(function, error, f"storage.{function} raised a StorageError whose message {UNPAIRED}")


@pytest.mark.parametrize("function", list(CALLS))
@pytest.mark.parametrize(
    "error",
    [ValueError("secret"), StopIteration(), IdentityError(IdentityErrorKind.INTERNAL, Credential.JWT), TimeoutError()],
)
def test_storage_raises_unexpected_exception(function: str, error: Exception) -> None:
    message = f"storage.{function} raised {type(error).__name__}"
    with raises_failure("storage", message, deleted=deleted_after(function)) as raised:
        decide_with(function, error)
    assert raised.value.__cause__ is error
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    assert traceback is not None
    assert traceback.tb_frame.f_code.co_name == "give", "the traceback ends in the host's own code"


@pytest.mark.parametrize("function", list(CALLS))
def test_storage_has_no_such_function(function: str) -> None:
    class Incomplete:
        def __getattr__(self, name: str) -> Any:
            if name == function:
                raise AttributeError(name)
            return getattr(Record(), name)

    caller, guarded = CALLS[function]
    with raises_failure("storage", f"storage.{function} raised AttributeError", deleted=deleted_after(function)):
        policy(guarded=guarded).decide(REQUEST, Identity(caller), Incomplete())


@pytest.mark.parametrize("function", list(CALLS))
def test_storage_is_asynchronous_in_decide(function: str) -> None:
    async def call() -> None:
        raise AssertionError("it must not run")

    with pytest.raises(
        PolicyFailure, match=rf"storage\.{function} returned a coroutine; .*; use decide_async"
    ) as raised:
        decide_with(function, call())
    assert raised.value.deleted is deleted_after(function)


def test_plain_strings_are_as_good_as_enums() -> None:
    caller = Caller("jwt", "alice", ("learnings:delete",))  # type: ignore[arg-type]
    record = Record({"delete_if_owned_by": "deleted"})
    assert policy().decide(REQUEST, Identity(caller), record) is None
    record = Record({"delete_if_owned_by": StorageError("unavailable")})  # type: ignore[arg-type]
    rejection = policy().decide(REQUEST, Identity(caller), record)
    assert rejection is not None
    assert rejection.status == 503


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ("a", "decide was called with 'a'; expected a Request"),
        (Request(ANY), "decide was called with a Request whose learning_id is None; expected a str"),
        (Request(LONE_SURROGATE), f"decide was called with a Request whose learning_id {UNPAIRED}"),
        (Request("a", 5), "decide was called with a Request whose db_id is 5; expected a str or None"),  # type: ignore[arg-type]
        (Request("a", None, LONE_SURROGATE), f"decide was called with a Request whose table {UNPAIRED}"),
    ],
)
def test_request_is_invalid(request_: Any, message: str) -> None:
    with pytest.raises(ValueError, match="decide was called") as raised:
        policy().decide(request_, Identity(), Record())
    assert str(raised.value) == message
