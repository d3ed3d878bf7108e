"""Defines a drift decision that is due, and the outcome of its retrain request. Decides and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ml.model.drift.retrain_decision import Decision
from ml.model.run_kinds import RunKind

BRANCH_PREFIX = "bot/request-"

State = Literal["requested", "proposed", "already requested", "suppressed", "circuit breaker open"]


@dataclass(frozen=True, kw_only=True)
class DriftCase:
    """A drift decision that is due, with its evidence."""

    decision: Decision
    run_kind: RunKind
    """The kind of training run that it asks for."""
    reason: str
    evidence: Mapping[str, Any]
    unneeded: str = ""
    """Why a run would gain nothing, so that no request is made; '' if one is."""

    @property
    def kind(self) -> str:
        """concept, data or prediction."""
        assert self.decision.kind is not None  # noqa: S101 - a DriftCase is built only from a decision that is due
        return self.decision.kind

    @property
    def cause(self) -> str:
        """The suffix of the request's id, e.g. `data-drift`."""
        return cause(self.kind)

    @property
    def name(self) -> str:
        """The request's id: the end of the latest window that fired, and the cause."""
        return f"{self.decision.fired[-1][1]:%Y%m%dT%H%M%SZ}-{self.cause}"

    @property
    def branch(self) -> str:
        """The branch of the pull request that adds the request if main is protected."""
        return f"{BRANCH_PREFIX}{self.name}"


@dataclass(frozen=True, kw_only=True)
class RequestOutcome:
    """The outcome of one drift decision: a request, or why there is none."""

    request: str
    cause: str
    state: State
    reason: str
    run_kind: RunKind
    """The kind of run that the decision asks for."""
    commit: str | None = None
    pull_request: int | None = None
    """The pull request that adds the request, if main is protected."""
    issue: int | None = None
    started: bool = False
    """Whether this check dispatched train.yml. With the token of a GitHub App the push triggers it instead."""


def cause(kind: str) -> str:
    """The cause that a request states for a kind of drift."""
    return f"{kind}-drift"


def suppressed(case: DriftCase, reason: str, *, pull_request: int | None = None) -> RequestOutcome:
    """The outcome of a case for which no request is created."""
    return RequestOutcome(
        request=case.name,
        cause=case.cause,
        run_kind=case.run_kind,
        state="suppressed",
        reason=reason,
        pull_request=pull_request,
    )
