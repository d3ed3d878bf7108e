"""Change sets: what they list, and what they create and change once executed."""

from __future__ import annotations

from aws_resources import unique_name
from cloudformation_stacks import (
    FUNCTION_STACK,
    invoke_function,
    stack_outputs,
    stack_parameters,
    stack_status,
    upload_code,
)
from local_aws.server import LocalAws


def test_change_set_lists_and_applies_its_changes(aws: LocalAws, stack: tuple[str, str, str]) -> None:
    """Added, modified and removed resources are listed before execution, and executing applies them."""
    name, bucket, key = stack
    cloudformation = aws.client("cloudformation")
    template = FUNCTION_STACK.replace("AWS::Budgets::Budget", "AWS::SNS::Topic").replace(
        "Properties: {Budget: {BudgetType: COST, TimeUnit: MONTHLY}}", "Properties: {DisplayName: new}"
    )
    cloudformation.create_change_set(
        StackName=name, TemplateBody=template, ChangeSetName="more", ChangeSetType="UPDATE",
        Capabilities=["CAPABILITY_IAM"],
        Parameters=stack_parameters(Bucket=bucket, Key=key, Greeting="bye", Keep="no"),
    )  # fmt: skip
    changes = cloudformation.describe_change_set(StackName=name, ChangeSetName="more")["Changes"]
    found = {(c["ResourceChange"]["Action"], c["ResourceChange"]["LogicalResourceId"]) for c in changes}
    assert found == {
        ("Modify", "Role"),
        ("Modify", "Function"),
        ("Modify", "Rule"),
        ("Modify", "Unknown"),
        ("Remove", "Queue"),
    }
    assert invoke_function(aws, name) == ["hello!", "first"]
    cloudformation.execute_change_set(StackName=name, ChangeSetName="more")
    assert stack_status(aws, name) == "UPDATE_COMPLETE"
    assert invoke_function(aws, name) == ["bye!", "first"]
    assert stack_outputs(aws, name)["Greeting"].startswith("bye")


def test_change_set_creates_a_stack(aws: LocalAws) -> None:
    """The stack has its outputs afterwards."""
    cloudformation, name = aws.client("cloudformation"), unique_name("stack")
    bucket, key = upload_code(aws, "first")
    cloudformation.create_change_set(
        StackName=name, TemplateBody=FUNCTION_STACK, ChangeSetName="first", ChangeSetType="CREATE",
        Capabilities=["CAPABILITY_IAM"],
        Parameters=stack_parameters(Bucket=bucket, Key=key),
    )  # fmt: skip
    cloudformation.execute_change_set(StackName=name, ChangeSetName="first")
    assert stack_status(aws, name) == "CREATE_COMPLETE"
    assert stack_outputs(aws, name)["Function"] == f"{name}-function"
    assert invoke_function(aws, name) == ["hello!", "first"]
