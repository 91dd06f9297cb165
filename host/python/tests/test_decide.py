"""Decisions, guards, limits, threads and processes."""

import asyncio
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import pytest

from delete_learning import (
    Caller,
    Credential,
    ErrorCode,
    FailureKind,
    Guard,
    IdentityError,
    IdentityErrorKind,
    Limits,
    LoadError,
    Outcome,
    Policy,
    PolicyFailure,
    Rejection,
    Request,
    StorageError,
    StorageErrorKind,
)
from support import (
    ALICE,
    CALLS,
    FEW,
    LEARNING,
    LEGAL_HOLD,
    REQUEST,
    SECURITY_KEY,
    Identity,
    Record,
    assembled,
    decide_with,
    policy,
    raises_failure,
)

ABSENT = Rejection(404, ErrorCode.NOT_FOUND, "Learning not found", "learning-absent")
TOO_LONG = 60.0
"""Seconds after which a test fails that would otherwise hang."""


def test_owner_deletes_its_record() -> None:
    record = Record()
    assert policy().decide(REQUEST, Identity(), record) is None
    assert (record.learning, record.calls) == (None, ["delete_if_owned_by"])
    assert policy().decide(REQUEST, Identity(), record) == ABSENT


def test_rejection_has_enums() -> None:
    rejection = policy().decide(REQUEST, Identity(IdentityError(IdentityErrorKind.MISSING, Credential.JWT)), Record())
    assert rejection is not None
    assert rejection.code is ErrorCode.UNAUTHENTICATED
    assert (rejection.code.api_name, rejection.code.status) == ("UNAUTHENTICATED", 401)


ONLY_OF_DELETES = (StorageErrorKind.DENIED, StorageErrorKind.OUTCOME_UNKNOWN)


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (function, kind)
        for function in CALLS
        for kind in StorageErrorKind
        if function.startswith("delete") or kind not in ONLY_OF_DELETES
    ],
)
def test_storage_error_is_answered(function: str, kind: StorageErrorKind) -> None:
    rejection = decide_with(function, StorageError(kind, "on hold"))
    assert rejection is not None
    assert rejection.code.status == rejection.status


@pytest.mark.parametrize("kind", list(IdentityErrorKind))
def test_identity_error_is_answered(kind: IdentityErrorKind) -> None:
    rejection = policy().decide(REQUEST, Identity(IdentityError(kind, Credential.JWT, "why")), Record())
    assert rejection is not None
    assert rejection.status in (401, 403, 429, 500, 503)


def test_guard_retains_a_held_record(caplog: pytest.LogCaptureFixture) -> None:
    held = Record(learning=replace(LEARNING, metadata='{"legal_hold": true}'))
    with caplog.at_level(logging.INFO, logger="delete_learning"):
        rejection = policy(guarded=True).decide(REQUEST, Identity(SECURITY_KEY), held)
    assert rejection is not None
    assert (rejection.status, rejection.rule) == (403, "deletion-denied")
    assert held.learning is not None
    assert "the guard legal-hold denied the deletion" in caplog.messages
    assert policy(guarded=True).decide(REQUEST, Identity(), Record()) is None


def test_guard_has_settings() -> None:
    settings = {"held_users": ["bob", "ali\u00e7e"], "unused": {"nested": {"a": 1}, "b": True}, "text": "as it is"}
    guarded = Policy(guards=[Guard(name="hold", component=LEGAL_HOLD, settings=settings)], limits=FEW)
    for owner, deleted in [("bob", False), ("ali\u00e7e", False), ("alice", True)]:
        record = Record(learning=replace(LEARNING, user_id=owner))
        rejection = guarded.decide(REQUEST, Identity(replace(ALICE, subject=owner)), record)
        assert (rejection is None, record.learning is None) == (deleted, deleted)


@pytest.mark.parametrize(
    ("component", "kind", "message", "deleted"),
    [
        ("traps", "trap", "the policy failed: it trapped: wasm trap: wasm `unreachable` instruction executed", False),
        (
            "traps_after_deleting",
            "trap",
            "the policy failed: it trapped: wasm trap: wasm `unreachable` instruction executed",
            True,
        ),
        ("spins_before_calls", "cpu-time-limit", "the policy failed: it exceeded the CPU time limit", False),
        ("spins_after_deleting", "cpu-time-limit", "the policy failed: it exceeded the CPU time limit", True),
        ("locates_endlessly", "limit", "the policy failed: it called the host too often", False),
        ("passes_strings_above_total", "limit", "the policy failed: it passed too many bytes to the host", False),
        (
            "reports_success_without_delete",
            "misreport",
            "the policy failed: it reported a deletion that did not happen",
            False,
        ),
        (
            "rejects_after_deleting",
            "misreport",
            'the policy failed: it rejected the request after deleting the record, by the rule "blocked"',
            True,
        ),
        (
            "rejects_with_empty_detail",
            "misreport",
            "the policy failed: its rejection violates the contract: its detail is empty or too long",
            False,
        ),
    ],
)
def test_malicious_policy_fails(component: str, kind: str, message: str, deleted: bool) -> None:
    malicious = Policy(assembled(component), limits=FEW)
    with raises_failure(kind, message, deleted=deleted):
        malicious.decide(REQUEST, Identity(SECURITY_KEY), Record())
    assert policy().decide(REQUEST, Identity(), Record()) is None, "others are not affected"


def test_sandbox_stops_a_policy_for_another_reason() -> None:
    with pytest.raises(PolicyFailure) as raised:
        Policy(assembled("returns_invalid_discriminant"), limits=FEW).decide(REQUEST, Identity(), Record())
    assert (raised.value.kind, raised.value.deleted) == (FailureKind.SANDBOX, False)


def test_guard_that_violates_a_rule_fails() -> None:
    guard = Guard(name="liar", component=assembled("guards/returns_deleted_without_deleting"))
    message = 'the guard "liar" failed: it violated a rule of guards: it returned deleted although nothing was deleted'
    with raises_failure("guard-violation", message, deleted=False):
        Policy(guards=[guard], limits=FEW).decide(REQUEST, Identity(), Record())


@pytest.mark.parametrize(("outcome", "deleted"), [(Outcome.DELETED, True), (Outcome.ABSENT, False)])
def test_delete_that_returns_after_the_execution_timeout_is_reported(outcome: Outcome, deleted: bool) -> None:
    class Slow(Record):
        def delete_if_owned_by(self, user_id: str) -> Outcome:
            time.sleep(0.3)
            return outcome

    policy = Policy(limits=replace(FEW, execution_timeout_ms=100))
    with raises_failure("execution-timeout", "the policy failed: it exceeded the execution timeout", deleted=deleted):
        policy.decide(REQUEST, Identity(), Slow())


def test_execution_timeout_fails() -> None:
    slow = Policy(assembled("wasi/sleeps"), grants=wasi("wasi/sleeps"), limits=replace(FEW, execution_timeout_ms=50))
    with raises_failure("execution-timeout", "the policy failed: it exceeded the execution timeout", deleted=False):
        slow.decide(REQUEST, Identity(), Record())


def wasi(component: str) -> list[str]:
    """All grants that a component needs, from the error that lists them."""
    with pytest.raises(LoadError, match="which it is not granted") as raised:
        Policy(assembled(component), limits=FEW)
    return str(raised.value).split("grants = [")[1].rstrip("]").replace('"', "").split(", ")


def test_output_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    talkative = Policy(assembled("wasi/prints"), grants=wasi("wasi/prints"), limits=FEW)
    with caplog.at_level(logging.INFO, logger="delete_learning"):
        # Writes the id once for each byte of the database.
        talkative.decide(Request("hello", "ab"), Identity(), Record())
    assert "output of policy: hellohello" in caplog.messages


def test_deletion_before_an_invalid_answer_is_reported() -> None:
    class Answers(Record):
        """Deletes, and then returns something invalid."""

        def delete(self) -> Any:
            return super().delete() if self.learning else "gone"

    message = "storage.delete returned 'gone'; expected one of 'absent', 'deleted'"
    with raises_failure("storage", message, deleted=True):
        Policy(assembled("deletes_twice"), limits=FEW).decide(REQUEST, Identity(SECURITY_KEY), Answers())


def test_interrupt_passes_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    for function, message in [
        ("locate", []),
        ("find", []),
        ("delete", ["a decision was interrupted; record deleted: unknown"]),
    ]:
        caplog.clear()
        with pytest.raises(KeyboardInterrupt):
            decide_with(function, KeyboardInterrupt())
        assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == message
    assert policy().decide(REQUEST, Identity(), Record()) is None, "the permit was returned"


def test_real_interrupt_ends_a_slow_storage() -> None:
    class Slow(Record):
        def delete_if_owned_by(self, user_id: str) -> Any:
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            time.sleep(TOO_LONG)

    # A process that a shell starts in the background ignores the signal.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        begin = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            policy().decide(REQUEST, Identity(), Slow())
        assert time.monotonic() - begin < TOO_LONG / 2
    finally:
        signal.signal(signal.SIGINT, inherited)


def test_permits_bound_the_decisions_and_the_queue_has_a_timeout() -> None:
    small = Policy(limits=replace(FEW, max_concurrent_instances=2, queue_timeout_ms=50))
    running, release = threading.Semaphore(0), threading.Event()

    class Waits(Record):
        def delete_if_owned_by(self, user_id: str) -> Any:
            running.release()
            assert release.wait(TOO_LONG)
            return super().delete_if_owned_by(user_id)

    with ThreadPoolExecutor(2) as executor:
        occupying = [executor.submit(small.decide, REQUEST, Identity(), Waits()) for _ in range(2)]
        for _ in range(2):
            assert running.acquire(timeout=TOO_LONG)
        record = Record()
        rejection = small.decide(REQUEST, Identity(), record)
        release.set()
        assert [each.result(TOO_LONG) for each in occupying] == [None, None]
    assert rejection is not None
    assert (rejection.status, rejection.rule, record.calls) == (503, "sandbox-overloaded", [])


def test_many_threads_get_their_own_answers() -> None:
    def decide(number: int) -> bool:
        owner = f"user-{number}"
        record = Record(learning=replace(LEARNING, user_id=owner if number % 2 else "another"))
        rejection = policy(guarded=number % 3 == 0).decide(REQUEST, Identity(replace(ALICE, subject=owner)), record)
        return (rejection is None) == bool(number % 2) == (record.learning is None)

    with ThreadPoolExecutor(8) as executor:
        assert all(executor.map(decide, range(2000)))


def test_other_threads_run_while_a_policy_spins() -> None:
    """The GIL is released while a policy runs."""
    spinning = Policy(assembled("spins_before_calls"), limits=replace(FEW, cpu_time_limit_ms=400))
    done = threading.Event()

    def decide() -> None:
        with pytest.raises(PolicyFailure):
            spinning.decide(REQUEST, Identity(), Record())
        done.set()

    thread = threading.Thread(target=decide)
    thread.start()
    steps = 0
    while not done.is_set():
        steps += 1
        time.sleep(0.001)
    thread.join()
    assert steps > 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("warm", [False, True], ids=["compiled in the child", "cached"])
def test_forked_process_decides(warm: bool, tmp_path: Path) -> None:
    directory: Path | Literal[False] = tmp_path / "cache" if warm else False
    inherited = Policy(cache_directory=directory, limits=FEW)
    spinning = Policy(assembled("spins_before_calls"), cache_directory=directory, limits=FEW)
    assert inherited.decide(REQUEST, Identity(), Record()) is None

    def child() -> None:
        assert inherited.decide(REQUEST, Identity(), Record()) is None
        # Stopped by the ticker thread of the child.
        with raises_failure("cpu-time-limit", "the policy failed: it exceeded the CPU time limit", deleted=False):
            spinning.decide(REQUEST, Identity(), Record())

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(TOO_LONG)
    if process.is_alive():
        process.kill()
    assert process.exitcode == 0
    assert inherited.decide(REQUEST, Identity(), Record()) is None


def test_interpreter_exits_while_decisions_run() -> None:
    program = """
        import threading, time
        from support import *
        class Slow(Record):
            def delete_if_owned_by(self, user_id):
                time.sleep(60)
        decide = lambda: policy().decide(REQUEST, Identity(), Slow())
        for _ in range(2):
            threading.Thread(target=decide, daemon=True).start()
        time.sleep(0.5)
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=Path(__file__).parent, timeout=TOO_LONG, check=True
    )


def test_components_are_bytes_or_files(tmp_path: Path) -> None:
    file = tmp_path / "policy.wasm"
    file.write_bytes(assembled("reports_success_without_delete"))
    policies = [Policy(component, limits=FEW) for component in (file, str(file), file.read_bytes())]
    assert len({each.sha256 for each in policies}) == 1
    assert policies[0].sha256 != policy().sha256
    assert policies[0].limits == FEW


ANY: Any = None


@pytest.mark.parametrize(
    ("load", "message"),
    [
        (lambda: Policy("/nowhere.wasm"), "cannot load the policy (/nowhere.wasm): cannot be read: No such file"),
        (lambda: Policy(b"x"), "cannot load the policy: this is not a valid WebAssembly component"),
        (lambda: Policy(5), "the component of the policy is 5; expected bytes or a path"),  # type: ignore[arg-type]
        (lambda: Policy(assembled("is_core_module")), "cannot load the policy: this is a core WebAssembly module"),
        (lambda: Policy(assembled("imports_wasi_sockets")), "cannot load the policy: the component imports wasi:"),
        (lambda: Policy(LEGAL_HOLD), "the component is a guard, not a policy"),
        (
            lambda: Policy(guards=[Guard(name="a", component=assembled("traps"))]),
            "cannot load the guard 'a': the component is a policy, not a guard",
        ),
        (
            lambda: Policy(guards=[Guard(name="a", component="/nowhere.wasm")]),
            "cannot load the guard 'a' (/nowhere.wasm): cannot be read",
        ),
        (lambda: Policy(guards=[Guard(name="A", component=b"")]), "Guard.name is 'A'; expected 1 to 64 characters"),
        (lambda: Policy(guards=[Guard(name=ANY, component=b"")]), "Guard.name is None; expected 1 to 64 characters"),
        (lambda: Policy(guards=[Guard(name="a", component=b"")] * 2), "several guards have the name 'a'"),
        (
            lambda: Policy(guards=[Guard(name=f"a{n}", component=LEGAL_HOLD) for n in range(5)]),
            "there are 5 guards, which exceeds max_guards (4)",
        ),
        (lambda: Policy(settings={"a": "b"}), "settings and grants need a component"),
        (lambda: Policy(assembled("traps"), settings={5: "b"}), "the settings of the policy have the key 5"),  # type: ignore[dict-item]
        (
            lambda: Policy(assembled("traps"), settings={"a": {"b": object()}}),
            "the setting a.b of the policy is an object; expected a value of JSON",
        ),
        (
            lambda: Policy(assembled("traps"), settings={"a": float("nan")}),
            "the setting a of the policy is a float; expected a value of JSON",
        ),
        (lambda: Policy(assembled("traps"), grants="wasi"), "the grants of the policy are 'wasi'; expected a list"),
        (lambda: Policy(assembled("traps"), grants=[ANY]), "the grants of the policy are a list; expected a list"),
        (lambda: Policy(assembled("traps"), grants=["wasi"]), '"wasi" cannot be granted'),
        (lambda: Policy(cache_directory="/proc/nowhere"), "cannot use the cache directory: /proc/nowhere: "),
    ],
)
def test_unusable_component_is_refused(load: Callable[[], Policy], message: str) -> None:
    with pytest.raises(LoadError) as raised:
        load()
    assert message in str(raised.value)


def test_compiled_code_is_cached(tmp_path: Path) -> None:
    directory = tmp_path / "cache"
    for _ in range(2):
        assert Policy(cache_directory=directory, limits=FEW).decide(REQUEST, Identity(), Record()) is None
        (cached,) = directory.iterdir()
        assert cached.suffix == ".compiled-policy"
    assert directory.stat().st_mode & 0o777 == 0o700
    directory.chmod(0o777)
    with pytest.raises(LoadError, match="others can write to it"):
        Policy(cache_directory=directory)


def test_cache_of_the_user_is_used_if_it_is_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    Policy(limits=FEW)
    directory = tmp_path / "delete-learning"
    assert len(list(directory.iterdir())) == 1
    directory.chmod(0o777)
    Policy(limits=FEW)
    assert "cannot cache compiled policies" in caplog.text
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    Policy(limits=FEW)
    assert len(list((tmp_path / "home/.cache/delete-learning").iterdir())) == 1
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CACHE_HOME")
    Policy(limits=FEW)


@pytest.mark.parametrize("name", list(asdict(Limits())))
@pytest.mark.parametrize("value", [-1, "1", 1.5, True, None, 2**70])
def test_limit_out_of_range_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^Limits\.{name} is {value!r}[:;] "):
        Limits(**{name: value})


def test_limit_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="max_memory_bytes must be at least 65536") as raised:
        Limits(max_memory_bytes=1000)
    assert str(raised.value) == "Limits.max_memory_bytes is 1000: max_memory_bytes must be at least 65536"


def test_default_limits_are_those_of_the_sandbox() -> None:
    source = (Path(__file__).parents[2] / "sandbox/src/limits.rs").read_text()
    defaults = source.split("impl Default for Limits")[1].split("Self {")[2].split("}")[0]
    expected = {}
    for line in defaults.strip().splitlines():
        name, value = line.strip().rstrip(",").split(": ")
        expected[name] = eval(value)
    assert asdict(Limits()) == expected


def test_empty_request_fields_and_unusual_ids() -> None:
    for learning_id in ["", "\0", "a/b", "\ufeff", "\U0001f9e0", "x" * 10_000]:
        assert policy().decide(Request(learning_id, "", ""), Identity(), Record()) is None


def test_outcome_unknown_is_an_answer() -> None:
    rejection = decide_with("delete_if_owned_by", StorageError(StorageErrorKind.OUTCOME_UNKNOWN, "no result"))
    assert rejection is not None
    assert rejection.status == 500


def test_unknown_outcome_stays_unknown_in_a_failure() -> None:
    record = Record({"delete_if_owned_by": StorageError(StorageErrorKind.OUTCOME_UNKNOWN)})
    with pytest.raises(PolicyFailure) as raised:
        Policy(assembled("reports_success_after_failed_delete"), limits=FEW).decide(REQUEST, Identity(), record)
    assert (raised.value.kind, raised.value.deleted) == (FailureKind.MISREPORT, None)


def test_outcomes_have_the_names_of_the_contract() -> None:
    """Every enum has exactly the cases of `wit/`."""
    wit = Path(__file__).resolve().parents[3] / "wit"
    text = "".join(file.read_text() for file in wit.glob("*.wit"))
    for enum, name in [
        (Credential, "credential"),
        (IdentityErrorKind, "identity-error-kind"),
        (Outcome, "outcome"),
        (StorageErrorKind, "storage-error-kind"),
        (ErrorCode, "error-code"),
    ]:
        body = text.split(f"enum {name} {{")[1].split("}")[0]
        cases = {line.strip().rstrip(",") for line in body.splitlines() if line.strip() and "///" not in line}
        assert {str(case) for case in enum} == cases


def test_caller_has_strict_defaults() -> None:
    caller = Caller(Credential.JWT, "alice")
    assert (caller.scopes, caller.scopes_optional, caller.all_owners) == ((), False, False)
    rejection = policy().decide(REQUEST, Identity(caller), Record())
    assert rejection is not None
    assert rejection.rule == "missing-scope"


def test_kept_failures_keep_no_permits() -> None:
    small = Policy(limits=replace(FEW, max_concurrent_instances=1, queue_timeout_ms=0))
    kept: list[PolicyFailure] = []
    for _ in range(3):
        for record in (Record({"delete_if_owned_by": "gone"}), Record({"delete_if_owned_by": ValueError()})):
            for decide in (small.decide, lambda *arguments: asyncio.run(small.decide_async(*arguments))):
                with pytest.raises(PolicyFailure) as raised:
                    decide(REQUEST, Identity(), record)
                kept.append(raised.value)
    assert {failure.kind for failure in kept} == {FailureKind.STORAGE}
    assert small.decide(REQUEST, Identity(), Record()) is None
