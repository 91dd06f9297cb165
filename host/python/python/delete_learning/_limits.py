"""The limits of the sandbox."""

import json
from dataclasses import asdict, dataclass

from . import _native


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a policy and of each of its guards. The keys of `[sandbox]` in the configuration of the server.

    Raises `ValueError` if a limit is no number in its range.
    """

    max_component_bytes: int = 16 * 1024 * 1024
    """Maximum size of a component in bytes."""
    max_concurrent_instances: int = 256
    """Maximum number of decisions that run at once. A further one waits."""
    max_guards: int = 4
    """Maximum number of guards."""
    queue_timeout_ms: int = 2_000
    """Milliseconds that a decision waits until it can run. Then it is rejected with 503."""
    execution_timeout_ms: int = 10_000
    """Milliseconds from the start of a policy to its result, guards and calls to `storage` included."""
    cpu_time_limit_ms: int = 100
    """Milliseconds of processor time of the policy or a guard, calls to the host excluded."""
    max_memory_bytes: int = 16 * 1024 * 1024
    """Maximum bytes of linear memory."""
    max_table_elements: int = 10_000
    """Maximum elements of tables together, and maximum number of resource handles."""
    max_stack_bytes: int = 256 * 1024
    """Maximum bytes of stack."""
    max_core_instances: int = 16
    """Maximum number each of core instances, memories and tables of a component."""
    max_host_calls: int = 64
    """Maximum number of calls to `identity` and `storage` in one decision."""
    max_host_call_bytes: int = 64 * 1024
    """Maximum bytes that a component can pass to the host in one decision."""
    max_wasi_calls: int = 1000
    """Maximum number of calls to WASI in one decision."""
    max_captured_output_bytes: int = 4096
    """Maximum bytes of standard output and standard error that are logged in one decision."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if type(value) is not int or value < 0:
                raise ValueError(f"Limits.{name} is {value!r}; expected a number of at least 0")
            if problem := _native.check_limits(json.dumps({name: value})):
                raise ValueError(f"Limits.{name} is {value!r}: {problem}")
