"""One test per service rule: the request that AWS refuses is refused, with AWS's code and message."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from aws_resources import ROLE, create_endpoint, create_endpoint_config, create_function, unique_name
from botocore.exceptions import ClientError
from local_aws.server import LocalAws
from local_aws.service_rules.catalog import rules

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
CONTAINER = {"Image": IMAGE, "ModelDataUrl": "s3://models/a.tar.gz"}
Case = Callable[[LocalAws], None]


def long_policy(characters: int) -> str:
    """A policy of more than that many characters."""
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{'a' * 1000}/*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement] * (characters // 1000 + 1)})


def definition(*, arguments: list[Any] | None = None) -> str:
    """A pipeline of one processing step, and one optional parameter."""
    application: dict[str, Any] = {"ImageUri": IMAGE, "ContainerEntrypoint": ["true"]}
    if arguments is not None:
        application["ContainerArguments"] = arguments
    cluster = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
    own = {"ProcessingResources": {"ClusterConfig": cluster}, "AppSpecification": application, "RoleArn": ROLE}
    parameter = {"Name": "Window", "Type": "String", "DefaultValue": ""}
    steps = [{"Name": "Work", "Type": "Processing", "Arguments": own}]
    return json.dumps({"Version": "2020-12-01", "Parameters": [parameter], "Steps": steps})


def run(aws: LocalAws, text: str) -> str:
    """The failure reason of the pipeline's step."""
    sagemaker, name = aws.client("sagemaker"), unique_name("pipeline")
    sagemaker.create_pipeline(
        PipelineName=name, PipelineDefinition=text, RoleArn=ROLE, ClientRequestToken=unique_name("t" * 32)
    )
    arn = sagemaker.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
    aws._services.pipelines.wait(arn, 60)
    (step,) = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)["PipelineExecutionSteps"]
    return str(step["FailureReason"])


def refused(rule_id: str, call: Callable[[], object]) -> None:
    """The call fails with the rule's code and message."""
    rule = rules()[rule_id]
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    assert error["Code"] == rule.code
    assert re.fullmatch(pattern(rule_id), error["Message"], re.DOTALL), error["Message"]
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == rule.status


def pattern(rule_id: str) -> str:
    """The rule's message as a pattern that accepts any values."""
    return re.sub(r"\\\{\w+\\\}", ".+", re.escape(rules()[rule_id].message))


def reason_of_failed_stack(aws: LocalAws, body: str) -> str:
    """The reasons in the events of a stack that cannot be created."""
    name, cloudformation = unique_name("stack"), aws.client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"])
    assert cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] == "ROLLBACK_COMPLETE"
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    return "\n".join(event.get("ResourceStatusReason") or "" for event in events)


def empty_pipeline_parameter(aws: LocalAws) -> None:
    sagemaker, name = aws.client("sagemaker"), unique_name("pipeline")
    sagemaker.create_pipeline(
        PipelineName=name, PipelineDefinition=definition(), RoleArn=ROLE, ClientRequestToken=unique_name("t" * 32)
    )
    given = [{"Name": "Window", "Value": ""}]
    refused(
        "sagemaker-empty-pipeline-parameter",
        lambda: sagemaker.start_pipeline_execution(PipelineName=name, PipelineParameters=given),
    )


def empty_container_word(aws: LocalAws) -> None:
    reason = run(aws, definition(arguments=["--window", {"Get": "Parameters.Window"}]))
    assert reason.startswith(
        "ClientError: Failed to invoke sagemaker:CreateProcessingJob. Error Details: Found null or empty string in "
        "ContainerArguments at index 1. ContainerArguments and ContainerEntrypoint may not contain null or empty "
        "strings."
    )


def instance_quota(aws: LocalAws) -> None:
    aws.quotas.set({"instances": {"ml.m5.large for endpoint usage": 0, "ml.m5.large for processing job usage": 0}})
    configuration = create_endpoint_config(aws)
    refused(
        "sagemaker-instance-quota",
        lambda: aws.client("sagemaker").create_endpoint(EndpointName="none", EndpointConfigName=configuration),
    )
    assert "The account-level service limit 'ml.m5.large for processing job usage' is 0 Instances" in run(
        aws, definition()
    )


def model_exists(aws: LocalAws) -> None:
    request = {"ModelName": unique_name("model"), "PrimaryContainer": CONTAINER, "ExecutionRoleArn": ROLE}
    aws.client("sagemaker").create_model(**request)
    refused("sagemaker-model-exists", lambda: aws.client("sagemaker").create_model(**request))


def configuration_exists(aws: LocalAws) -> None:
    name = create_endpoint_config(aws)
    variant = {"VariantName": "a", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    refused(
        "sagemaker-configuration-exists",
        lambda: aws.client("sagemaker").create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant]),
    )


def endpoint_exists(aws: LocalAws) -> None:
    name = create_endpoint(aws)
    configuration = create_endpoint_config(aws)
    refused(
        "sagemaker-endpoint-exists",
        lambda: aws.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=configuration),
    )


def endpoint_in_progress(aws: LocalAws) -> None:
    name, sagemaker = create_endpoint(aws), aws.client("sagemaker")
    slow, other = create_endpoint_config(aws, SLOW_START="30"), create_endpoint_config(aws)
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=slow)
    refused(
        "sagemaker-endpoint-in-progress",
        lambda: sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=other),
    )
    refused("sagemaker-endpoint-in-progress", lambda: sagemaker.delete_endpoint(EndpointName=name))


def configuration_deleted(aws: LocalAws) -> None:
    name, sagemaker = create_endpoint(aws), aws.client("sagemaker")
    used = sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"]
    sagemaker.delete_endpoint_config(EndpointConfigName=used)
    other = create_endpoint_config(aws)
    refused(
        "sagemaker-configuration-deleted",
        lambda: sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=other),
    )


def reserved_concurrency(aws: LocalAws) -> None:
    name = create_function(aws, "def handler(event, context): pass")
    client = aws.client("lambda")
    refused(
        "lambda-reserved-concurrency",
        lambda: client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1),
    )
    aws.quotas.set({"lambda_concurrent_executions": 102})
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=2)


def reserved_variable(aws: LocalAws) -> None:
    variables = {"Environment": {"Variables": {"AWS_REGION": "x", "LAMBDA_TASK_ROOT": "y"}}}
    refused("lambda-reserved-variable", lambda: create_function(aws, "def handler(e, c): pass", **variables))


def environment_size(aws: LocalAws) -> None:
    variables = {"Environment": {"Variables": {"AB": "x" * 4096}}}
    refused("lambda-environment-size", lambda: create_function(aws, "def handler(e, c): pass", **variables))


def unzipped_size(aws: LocalAws) -> None:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("zeros", "w") as file,
    ):
        for _ in range(251):
            file.write(bytes(1 << 20))
    name = create_function(aws, "def handler(e, c): pass")
    refused(
        "lambda-unzipped-size",
        lambda: aws.client("lambda").update_function_code(FunctionName=name, ZipFile=buffer.getvalue()),
    )


def inline_policies_size(aws: LocalAws) -> None:
    name, iam = unique_name("role"), aws.client("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    for policy in ("one", "two"):
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=long_policy(3000))
    refused(
        "iam-inline-policies-size",
        lambda: iam.put_role_policy(RoleName=name, PolicyName="three", PolicyDocument=long_policy(1000)),
    )
    trust, policy = json.dumps(TRUST), long_policy(11_000)
    body = (
        f"Resources: {{R: {{Type: AWS::IAM::Role, Properties: {{AssumeRolePolicyDocument: {trust}, "
        f"Policies: [{{PolicyName: p, PolicyDocument: {policy}}}]}}}}}}"
    )
    assert "Maximum policy size of 10240 bytes exceeded for role" in reason_of_failed_stack(aws, body)


def managed_policy_size(aws: LocalAws) -> None:
    refused(
        "iam-managed-policy-size",
        lambda: aws.client("iam").create_policy(PolicyName=unique_name("p"), PolicyDocument=long_policy(6200)),
    )
    body = f"Resources: {{P: {{Type: AWS::IAM::ManagedPolicy, Properties: {{PolicyDocument: {long_policy(6200)}}}}}}}"
    assert "Cannot exceed quota for PolicySize: 6144" in reason_of_failed_stack(aws, body)


def trust_policy_size(aws: LocalAws) -> None:
    many = {**TRUST, "Statement": TRUST["Statement"] * 30}  # type: ignore[operator]
    refused(
        "iam-trust-policy-size",
        lambda: aws.client("iam").create_role(RoleName=unique_name("r"), AssumeRolePolicyDocument=json.dumps(many)),
    )


def session_length(aws: LocalAws) -> None:
    name, account = unique_name("role"), {"AWS": "arn:aws:iam::123456789012:root"}
    trust = {**TRUST, "Statement": [{"Effect": "Allow", "Principal": account, "Action": "sts:AssumeRole"}]}
    arn = aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    refused(
        "sts-session-length",
        lambda: aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="session", DurationSeconds=7200),
    )


def new_rule(aws: LocalAws) -> str:
    """A new rule's name."""
    name = unique_name("rule")
    aws.client("events").put_rule(Name=name, EventPattern='{"source": ["a"]}')
    return name


def targets(count: int) -> list[dict[str, str]]:
    """So many targets."""
    return [{"Id": f"t{number}", "Arn": f"arn:aws:sqs:us-east-1:123456789012:q{number}"} for number in range(count)]


def targets_per_rule(aws: LocalAws) -> None:
    name, events = new_rule(aws), aws.client("events")
    events.put_targets(Rule=name, Targets=targets(5))
    refused("events-targets-per-rule", lambda: events.put_targets(Rule=name, Targets=targets(6)[5:]))
    listed = json.dumps(targets(6))
    properties = f"{{EventPattern: {{source: [a]}}, Targets: {listed}}}"
    body = f"Resources: {{R: {{Type: AWS::Events::Rule, Properties: {properties}}}}}"
    assert "The requested resource exceeds the maximum number allowed." in reason_of_failed_stack(aws, body)


def rule_without_trigger(aws: LocalAws) -> None:
    refused("events-rule-without-trigger", lambda: aws.client("events").put_rule(Name=unique_name("rule")))


def invalid_schedule(aws: LocalAws) -> None:
    for text in ("rate(3 minute)", "rate(1 minutes)", "rate(0 days)", "cron(15 * * * *)", "cron(0 1 * * * *)", "x"):
        refused(
            "events-invalid-schedule",
            lambda text=text: aws.client("events").put_rule(Name=unique_name("rule"), ScheduleExpression=text),  # type: ignore[misc]
        )
    for text in ("rate(1 minute)", "rate(2 hours)", "cron(15 10 ? * 6L 2026)", "cron(0 8 1 * ? *)"):
        aws.client("events").put_rule(Name=unique_name("rule"), ScheduleExpression=text)


def rule_has_targets(aws: LocalAws) -> None:
    name, events = new_rule(aws), aws.client("events")
    events.put_targets(Rule=name, Targets=targets(1))
    refused("events-rule-has-targets", lambda: events.delete_rule(Name=name))


def bucket_name(aws: LocalAws) -> None:
    for name in ("a.", "192.168.5.4", "a..b", "xn--a-b", "a-bucket-s3alias", "sthree-a"):
        refused("s3-bucket-name", lambda name=name: aws.client("s3").create_bucket(Bucket=name))  # type: ignore[misc]


def bucket_not_empty(aws: LocalAws) -> None:
    name, s3 = unique_name("bucket"), aws.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="a", Body=b"1")
    refused("s3-bucket-not-empty", lambda: s3.delete_bucket(Bucket=name))


def retention(aws: LocalAws) -> None:
    name, logs = unique_name("group"), aws.client("logs")
    logs.create_log_group(logGroupName=name)
    refused("logs-retention", lambda: logs.put_retention_policy(logGroupName=name, retentionInDays=2))
    logs.put_retention_policy(logGroupName=name, retentionInDays=3653)


def log_group_exists(aws: LocalAws) -> None:
    name, logs = unique_name("group"), aws.client("logs")
    logs.create_log_group(logGroupName=name)
    refused("logs-group-exists", lambda: logs.create_log_group(logGroupName=name))


def template_size(aws: LocalAws) -> None:
    body = json.dumps({"Description": "x", "Resources": {"T": {"Type": "AWS::SNS::Topic"}}, "Metadata": "y" * 51_200})
    refused(
        "cloudformation-template-size",
        lambda: aws.client("cloudformation").create_stack(StackName=unique_name("stack"), TemplateBody=body),
    )


def stack_not_updatable(aws: LocalAws) -> None:
    name, cloudformation = unique_name("stack"), aws.client("cloudformation")
    broken = (
        "Resources: {F: {Type: AWS::Lambda::Function, Properties: {Runtime: python3.12, Handler: a.b, "
        "Role: 'arn:aws:iam::123456789012:role/none', Code: {S3Bucket: none, S3Key: none}}}}"
    )
    cloudformation.create_stack(StackName=name, TemplateBody=broken)
    good = "Resources: {T: {Type: AWS::SNS::Topic}}"
    refused(
        "cloudformation-stack-not-updatable",
        lambda: cloudformation.update_stack(StackName=name, TemplateBody=good),
    )


def name_exists(aws: LocalAws) -> None:
    name = unique_name("group")
    aws.client("logs").create_log_group(logGroupName=name)
    body = f"Resources: {{G: {{Type: AWS::Logs::LogGroup, Properties: {{LogGroupName: {name}}}}}}}"
    reasons = reason_of_failed_stack(aws, body)
    assert re.search(pattern("cloudformation-name-exists"), reasons), reasons


CASES: dict[str, Case] = {
    "cloudformation-name-exists": name_exists,
    "cloudformation-stack-not-updatable": stack_not_updatable,
    "cloudformation-template-size": template_size,
    "events-invalid-schedule": invalid_schedule,
    "events-rule-has-targets": rule_has_targets,
    "events-rule-without-trigger": rule_without_trigger,
    "events-targets-per-rule": targets_per_rule,
    "iam-inline-policies-size": inline_policies_size,
    "iam-managed-policy-size": managed_policy_size,
    "iam-trust-policy-size": trust_policy_size,
    "lambda-environment-size": environment_size,
    "lambda-reserved-concurrency": reserved_concurrency,
    "lambda-reserved-variable": reserved_variable,
    "lambda-unzipped-size": unzipped_size,
    "logs-group-exists": log_group_exists,
    "logs-retention": retention,
    "s3-bucket-name": bucket_name,
    "s3-bucket-not-empty": bucket_not_empty,
    "sagemaker-configuration-deleted": configuration_deleted,
    "sagemaker-configuration-exists": configuration_exists,
    "sagemaker-empty-container-word": empty_container_word,
    "sagemaker-empty-pipeline-parameter": empty_pipeline_parameter,
    "sagemaker-endpoint-exists": endpoint_exists,
    "sagemaker-endpoint-in-progress": endpoint_in_progress,
    "sagemaker-instance-quota": instance_quota,
    "sagemaker-model-exists": model_exists,
    "sts-session-length": session_length,
}


@pytest.fixture(autouse=True)
def new_account(aws: LocalAws) -> None:
    """The quotas of a new account."""
    aws.quotas.reset()


@pytest.mark.parametrize("rule_id", sorted(CASES))
def test_rule_refuses_in_awss_words(aws: LocalAws, rule_id: str) -> None:
    """The request that the rule is about is refused."""
    CASES[rule_id](aws)


def test_every_rule_has_a_test() -> None:
    """And every test a rule."""
    assert set(CASES) == set(rules())


def test_every_rule_has_a_public_source() -> None:
    """AWS's page or a repository's issue, the service's model knows the operations, and the statement is a sentence."""
    import botocore.session

    for rule in rules().values():
        assert re.match(r"https://(docs\.aws\.amazon\.com|github\.com/[\w.-]+/[\w.-]+/(issues|pull))/", rule.source), (
            rule.id
        )
        assert rule.id.startswith(f"{rule.service}-")
        known = botocore.session.Session().get_service_model(rule.service).operation_names
        assert rule.operations
        assert set(rule.operations) <= set(known), rule.id
        assert rule.statement.endswith("."), rule.id


def test_unknown_quota_is_refused(aws: LocalAws) -> None:
    """A misspelt name or a negative number sets nothing."""
    from local_aws.errors import AwsError

    for values in ({"lambda": 1}, {"lambda_concurrent_executions": -1}, {"instances": 3}, {"instances": {"a": "b"}}):
        with pytest.raises(AwsError, match="quota"):
            aws.quotas.set(values)
    assert aws.quotas.lambda_concurrent_executions == 10
