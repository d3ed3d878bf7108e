"""Starts a deployment in AWS and waits for it: writes the order, approves one package, polls the result.

Only the deploy Lambda changes the endpoint, on the event that the approval sends.
"""

from __future__ import annotations

from typing import Any

from ml.aws import deployment_records, endpoint, registry
from ml.aws.platform_stack import Platform
from ml.console import note
from ml.errors import DeploymentFailed
from ml.release.canary_watch import CanaryWatch

_NOT_APPROVED = "not-approved"  # the Lambda's code for a late event, which the next event replaces
_OUTCOMES_BY_PRIORITY = ("created", "updated", "unchanged", "failed", "refused")


def order(document: dict[str, Any], package: registry.Package, where: Platform) -> tuple[str, ...]:
    """Writes the order `document` and leaves exactly one package Approved; returns those that it superseded.

    Rejected packages stay rejected. Packages registered later and still pending are not rejected: their approval may
    be merged next.
    """
    number = f"{document['approval']:04d}"
    if package.status == registry.APPROVED:
        # Approved → Approved sends no event, and this deployment needs one.
        registry.set_status(package.arn, registry.PENDING, f"approval {number} is being deployed again")
    deployment_records.write_order(where.bucket, document)
    registry.set_status(package.arn, registry.APPROVED, f"approval {number}, deployed from commit {document['commit']}")
    others = [
        *registry.packages(where.package_group, status=registry.APPROVED),
        *registry.packages(where.package_group, status=registry.PENDING),
    ]
    superseded = [
        other.arn
        for other in others
        if other.arn != package.arn and (other.status == registry.APPROVED or other.version < package.version)
    ]
    for arn in superseded:
        registry.set_status(arn, registry.REJECTED, f"superseded by {number}")
    return tuple(superseded)


def answer(answers: deployment_records.Answers, identifier: str, arn: str, limit: float) -> deployment_records.Outcome:
    """The Lambda's outcome for order `identifier`; DeploymentFailed on refusal, failure or after `limit` seconds.

    Events arrive late and more than once: the first outcome that is not `not-approved` counts.
    """
    from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_exponential

    late: list[str] = []

    def look() -> deployment_records.Outcome | None:
        found = [new for new in answers.new() if new.desired == identifier and new.model_package_arn == arn]
        late.extend(outcome.reason for outcome in found if outcome.code == _NOT_APPROVED)
        decided = [outcome for outcome in found if outcome.code != _NOT_APPROVED]
        # Several events may have been answered: an outcome that changed something has priority.
        return min(decided, key=lambda outcome: _OUTCOMES_BY_PRIORITY.index(outcome.outcome), default=None)

    patient = Retrying(
        retry=retry_if_result(lambda outcome: outcome is None),
        stop=stop_after_delay(limit),
        wait=wait_exponential(multiplier=0.1, exp_base=1.25, max=10),
    )
    try:
        outcome = patient(look)
    except RetryError as error:
        last = f" (its last reason: {late[-1]})" if late else ""
        raise DeploymentFailed(
            f"the deploy function did not answer within {limit / 60:g} minutes{last}; "
            f"see its log and its dead-letter queue, and whether the rule is enabled"
        ) from error
    assert outcome is not None  # noqa: S101 - the retrying above returns nothing else
    if not outcome.accepted:
        raise DeploymentFailed(f"the deploy function {outcome.outcome} it ({outcome.code}): {outcome.reason}")
    note(f"{outcome.outcome}: {outcome.reason}")
    return outcome


def wait(name: str, configuration: str, limit: float, canary: CanaryWatch | None = None) -> None:
    """Waits until the endpoint has settled on `configuration`; DeploymentFailed if it has not after `limit` s.

    `canary` compares the new model's answers meanwhile; what it found is part of a failure's reason. If its last look
    failed, it looks once more. If that fails too, `canary.warning` says so: the model serves, so it is no failure.
    """
    state = endpoint.settled(
        name,
        timeout_seconds=max(limit, 1.0),
        configuration=configuration,
        while_moving=None if canary is None else canary.look,
    )
    if state is None:
        raise DeploymentFailed(f"endpoint {name} is gone: someone deleted it meanwhile")
    if state.moving:
        raise DeploymentFailed(
            f"endpoint {name} is still {state.status} when the time of rollout.timeout_minutes is up"
        )
    if state.configuration != configuration or state.status != "InService":
        reason = state.reason or "SageMaker gave no reason; see the endpoint's log"
        found = "" if canary is None else f". When last compared, {canary.comparison}"
        raise DeploymentFailed(f"the endpoint did not take {configuration}: {reason.rstrip('.')}{found}")
    if canary is not None:
        canary.repeat_failed_look()
