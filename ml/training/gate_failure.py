"""Writes a failed gate for the job that records it on main, and reads it as untrusted input. Records nothing.

The job that trains has an AWS role and runs every package of the run lock, so it may not act as the bot's App. The
document has what the record and the issue show, and names no file and no branch.
"""

from __future__ import annotations

from pathlib import Path

from ml import config
from ml.config.hand_over import MAX_BYTES, Budget, Check, Figure, GateFailure, SliceFrauds
from ml.errors import ConfigError
from ml.gitops import metric_tables
from ml.training.gate_result import GateResult

SOURCE = Path("the output `gate_failure` of `fraudops train`")
"""What messages name in place of a file."""
_TEXT_LIMIT = 1024  # characters


def write(result: GateResult) -> str:
    """The document of a failed gate.

    Raises:
        ConfigError: it is longer than MAX_BYTES, or evaluation.json is not what this version evaluates.
    """
    checks, figures = result.evaluation["verdict"].get("checks", ()), result.evaluation.get("metrics") or {}
    slices = (result.evaluation.get("champion") or {}).get("slices", ())
    try:
        failure = GateFailure(
            reason=result.reason[:_TEXT_LIMIT],
            execution_arn=result.execution_arn,
            kind=result.kind,
            commit=result.commit,
            requests=result.requests,
            asked=result.asked[:_TEXT_LIMIT],
            evaluation_uri=result.evaluation_uri,
            checks=tuple(
                Check(
                    name=each["name"],
                    passed=each["passed"],
                    detail=each["detail"][:_TEXT_LIMIT],
                    outcome=each.get("outcome"),
                )
                for each in checks
            ),
            slices=tuple(SliceFrauds(name=each["name"], positives=each["positives"]) for each in slices),
            not_compared=metric_tables.not_compared(result.evaluation)[:_TEXT_LIMIT] or None,
            metrics={name: Figure.model_validate(figure) for name, figure in figures.items()},
            budget=Budget.model_validate(result.evaluation.get("budget")),
        )
    except ValueError as error:  # pydantic's, of a value that the job that records would refuse
        raise ConfigError(f"{result.evaluation_uri}: cannot be recorded as a gate failure: {error}") from error
    text = config.dump(failure)
    if len(text.encode()) > MAX_BYTES:
        raise ConfigError(f"{SOURCE}: must have at most {MAX_BYTES:,} bytes (got {len(text.encode()):,})")
    return text


def read(text: str) -> GateResult:
    """The gate's result in `text`, with the part of the evaluation that a record and its issue need.

    Raises:
        ConfigError: `text` is no such document; it names the field.
    """
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise ConfigError(f"{SOURCE}: must have at most {MAX_BYTES:,} bytes")
    found = config.parse(text, SOURCE, GateFailure)
    checks = [each.model_dump() for each in found.checks]
    slices = [each.model_dump() for each in found.slices]
    compared = {} if found.not_compared is None else {"status": "not possible", "reason": found.not_compared}
    return GateResult(
        verdict="failed",
        reason=found.reason,
        execution_arn=found.execution_arn,
        package_arn=None,
        version=None,
        kind=found.kind,
        commit=found.commit,
        requests=found.requests,
        asked=found.asked,
        evaluation={
            "verdict": {"status": "failed", "reason": found.reason, "checks": checks},
            "metrics": {name: figure.model_dump() for name, figure in found.metrics.items()},
            "budget": found.budget.model_dump(),
            "champion": compared | {"slices": slices},
        },
        evaluation_uri=found.evaluation_uri,
    )
