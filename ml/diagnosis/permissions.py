"""Checks with IAM's policy simulator that each role may do what its template says. Makes none of the simulated calls.

It finds what the template cannot show: service control policies of the organisation, permissions boundaries, and
policies that were changed or removed by hand. Whether the template grants what the workflows need is tested with the
templates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from ml.aws import policy_simulation
from ml.aws.cloudformation import platform_source
from ml.aws.policy_simulation import Refusal
from ml.diagnosis import deployed_template, template_values
from ml.diagnosis.check import CannotTell, Check, WillFail, run
from ml.diagnosis.role_statements import ROLE, requests
from ml.diagnosis.subjects import Subjects
from ml.errors import ConfigError

_SHOWN = 3  # refusals that the line names


def checks(subjects: Subjects) -> Iterator[Check]:
    """One check for each role of the two templates."""
    for name, path in zip(subjects.stacks, (platform_source.TEMPLATE, platform_source.IDENTITY), strict=True):
        text = (subjects.root / path).read_text("utf-8")
        for role in (key for key, item in template_values.read(text)["Resources"].items() if item["Type"] == ROLE):
            yield run(f"permissions of {name} {role}", partial(_role, subjects, name, path, role))


def _role(subjects: Subjects, name: str, path: Path, role: str) -> str:
    if role not in subjects.resources(name):
        raise CannotTell(f"stack {name} has no {role}; see the line of its template")
    try:
        template = deployed_template.read(subjects, name, path)
        arn, wanted = template.arn(role), requests(template, role)
    except ConfigError as error:
        raise CannotTell(str(error)) from error
    refused = [
        (request.statement, refusal)
        for request in wanted
        for refusal in policy_simulation.refusals(arn, request.actions, request.resources, request.context)
    ]
    certain = [(statement, refusal) for statement, refusal in refused if not refusal.missing]
    if certain:
        raise WillFail(_explained(arn, certain))
    if refused:
        keys = sorted({key for _, refusal in refused for key in refusal.missing})
        raise CannotTell(f"the simulator needs values of {', '.join(keys)}, which only a real call has")
    calls = sum(len(request.actions) * len(request.resources) for request in wanted)
    return f"{calls} calls of {len({request.statement for request in wanted})} statements are allowed in the simulation"


def _explained(arn: str, refused: Sequence[tuple[str, Refusal]]) -> str:
    shown = [
        f"{refusal.action} on {refusal.resource} (statement {statement}: {refusal.reason})"
        for statement, refusal in refused[:_SHOWN]
    ]
    more = f" and {len(refused) - _SHOWN} more" if len(refused) > _SHOWN else ""
    return (
        f"{arn} may not call {', '.join(shown)}{more}, which its template allows; ask the organisation's "
        "administrators about a service control policy, or restore the role: fraudops bootstrap after a change of the "
        "template, else by hand in IAM"
    )
