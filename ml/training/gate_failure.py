"""Writes a failed gate for the job that records it on main, and reads it as untrusted input. Records nothing.

The job that trains has an AWS role and runs every package of the run lock, so it may not act as the bot's App. The
document has what the record and the issue show, and names no file and no branch.
"""

from __future__ import annotations

from pathlib import Path

from ml import config
from ml.config.hand_over import MAX_BYTES, Budget, Check, Figure, GateFailure
from ml.errors import ConfigError
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
    try:
        failure = GateFailure(
            reason=result.reason[:_TEXT_LIMIT],
            execution_arn=result.execution_arn,
            kind=result.kind,
            commit=result.commit,
            requests=result.requests,
            asked=result.asked[:_TEXT_LIMIT],
            evaluation_uri=result.evaluation_uri,
            checks=tuple(Check(passed=each["passed"], detail=each["detail"][:_TEXT_LIMIT]) for each in checks),
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
    checks = [_check(each) for each in found.checks]
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
        },
        evaluation_uri=found.evaluation_uri,
    )


def _check(check: Check) -> dict[str, object]:
    return {"passed": check.passed, "detail": check.detail}
