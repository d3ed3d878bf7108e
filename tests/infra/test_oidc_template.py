"""The roles of GitHub's workflows: each trusts one repository and ref or environment, with the permissions it needs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint  # type: ignore[import-untyped]  # it has no stubs
from cfnlint.decode import cfn_yaml  # type: ignore[import-untyped]

from ml import config
from ml.aws.cloudformation import staging_role, workflow_roles
from ml.gitops import environments
from ml.playground.template_state import FOLDER as SHIPPED

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "infra/github-oidc.yaml"
ENVIRONMENTS = {"TrainRole": "train", "DeployRole": "production", "DriftRole": "drift", "InfraRole": "infrastructure"}
# Pull requests, main, the branches of the bot, on which ci.yml is dispatched, and a merge queue. It changes nothing.
READ_ONLY = [
    "pull_request",
    "ref:refs/heads/main",
    "ref:refs/heads/approve/*",
    "ref:refs/heads/rollback/*",
    "ref:refs/heads/promote/*",
    "ref:refs/heads/bot/*",
    "ref:refs/heads/gh-readonly-queue/main/*",
]
CLAIM = "token.actions.githubusercontent.com"


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    """The template with short-form functions expanded."""
    loaded: dict[str, Any] = json.loads(json.dumps(cfn_yaml.load(str(TEMPLATE))))
    return loaded


def roles(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The roles by name."""
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::IAM::Role"
    }


def statements(role: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The statements of a role's policies."""
    for policy in role["Policies"]:
        yield from policy["PolicyDocument"]["Statement"]


def managed(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The policies that are resources of their own, by name."""
    kinds = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
    return {name: item["Properties"] for name, item in template["Resources"].items() if item["Type"] in kinds}


def as_list(value: Any) -> list[Any]:
    """IAM allows a single value in place of a list."""
    return value if isinstance(value, list) else [value]


def actions(role: dict[str, Any]) -> set[str]:
    """Every action that a role is allowed anywhere."""
    allowed = [statement for statement in statements(role) if statement["Effect"] == "Allow"]
    return {action for statement in allowed for action in as_list(statement["Action"])}


def test_template_lints_and_fits_into_a_request() -> None:
    """cfn-lint has no findings, and the size is below CloudFormation's limit for a request."""
    found = lint(TEMPLATE.read_text(), regions=["us-east-1", "eu-west-1"])
    assert [str(match) for match in found] == []
    assert TEMPLATE.stat().st_size < 51_200


def test_each_role_trusts_one_environment_of_one_repository(template: dict[str, Any]) -> None:
    """The subject is compared literally; without environments it is main. Only PlanRole has patterns."""
    found = roles(template)
    assert set(found) == {*ENVIRONMENTS, "PlanRole"}
    # The roles of these two environments are of infra/serving-image.yaml and infra/github-staging.yaml.
    others = {environments.SERVING_IMAGE, environments.STAGING}
    assert {*ENVIRONMENTS.values(), *others} == set(environments.WITH_ROLE)
    for name, role in found.items():
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
        assert set(statement["Principal"]) == {"Federated"}
        condition, audience = statement["Condition"], {f"{CLAIM}:aud": "sts.amazonaws.com"}
        if name == "PlanRole":
            subjects = [{"Fn::Sub": f"repo:${{Repository}}:{place}"} for place in READ_ONLY]
            assert condition == {"StringEquals": audience, "StringLike": {f"{CLAIM}:sub": subjects}}
            continue
        environment = {"Fn::Sub": f"repo:${{Repository}}:environment:{ENVIRONMENTS[name]}"}
        subject = {"Fn::If": ["HasEnvironments", environment, {"Fn::Sub": "repo:${Repository}:ref:refs/heads/main"}]}
        assert condition == {"StringEquals": audience | {f"{CLAIM}:sub": subject}}


def test_repository_parameter_accepts_no_wildcards(template: dict[str, Any]) -> None:
    """A name cannot contain a pattern; both ids are there or neither."""
    pattern = template["Parameters"]["Repository"]["AllowedPattern"]
    for name in (
        "*/*",
        "acme/*",
        "acme/fra?d",
        "acme",
        "a/b/c",
        "acme/fraud:x",
        "acme@*/fraud@*",
        "acme@1/fraud",
        "a/b@1",
    ):
        assert not re.search(pattern, name), name
    for name in ("acme/fraud-ops.v2", "acme@11/fraud-ops.v2@22"):
        assert re.search(pattern, name), name


def test_wildcard_resource_has_a_comment(template: dict[str, Any]) -> None:
    """Every `Resource: "*"` has a comment with the reason, and no action has a wildcard."""
    stars = [line for line in TEMPLATE.read_text().splitlines() if 'Resource: "*"' in line]
    assert all(re.search(r'"\*"  # \w', line) for line in stars), stars
    documents = [policy["PolicyDocument"] for policy in managed(template).values()]
    documents += [
        each["Properties"]["KeyPolicy"] for each in template["Resources"].values() if each["Type"] == "AWS::KMS::Key"
    ]
    every = [*(each for document in documents for each in document["Statement"])]
    every += [statement for role in roles(template).values() for statement in statements(role)]
    assert len([each for each in every if "*" in as_list(each["Resource"])]) == len(stars)
    actions_of = [action for each in every for action in as_list(each["Action"])]
    assert [action for action in actions_of if "*" in action] == ["kms:*"]  # of a key's policy, for its account


def test_only_the_deploy_role_orders_and_approves(template: dict[str, Any]) -> None:
    """Only DeployRole may write below deploy/ and change a package's approval status."""
    approving = {name for name, role in roles(template).items() if "sagemaker:UpdateModelPackage" in actions(role)}
    writing = {
        name
        for name, role in roles(template).items()
        for statement in statements(role)
        if "s3:PutObject" in as_list(statement["Action"]) and "/deploy/" in str(statement["Resource"])
    }
    assert approving == writing == {"DeployRole"}


def test_no_workflow_changes_an_endpoint(template: dict[str, Any]) -> None:
    """No role may change an endpoint or call the deploy function."""
    for role in roles(template).values():
        assert not actions(role) & {"sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint", "sagemaker:DeleteEndpoint"}
        assert "lambda:InvokeFunction" not in actions(role)


def test_pull_request_can_change_nothing(template: dict[str, Any]) -> None:
    """Its role can create, read and delete change sets, but not execute one."""
    assert actions(roles(template)["PlanRole"]) == {
        "cloudformation:CreateChangeSet",
        "cloudformation:DeleteChangeSet",
        "cloudformation:DescribeChangeSet",
        "cloudformation:DescribeStacks",
        "cloudformation:GetTemplateSummary",
        "s3:GetObject",
        "sagemaker:DescribeModelPackage",
    }


def test_no_role_can_change_the_roles(template: dict[str, Any]) -> None:
    """The roles have a path and a stack that the infrastructure role may not change."""
    infra = roles(template)["InfraRole"]
    assert {role["Path"] for role in roles(template).values()} == {"/github/"}
    touched = [
        resource["Fn::Sub"]
        for statement in statements(infra)
        for resource in as_list(statement["Resource"])
        if isinstance(resource, dict) and ":iam::" in resource["Fn::Sub"]
    ]
    assert touched
    assert all(re.search(r":(role|policy)/\$\{PlatformStack\}-\*$", resource) for resource in touched)
    (update,) = [s for s in statements(infra) if "cloudformation:UpdateStack" in as_list(s["Action"])]
    assert "${PlatformStack}/*" in update["Resource"]["Fn::Sub"]
    assert not actions(infra) & {"cloudformation:CreateStack", "cloudformation:ExecuteChangeSet", "sts:AssumeRole"}


def test_account_is_changed_through_cloudformation_alone(template: dict[str, Any]) -> None:
    """All other statements of the infrastructure role require a call through CloudFormation."""
    direct = {"UpdatePlatformStack", "ListFunctionCode", "WriteFunctionCode", "ReadTemplateSummary"}
    for statement in statements(roles(template)["InfraRole"]):
        if statement["Sid"] in direct or statement["Sid"] == "PreviewChanges" or statement["Effect"] == "Deny":
            continue
        condition = statement["Condition"]["ForAnyValue:StringEquals"]
        assert condition == {"aws:CalledVia": "cloudformation.amazonaws.com"}, statement["Sid"]


def test_roles_are_passed_to_named_services_only(template: dict[str, Any]) -> None:
    """The roles of jobs to SageMaker, the function's role to Lambda."""
    passing = {
        name: statement["Condition"]["StringEquals"]["iam:PassedToService"]
        for name, role in roles(template).items()
        for statement in statements(role)
        if "iam:PassRole" in as_list(statement["Action"])
    }
    assert passing == {
        "TrainRole": "sagemaker.amazonaws.com",
        "DriftRole": "sagemaker.amazonaws.com",
        "InfraRole": "lambda.amazonaws.com",
    }


def test_key_is_changed_through_cloudformation_and_by_its_tag_alone(template: dict[str, Any]) -> None:
    """The infrastructure role reaches no other key of the account, and its key policy is none that it may change."""
    policy = managed(template)["InfraKeyPolicy"]
    assert policy["Path"] == "/github/"
    for statement in policy["PolicyDocument"]["Statement"]:
        condition = statement["Condition"]
        assert condition["ForAnyValue:StringEquals"] == {"aws:CalledVia": "cloudformation.amazonaws.com"}
        if statement["Sid"] in ("ChangeAlias", "ListAliases"):
            continue
        (tag,) = condition["StringEquals"]
        assert tag in ("aws:RequestTag/fraudops-stack", "aws:ResourceTag/fraudops-stack")
        assert condition["StringEquals"][tag] == {"Ref": "PlatformStack"}


def test_workflows_use_the_key_through_s3_only(template: dict[str, Any]) -> None:
    """Roles that read and write the lake may encrypt; the one that pull requests may assume only decrypts."""
    found: dict[str, set[str]] = {}
    for name, policy in managed(template).items():
        if name in ("InfraKeyPolicy", "PlatformBoundary", "DriftComparesAccount", "TrainSigns", "DeployVerifies"):
            continue
        assert template["Resources"][name]["Condition"] == "HasKey"
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert set(statement["Condition"]["StringEquals"]) == {"kms:ViaService"}
        found |= {role["Ref"]: set(as_list(statement["Action"])) for role in policy["Roles"]}
    both = {"kms:Decrypt", "kms:GenerateDataKey"}
    assert found == {"TrainRole": both, "DeployRole": both, "DriftRole": both, "PlanRole": {"kms:Decrypt"}}


def test_train_role_alone_signs_and_deploy_role_verifies(template: dict[str, Any]) -> None:
    """By the policies of the roles, and by the key's own; infra.yml cannot reach the key, which has no tag."""
    found = {
        name: {role["Ref"] for role in policy["Roles"]}
        for name, policy in managed(template).items()
        for each in policy["PolicyDocument"]["Statement"]
        if {"kms:Sign", "kms:Verify"} & set(as_list(each["Action"]))
    }
    assert found == {"TrainSigns": {"TrainRole"}, "DeployVerifies": {"DeployRole"}}
    key = template["Resources"]["SigningKey"]["Properties"]
    (denies,) = [each for each in key["KeyPolicy"]["Statement"] if each["Effect"] == "Deny"]
    condition = {"ArnNotEquals": {"aws:PrincipalArn": {"Fn::GetAtt": ["TrainRole", "Arn"]}}}
    assert (denies["Action"], denies["Principal"], denies["Condition"]) == ("kms:Sign", "*", condition)
    assert "Tags" not in key


def test_comparison_of_the_account_reads_only(template: dict[str, Any]) -> None:
    """What drift.yml may do for `fraudops status` changes nothing, and its role alone has it."""
    policy = managed(template)["DriftComparesAccount"]
    assert policy["Roles"] == [{"Ref": "DriftRole"}]
    allowed = {action for each in policy["PolicyDocument"]["Statement"] for action in as_list(each["Action"])}
    assert allowed
    assert all(re.fullmatch(r"[a-z0-9-]+:(Describe|Get|List)\w+", action) for action in allowed)


def test_every_output_becomes_a_variable(template: dict[str, Any]) -> None:
    """The outputs are those that bootstrap reads, and the workflows use the variables that it sets."""
    outputs = {*workflow_roles.ROLES, workflow_roles.BOUNDARY, "UseEnvironments"}
    assert set(template["Outputs"]) == outputs
    assert set(workflow_roles.variables(dict.fromkeys(outputs, "x"))) == {
        *workflow_roles.ROLES.values(),
        workflow_roles.ENVIRONMENTS_VARIABLE,
    }
    asked = {
        variable
        for file in (ROOT / ".github/workflows").glob("*.yml")
        for variable in re.findall(r"vars\.(FRAUDOPS_ROLE_\w+)", file.read_text())
    }
    others = {"FRAUDOPS_ROLE_SERVING_IMAGE", staging_role.VARIABLE}  # of templates of their own
    assert asked - others == set(workflow_roles.ROLES.values())


def test_policies_fit_into_a_role(template: dict[str, Any]) -> None:
    """IAM allows 10,240 characters of inline policies per role; the test keeps a reserve for parameters."""
    for name, role in roles(template).items():
        text = json.dumps([policy["PolicyDocument"] for policy in role["Policies"]], separators=(",", ":"))
        assert len(text) < 9_000, name


def test_endpoint_name_is_a_parameter() -> None:
    """bootstrap passes the committed endpoint's name; the template does not contain the shipped one."""
    assert config.load_serving(SHIPPED).endpoint not in TEMPLATE.read_text()


def test_drift_check_imports_labels_and_writes_below_monitoring(template: dict[str, Any]) -> None:
    """DriftRole cannot approve, train or deploy; it writes its endpoint's files, new labels and its metrics namespace.
    It deletes in the inbox of labels alone, and starts jobs that count, with a role that does nothing else."""
    found = list(statements(roles(template)["DriftRole"]))
    writing = [each for each in found if "s3:PutObject" in as_list(each["Action"])]
    written = [resource["Fn::Sub"] for each in writing for resource in as_list(each["Resource"])]
    lake = "arn:${AWS::Partition}:s3:::${Bucket}"
    assert written == [
        f"{lake}/monitoring/${{EndpointName}}/*",
        f"{lake}/monitoring/unreadable/${{EndpointName}}/*",
        f"{lake}/labels/late-*",
        f"{lake}/labels-inbox/imported/*",
    ]
    (deleting,) = [each for each in found if "s3:DeleteObject" in as_list(each["Action"])]
    assert deleting["Resource"] == {"Fn::Sub": f"{lake}/labels-inbox/*"}
    (metrics,) = [each for each in found if "cloudwatch:PutMetricData" in as_list(each["Action"])]
    assert metrics["Condition"] == {"StringEquals": {"cloudwatch:namespace": "Fraudops/Drift"}}
    assert actions(roles(template)["DriftRole"]) == {
        "cloudformation:DescribeStacks",
        "s3:ListBucket",
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "cloudwatch:PutMetricData",
        "sagemaker:CreateProcessingJob",
        "sagemaker:DescribeProcessingJob",
        "sagemaker:StopProcessingJob",
        "iam:PassRole",
    }
    (passing,) = [each for each in found if "iam:PassRole" in as_list(each["Action"])]
    assert passing["Resource"]["Fn::Sub"].endswith(":role/${PlatformStack}-CountingRole-*")
