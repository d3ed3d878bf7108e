"""Rolls out an approved package: writes the order, approves exactly one package, waits for Lambda and endpoint.

The endpoint itself is changed by the deploy Lambda alone, on the event that the approval sends.
"""

from __future__ import annotations

from typing import Any

from ml.aws import deployment_records, endpoint, registry
from ml.aws.platform import Platform
from ml.console import note
from ml.errors import DeploymentFailed

_NOT_APPROVED = "not-approved"  # the Lambda's code for an event that came late: the next one decides
_TELLING = ("created", "updated", "unchanged", "failed", "refused")


def order(document: dict[str, Any], package: registry.Package, where: Platform) -> tuple[str, ...]:
    """Writes the order `document` and leaves exactly one package Approved; returns those that it superseded.

    Packages that were already rejected stay so, and those registered later and still under review keep waiting: their
    approval may be merged next, and rejecting them here would tell its reviewers that it was.
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
    """The Lambda's answer to the order `identifier`, within `limit` seconds; DeploymentFailed where it is no or none.

    Events come several times and late: what counts is the first answer that was not about an earlier state.
    """
    from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_exponential

    late: list[str] = []

    def look() -> deployment_records.Outcome | None:
        found = [new for new in answers.new() if new.desired == identifier and new.model_package_arn == arn]
        late.extend(outcome.reason for outcome in found if outcome.code == _NOT_APPROVED)
        decided = [outcome for outcome in found if outcome.code != _NOT_APPROVED]
        # Several events may have been answered: one that changed something tells more than the one after it.
        return min(decided, key=lambda outcome: _TELLING.index(outcome.outcome), default=None)

    patient = Retrying(
        retry=retry_if_result(lambda outcome: outcome is None),
        stop=stop_after_delay(limit),
        wait=wait_exponential(multiplier=0.1, max=10),
    )
    try:
        outcome = patient(look)
    except RetryError as error:
        last = f" (it last said: {late[-1]})" if late else ""
        raise DeploymentFailed(
            f"the deploy function did not answer within {limit / 60:g} minutes{last}; "
            f"see its log and its dead-letter queue, and whether the rule is enabled"
        ) from error
    assert outcome is not None  # noqa: S101 - the retrying above gives nothing else
    if not outcome.accepted:
        raise DeploymentFailed(f"the deploy function {outcome.outcome} it ({outcome.code}): {outcome.reason}")
    note(f"{outcome.outcome}: {outcome.reason}")
    return outcome


def wait(name: str, configuration: str, limit: float) -> None:
    """Waits until the endpoint has settled on `configuration`; DeploymentFailed where it does not within `limit` s."""
    state = endpoint.settled(name, timeout_seconds=max(limit, 1.0), configuration=configuration)
    if state is None:
        raise DeploymentFailed(f"endpoint {name} is gone: someone deleted it meanwhile")
    if state.moving:
        raise DeploymentFailed(
            f"endpoint {name} is still {state.status} when the time of rollout.timeout_minutes is up"
        )
    if state.configuration != configuration or state.status != "InService":
        reason = state.reason or "SageMaker gave no reason; see the endpoint's log"
        raise DeploymentFailed(f"the endpoint did not take {configuration}: {reason}")
