"""What infra.yml's role may create: the deployed policies of both stacks, decided by the AWS emulator's evaluator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from local_aws.iam.evaluation import AccessRequest, NamedPolicy, Policies, evaluate
from local_aws.server import LocalAws

from ml.aws.cloudformation import workflow_roles
from ml.commands.bootstrap import bootstrap
from ml.playground.developer import isolated_environment
from tests.harness.git import checkout as checkouts

ACCOUNT = "123456789012"
STACK = "bounded"
THROUGH_CLOUDFORMATION = {"aws:CalledVia": ["cloudformation.amazonaws.com"]}
ANYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@dataclass
class Account:
    """The platform and the workflows' roles, as deployed."""

    aws: LocalAws
    bucket: str
    boundary: str
    roles: dict[str, str]
    """ARN by logical name, of both stacks."""

    def policies(self, role: str) -> Policies:
        """The policies of a role."""
        iam, name = self.aws.client("iam"), self.roles[role].rsplit("/", 1)[-1]
        inline = iam.list_role_policies(RoleName=name)["PolicyNames"]
        documents = [
            NamedPolicy(each, iam.get_role_policy(RoleName=name, PolicyName=each)["PolicyDocument"]) for each in inline
        ]
        attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        documents += [self.managed(each["PolicyArn"]) for each in attached]
        limit = iam.get_role(RoleName=name)["Role"].get("PermissionsBoundary")
        return Policies(identity=documents, boundary=self.managed(limit["PermissionsBoundaryArn"]) if limit else None)

    def managed(self, arn: str) -> NamedPolicy:
        """A managed policy's default version."""
        iam = self.aws.client("iam")
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]
        return NamedPolicy(arn.rsplit("/", 1)[-1], found["Document"], arn)

    def infra(self, action: str, resource: str, **context: Any) -> bool:
        """Whether infra.yml's role may do it through CloudFormation."""
        return allowed(self.policies("InfraRole"), action, resource, **THROUGH_CLOUDFORMATION, **context)

    def created(self, action: str, resource: str) -> bool:
        """Whether a role that infra.yml's role created with a policy that allows everything may do it."""
        policies = Policies(identity=[NamedPolicy("all", ANYTHING)], boundary=self.managed(self.boundary))
        return allowed(policies, action, resource)


def allowed(policies: Policies, action: str, resource: str, **context: Any) -> bool:
    """The evaluator's decision for a session of a role with these policies."""
    return evaluate(
        AccessRequest(
            principal=f"arn:aws:sts::{ACCOUNT}:assumed-role/{STACK}-role/session",
            action=action,
            resource=resource,
            context=context,
            resource_account=ACCOUNT,
        ),
        policies,
    ).allowed


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """Both stacks, created by bootstrap."""
    root = checkouts.copy(tmp_path_factory.mktemp("checkout"), "infra")
    with LocalAws(tmp_path_factory.mktemp("aws")) as aws:
        with isolated_environment({**aws.environment(), "FRAUDOPS_STACK": STACK}):
            made = bootstrap(root, repository="acme/fraud")
            cloudformation, names = aws.client("cloudformation"), (STACK, workflow_roles.stack_name())
            outputs = cloudformation.describe_stacks(StackName=names[1])["Stacks"][0]["Outputs"]
            listed = [each for name in names for each in resources(aws, name)]
        iam = aws.client("iam")
        yield Account(
            aws=aws,
            bucket=made.platform.bucket,
            boundary=next(each["OutputValue"] for each in outputs if each["OutputKey"] == workflow_roles.BOUNDARY),
            roles={
                # Both stacks have a role DeployRole: the function's, and the workflow's, which is not asked for here.
                each["LogicalResourceId"]: iam.get_role(RoleName=each["PhysicalResourceId"])["Role"]["Arn"]
                for each in reversed(listed)
                if each["ResourceType"] == "AWS::IAM::Role"
            },
        )


def resources(aws: LocalAws, stack: str) -> list[dict[str, Any]]:
    """The resources of a stack."""
    found: list[dict[str, Any]] = aws.client("cloudformation").list_stack_resources(StackName=stack)[
        "StackResourceSummaries"
    ]
    return found


PLATFORM = ("CountingRole", "ExecutionRole", "EndpointRole", "DeployRole")


@pytest.mark.parametrize("role", PLATFORM)
def test_platform_role_has_the_boundary(account: Account, role: str) -> None:
    """It is the managed policy of the workflows' stack, below a path that infra.yml's role may not change."""
    limit = account.policies(role).boundary
    assert limit is not None
    assert limit.arn == account.boundary
    assert ":policy/github/" in account.boundary


@pytest.mark.parametrize("role", PLATFORM)
def test_boundary_allows_all_that_a_platform_role_is_granted(account: Account, role: str) -> None:
    """A permission that is added to platform.yaml and not to the boundary has no effect: this test names it."""
    policies = account.policies(role)
    denied, asked = [], 0
    for policy in policies.identity:
        assert isinstance(policy.document, dict)
        for statement in policy.document["Statement"]:
            if statement["Effect"] != "Allow":
                continue
            context = {
                key: as_list(values)[0].replace("*", "x")
                for operator in statement.get("Condition", {}).values()
                for key, values in operator.items()
            }
            for action in as_list(statement["Action"]):
                for resource in as_list(statement["Resource"]):
                    asked += 1
                    example = resource if resource == "*" else resource.replace("*", "x")
                    if not allowed(policies, action, example, **context):
                        denied.append(f"{action} on {resource}")
    assert asked > 10
    assert denied == []


def as_list(value: Any) -> list[Any]:
    """IAM allows a single value in place of a list."""
    return value if isinstance(value, list) else [value]


def test_infra_creates_and_changes_roles_with_the_boundary_only(account: Account) -> None:
    """Neither without one, nor with another, nor outside CloudFormation."""
    role, bound = f"arn:aws:iam::{ACCOUNT}:role/{STACK}-New", {"iam:PermissionsBoundary": account.boundary}
    other = {"iam:PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/{STACK}-ContainerPolicy"}
    policy = {"iam:PolicyARN": f"arn:aws:iam::{ACCOUNT}:policy/{STACK}-Container"}
    for action, context in (
        ("iam:CreateRole", {}),
        ("iam:PutRolePolicy", {}),
        ("iam:DeleteRolePolicy", {}),
        ("iam:AttachRolePolicy", policy),
        ("iam:DetachRolePolicy", policy),
    ):
        assert account.infra(action, role, **context, **bound), action
        assert not account.infra(action, role, **context), action
        assert not account.infra(action, role, **context, **other), action
        assert not allowed(account.policies("InfraRole"), action, role, **context, **bound), action


def test_infra_cannot_take_the_boundary_off(account: Account) -> None:
    """Nor replace it, nor change the policy itself or the roles beside it."""
    role = f"arn:aws:iam::{ACCOUNT}:role/{STACK}-New"
    bound = {"iam:PermissionsBoundary": account.boundary}
    assert not account.infra("iam:DeleteRolePermissionsBoundary", role, **bound)
    assert not account.infra("iam:PutRolePermissionsBoundary", role, **bound)
    changing = ("iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion")
    for action in changing:
        assert not account.infra(action, account.boundary), action
    for action in ("iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:AttachRolePolicy", "iam:DeleteRole"):
        assert not account.infra(action, account.roles["TrainRole"], **bound), action


def test_created_role_cannot_do_more_than_the_platforms_roles(account: Account) -> None:
    """With a policy that allows everything it cannot approve, order, replace code or data, or reach another role."""
    lake = f"arn:aws:s3:::{account.bucket}"
    package = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:model-package/{STACK}-model/1"
    assert account.created("s3:GetObject", f"{lake}/executions/a")
    for action, resource in (
        ("sagemaker:UpdateModelPackage", package),
        ("s3:PutObject", f"{lake}/deploy/desired.json"),
        ("s3:PutObject", f"{lake}/code/a"),
        ("s3:PutObject", f"{lake}/labels/a"),
        ("s3:DeleteObject", f"{lake}/raw/a"),
        ("s3:PutBucketPolicy", lake),
        ("s3:GetObject", "arn:aws:s3:::another/a"),
        ("iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/a"),
        ("iam:PutRolePolicy", account.roles["ExecutionRole"]),
        ("iam:PassRole", account.roles["TrainRole"]),
        ("sts:AssumeRole", account.roles["TrainRole"]),
        ("lambda:UpdateFunctionCode", f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{STACK}-deploy"),
        ("ec2:RunInstances", "*"),
    ):
        assert not account.created(action, resource), (action, resource)


def test_infra_cannot_open_the_lake(account: Account) -> None:
    """A bucket policy's content cannot be limited by IAM, so a person changes those of the lake and of the code."""
    code = f"{STACK}-code-{ACCOUNT}-us-east-1"
    for action in ("s3:PutBucketPolicy", "s3:DeleteBucketPolicy", "s3:PutBucketPublicAccessBlock", "s3:PutBucketAcl"):
        for bucket in (account.bucket, code):
            assert not account.infra(action, f"arn:aws:s3:::{bucket}"), action
    assert account.infra("s3:PutLifecycleConfiguration", f"arn:aws:s3:::{account.bucket}")
    assert account.infra("s3:PutBucketPolicy", f"arn:aws:s3:::{STACK}-another")


def test_boundary_fits_into_a_managed_policy(account: Account) -> None:
    """IAM allows 6,144 characters, without white space; the test keeps a reserve for long names."""
    text = re.sub(r"\s", "", str(account.managed(account.boundary).document))
    assert len(text) < 5_000
