"""Requirements of AWS CloudFormation's operations themselves; what its resources require is in `stack_resources`.

A stack that is given by name has the ARN `stack/NAME/*`, as in AWS's messages. Source: Service Authorization
Reference, "AWS CloudFormation".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from local_aws.authorization.calls import Call
from local_aws.authorization.requirements.base import Requirement, Rule, arn, on_everything, pass_role, tags, values

_STACK_OPERATIONS = (
    "CancelUpdateStack",
    "ContinueUpdateRollback",
    "CreateChangeSet",
    "CreateStack",
    "DeleteChangeSet",
    "DeleteStack",
    "DescribeChangeSet",
    "DescribeStackEvents",
    "DescribeStackResource",
    "DescribeStackResources",
    "DescribeStacks",
    "DetectStackDrift",
    "ExecuteChangeSet",
    "GetStackPolicy",
    "GetTemplate",
    "GetTemplateSummary",
    "ListChangeSets",
    "ListStackResources",
    "SetStackPolicy",
    "UpdateStack",
    "UpdateTerminationProtection",
)
_EVERYTHING = (
    "DescribeAccountLimits",
    "DescribeStackDriftDetectionStatus",
    "ListExports",
    "ListStacks",
    "ValidateTemplate",
)


def stack_arn(call: Call, name: str) -> str:
    """The ARN of a stack, given by name or ARN."""
    return name if name.startswith("arn:") else arn(call, "cloudformation", f"stack/{name}/*")


def _on_stack(operation: str) -> Rule:
    def rule(call: Call) -> Iterable[Requirement]:
        name = call.text("StackName")
        change_set = call.text("ChangeSetName")
        if not name and change_set.startswith("arn:"):  # arn:…:changeSet/NAME/ID does not name its stack
            name = change_set
        role = call.text("RoleARN")
        context = tags(call) | values(
            cloudformation_RoleArn=role,
            cloudformation_TemplateUrl=call.text("TemplateURL"),
            cloudformation_ChangeSetName=change_set,
        )
        yield Requirement(f"cloudformation:{operation}", stack_arn(call, name) if name else "*", context)
        yield from pass_role(role, "cloudformation.amazonaws.com")

    return rule


RULES: Mapping[str, Rule] = {
    **{operation: _on_stack(operation) for operation in _STACK_OPERATIONS},
    **{operation: on_everything(f"cloudformation:{operation}") for operation in _EVERYTHING},
}
