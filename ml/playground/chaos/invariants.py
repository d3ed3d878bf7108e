"""What must hold after a run of the loop, whatever has failed on the way. Each invariant is a function of a `State`.

An invariant returns its violations as sentences; none if it holds. `ALWAYS` hold after every verb, also a failed one;
`AT_THE_END` hold once failed verbs have been run again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class VerbRun:
    """One run of a verb: `error` is '' if it ended green, `reached` whether what it is for was true afterwards."""

    verb: str
    error: str = ""
    expected_error: bool = True
    """Whether the error was one that the command line reports, or an interruption."""
    reached: bool = True


@dataclass(frozen=True, kw_only=True)
class State:
    """What Git, GitHub and AWS show after a run."""

    pointer: int | None = None
    """The approval that the pointer on main names."""
    pointers: Sequence[int] = ()
    """The approvals that the pointer has named, in order."""
    packages: Mapping[int, str] = field(default_factory=dict)
    """The approval status of each package by version."""
    approved: Mapping[int, str] = field(default_factory=dict)
    """The digest of each approval's artifact on main."""
    endpoint_status: str | None = None
    served_digest: str | None = None
    """The digest of the archive that the endpoint serves; None if there is no endpoint."""
    served_names: Sequence[str] = ()
    """The endpoint's configuration and its model."""
    endpoints: Sequence[str] = ()
    configurations: Sequence[str] = ()
    models: Sequence[str] = ()
    deployed_names: Sequence[str] = ()
    """The configurations and models of recorded deployments."""
    rewritten: Sequence[str] = ()
    """Records on main that a commit has changed or deleted."""
    answers: Sequence[str] = ()
    """The retrain requests that approvals and gate failures on main resolve, one entry for each resolution."""
    open_approvals: Sequence[int] = ()
    """The approvals that open pull requests propose."""
    open_rollbacks: int = 0
    gate_failures: int = 0
    """Open pull requests that roll back, and gate failures on main."""
    requests: Sequence[str] = ()
    """The retrain requests on main."""
    runs: Sequence[VerbRun] = ()


Invariant = Callable[[State], list[str]]


def one_approved_package(state: State) -> list[str]:
    """Exactly one package is Approved, and it is the one that Git's pointer names."""
    approved = sorted(version for version, status in state.packages.items() if status == "Approved")
    expected = [] if state.pointer is None else [state.pointer]
    return [] if approved == expected else [f"packages {approved} are Approved, and Git points at {state.pointer}"]


def endpoint_serves_pointer(state: State) -> list[str]:
    """The endpoint is in service and serves the digest of the approval that the pointer names."""
    if state.pointer is None:
        return [] if not state.endpoints else [f"{list(state.endpoints)} serve, and nothing is approved"]
    wanted = state.approved.get(state.pointer)
    if state.endpoint_status != "InService":
        return [f"the endpoint is {state.endpoint_status}"]
    return [] if state.served_digest == wanted else [f"the endpoint serves {state.served_digest}, Git says {wanted}"]


def endpoint_serves_approved_digest(state: State) -> list[str]:
    """The endpoint serves the digest of an approval that the pointer names or named before; or there is none."""
    if state.served_digest is None:
        return []
    allowed = {state.approved.get(number) for number in state.pointers[-2:]}
    return (
        [] if state.served_digest in allowed else [f"the endpoint serves {state.served_digest}, which Git never named"]
    )


def append_only_records(state: State) -> list[str]:
    """No commit on main has changed or deleted an approval, a retrain request or a gate failure."""
    return [f"{path} was rewritten" for path in state.rewritten]


def no_orphans(state: State) -> list[str]:
    """There is at most one endpoint; every configuration and model is the endpoint's or of a recorded deployment."""
    known = {*state.served_names, *state.deployed_names}
    return [
        *([f"endpoints {list(state.endpoints)}"] if len(state.endpoints) > 1 else []),
        *(f"{name} is nobody's" for name in (*state.configurations, *state.models) if name not in known),
    ]


def requests_answered_once(state: State) -> list[str]:
    """No retrain request is resolved by two records."""
    return [f"{name} was answered {count} times" for name, count in Counter(state.answers).items() if count > 1]


def one_open_approval(state: State) -> list[str]:
    """At most one pull request proposes an approval."""
    return [] if len(state.open_approvals) <= 1 else [f"open pull requests for approvals {list(state.open_approvals)}"]


def one_request_per_cause(state: State) -> list[str]:
    """Drift was asked about once: at most one retrain request is open for each cause."""
    causes = Counter(name.split("Z-", 1)[-1] for name in state.requests if name not in state.answers)
    return [f"{count} open requests for {cause}" for cause, count in causes.items() if count > 1]


def no_green_run_that_failed(state: State) -> list[str]:
    """A verb that ended green has done what it is for."""
    return [f"{run.verb} ended green without effect" for run in state.runs if not run.error and not run.reached]


def failures_are_reported_errors(state: State) -> list[str]:
    """A verb that failed said why, with an error of the product."""
    return [f"{run.verb}: {run.error}" for run in state.runs if run.error and not run.expected_error]


def reruns_repair(state: State) -> list[str]:
    """The last run of each verb ended green."""
    last = {run.verb: run for run in state.runs}
    return [f"{verb} failed again: {run.error}" for verb, run in last.items() if run.error]


ALWAYS: Sequence[Invariant] = (
    endpoint_serves_approved_digest,
    append_only_records,
    requests_answered_once,
    one_open_approval,
    one_request_per_cause,
    no_green_run_that_failed,
    failures_are_reported_errors,
)
AT_THE_END: Sequence[Invariant] = (
    *ALWAYS,
    one_approved_package,
    endpoint_serves_pointer,
    no_orphans,
    reruns_repair,
)


def check(state: State, invariants: Sequence[Invariant]) -> list[str]:
    """The violations of all `invariants`, each with the invariant's name."""
    return [f"{each.__name__}: {violation}" for each in invariants for violation in each(state)]
