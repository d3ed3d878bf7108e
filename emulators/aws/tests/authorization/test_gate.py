"""Calls of users and roles are decided by their policies as deployed, and denied ones answer as AWS's services do."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from aws_resources import allow, create_queue, create_role, unique_name, zip_function
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from callers import ACCOUNT, SAGEMAKER, Session, client, decisions, document
from local_aws.server import LocalAws
from moto.sts.models import sts_backends

TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:topic"


@pytest.fixture
def bucket(aws: LocalAws) -> str:
    """A new bucket with one object, `a/one`."""
    name = unique_name("bucket")
    aws.client("s3").create_bucket(Bucket=name)
    aws.client("s3").put_object(Bucket=name, Key="a/one", Body=b"1")
    return name


def refused(call: Any, **arguments: Any) -> tuple[str, int, str]:
    """Code, status and message of the error that a call ends with."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Message"]


def deny(action: str, resource: str = "*") -> dict[str, Any]:
    """A Deny statement."""
    return {**allow(action, resource), "Effect": "Deny"}


def test_call_without_permission_is_denied_in_s3s_words(aws: LocalAws, bucket: str) -> None:
    """S3 answers XML with status 403 and IAM's message, which names session, action, resource and policy type."""
    session = Session(aws, allow("s3:PutObject", f"arn:aws:s3:::{bucket}/*"))
    session.client("s3").put_object(Bucket=bucket, Key="a/two", Body=b"2")
    code, status, message = refused(session.client("s3").get_object, Bucket=bucket, Key="a/one")
    assert (code, status) == ("AccessDenied", 403)
    assert message == (
        f'User: {session.arn} is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::{bucket}/a/one" '
        "because no identity-based policy allows the s3:GetObject action"
    )


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "code", "status"),
    [
        ("sagemaker", "describe_endpoint", {"EndpointName": "e"}, "AccessDeniedException", 400),
        ("logs", "describe_log_groups", {}, "AccessDeniedException", 400),
        ("lambda", "get_function", {"FunctionName": "f"}, "AccessDeniedException", 403),
        ("iam", "get_role", {"RoleName": "r"}, "AccessDenied", 403),
        ("cloudformation", "describe_stacks", {"StackName": "s"}, "AccessDenied", 403),
        (
            "sts",
            "assume_role",
            {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/x", "RoleSessionName": "nn"},
            "AccessDenied",
            403,
        ),
        (
            "sns",
            "publish",
            {"TopicArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:t", "Message": "m"},
            "AuthorizationError",
            403,
        ),
        ("cloudwatch", "put_metric_data", {"Namespace": "N", "MetricData": [{"MetricName": "m"}]}, "AccessDenied", 403),
        ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "e", "Body": b""}, "AccessDeniedException", 400),
        ("events", "put_rule", {"Name": "r", "EventPattern": "{}"}, "AccessDeniedException", 400),
    ],
)
def test_denied_call_has_the_error_of_its_service(
    aws: LocalAws, service: str, operation: str, parameters: dict[str, Any], *, code: str, status: int
) -> None:
    """Each protocol carries code, status and message so that the SDK reads them."""
    session = Session(aws)
    found = refused(getattr(session.client(service), operation), **parameters)
    assert found[:2] == (code, status)
    assert found[2].startswith(f"User: {session.arn} is not authorized to perform: ")


def test_head_of_a_denied_object_is_a_bare_403(aws: LocalAws, bucket: str) -> None:
    """HEAD has no body, so the SDK knows the status only."""
    assert refused(Session(aws).client("s3").head_object, Bucket=bucket, Key="a/one") == ("403", 403, "Forbidden")


def test_missing_key_is_forbidden_to_callers_who_may_not_list(aws: LocalAws, bucket: str) -> None:
    """404 tells that a key does not exist: only callers who may list there get it, by the key as s3:prefix."""
    reads = allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*")
    lists = allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", StringLike={"s3:prefix": "a/*"})
    reader, lister = Session(aws, reads).client("s3"), Session(aws, reads, lists).client("s3")
    code, status, message = refused(reader.get_object, Bucket=bucket, Key="a/none")
    assert (code, status) == ("AccessDenied", 403)
    assert "s3:ListBucket" in message
    assert refused(reader.head_object, Bucket=bucket, Key="a/none")[1] == 403
    assert refused(lister.get_object, Bucket=bucket, Key="a/none")[0] == "NoSuchKey"
    assert refused(lister.head_object, Bucket=bucket, Key="a/none")[1] == 404
    assert refused(lister.get_object, Bucket=bucket, Key="b/none")[0] == "AccessDenied"
    assert reader.get_object(Bucket=bucket, Key="a/one")["Body"].read() == b"1"


def test_deleted_version_is_a_missing_key(aws: LocalAws) -> None:
    """A delete marker hides the key from callers who may not list, too."""
    name, s3 = unique_name("bucket"), aws.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=name, Key="k", Body=b"1")
    s3.delete_object(Bucket=name, Key="k")
    reader = Session(aws, allow("s3:GetObject", f"arn:aws:s3:::{name}/*")).client("s3")
    assert refused(reader.get_object, Bucket=name, Key="k")[0] == "AccessDenied"


def test_explicit_deny_boundary_and_session_policy_restrict(aws: LocalAws, bucket: str) -> None:
    """Each of the three denies what the role's policy allows."""
    everything = allow("s3:*")
    denied = Session(aws, everything, deny("s3:GetObject")).client("s3")
    assert "with an explicit deny" in refused(denied.get_object, Bucket=bucket, Key="a/one")[2]
    bounded = Session(aws, everything)
    policy = aws.client("iam").create_policy(
        PolicyName=unique_name("boundary"), PolicyDocument=document(allow("s3:List*"))
    )
    aws.client("iam").put_role_permissions_boundary(RoleName=bounded.name, PermissionsBoundary=policy["Policy"]["Arn"])
    assert "permissions boundary" in refused(bounded.client("s3").get_object, Bucket=bucket, Key="a/one")[2]
    assert bounded.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    narrow = Session(aws, everything, policy=allow("s3:ListBucket")).client("s3")
    assert "session policy" in refused(narrow.get_object, Bucket=bucket, Key="a/one")[2]


def test_changed_policy_counts_at_the_next_call(aws: LocalAws, bucket: str) -> None:
    """Policies are read as deployed, not as they were when the session began."""
    session = Session(aws)
    assert refused(session.client("s3").get_object, Bucket=bucket, Key="a/one")[0] == "AccessDenied"
    aws.client("iam").put_role_policy(
        RoleName=session.name, PolicyName="later", PolicyDocument=document(allow("s3:GetObject"))
    )
    assert session.client("s3").get_object(Bucket=bucket, Key="a/one")["Body"].read() == b"1"


def test_aws_managed_policy_is_attachable(aws: LocalAws, bucket: str) -> None:
    """moto's copy of AWS's policies is loaded by name; a policy that does not exist is not."""
    session, iam = Session(aws), aws.client("iam")
    iam.attach_role_policy(RoleName=session.name, PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    assert session.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    assert refused(session.client("s3").delete_object, Bucket=bucket, Key="a/one")[0] == "AccessDenied"
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.attach_role_policy(RoleName=session.name, PolicyArn="arn:aws:iam::aws:policy/NoSuchPolicy")


def test_bucket_policy_grants_and_denies(aws: LocalAws, bucket: str) -> None:
    """A policy that names the role allows what its own policies do not, and a Deny binds the administrator."""
    session, s3 = Session(aws), aws.client("s3")
    grant = {**allow("s3:GetObject", f"arn:aws:s3:::{bucket}/a/*"), "Principal": {"AWS": session.role}}
    lock = {**deny("s3:PutObject", f"arn:aws:s3:::{bucket}/locked/*"), "Principal": "*"}
    lock["Condition"] = {"ArnNotEquals": {"aws:PrincipalArn": session.role}}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(grant, lock))
    assert session.client("s3").get_object(Bucket=bucket, Key="a/one")["Body"].read() == b"1"
    assert refused(session.client("s3").put_object, Bucket=bucket, Key="locked/x", Body=b"")[0] == "AccessDenied"
    code, _, message = refused(s3.put_object, Bucket=bucket, Key="locked/x", Body=b"")
    assert code == "AccessDenied"
    assert "with an explicit deny in a resource-based policy" in message


def test_user_has_the_policies_of_its_groups(aws: LocalAws, bucket: str) -> None:
    """Users act with an access key; inactive keys do not exist for AWS."""
    iam, name = aws.client("iam"), unique_name("user")
    iam.create_user(UserName=name)
    iam.create_group(GroupName=name)
    iam.add_user_to_group(GroupName=name, UserName=name)
    keys = iam.create_access_key(UserName=name)["AccessKey"]
    s3 = client(aws, "s3", keys)
    assert refused(s3.list_objects_v2, Bucket=bucket)[0] == "AccessDenied"
    iam.put_group_policy(GroupName=name, PolicyName="read", PolicyDocument=document(allow("s3:ListBucket")))
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    iam.update_access_key(UserName=name, AccessKeyId=keys["AccessKeyId"], Status="Inactive")
    assert refused(s3.list_objects_v2, Bucket=bucket)[0] == "InvalidAccessKeyId"


def test_keys_that_do_not_exist_or_have_expired_are_refused(aws: LocalAws, bucket: str) -> None:
    """With the code that each protocol has for them."""
    keys = {"AccessKeyId": "ASIANOSUCHKEY0000000", "SecretAccessKey": "x"}
    assert refused(client(aws, "s3", keys).list_objects_v2, Bucket=bucket)[0] == "InvalidAccessKeyId"
    assert refused(client(aws, "sagemaker", keys).list_endpoints)[0] == "UnrecognizedClientException"
    assert refused(client(aws, "sts", keys).get_caller_identity)[0] == "InvalidClientTokenId"
    session = Session(aws, allow("s3:*"))
    sts_backends[ACCOUNT]["aws"].assumed_roles[-1].expiration = datetime.now(UTC).replace(tzinfo=None) - timedelta(1)
    assert refused(session.client("s3").list_objects_v2, Bucket=bucket)[0] == "ExpiredToken"
    assert refused(session.client("sagemaker").list_endpoints)[0] == "ExpiredTokenException"


def test_unsigned_calls_are_anonymous(aws: LocalAws, bucket: str) -> None:
    """Only a bucket policy for everyone lets them in."""
    s3 = boto3.client("s3", region_name="us-east-1", endpoint_url=aws.url, config=Config(signature_version=UNSIGNED))
    assert refused(s3.get_object, Bucket=bucket, Key="a/one")[0] == "AccessDenied"
    public = {**allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"), "Principal": "*"}
    aws.client("s3").put_bucket_policy(Bucket=bucket, Policy=document(public))
    assert s3.get_object(Bucket=bucket, Key="a/one")["Body"].read() == b"1"


def test_presigned_url_acts_as_its_signer(aws: LocalAws, bucket: str) -> None:
    """The key and token in the query decide, as those in headers do."""
    import urllib3

    for statements, status in (((allow("s3:GetObject"),), 200), ((), 403)):
        url = (
            Session(aws, *statements)
            .client("s3")
            .generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a/one"})
        )
        assert urllib3.request("GET", url).status == status


def test_role_is_passed_only_with_permission_and_to_its_service(aws: LocalAws) -> None:
    """CreatePipeline requires iam:PassRole on the role, conditioned on the service."""
    role = create_role(aws, unique_name("job"), SAGEMAKER)
    step = {"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}
    definition = json.dumps({"Version": "2020-12-01", "Steps": [step]})
    creates = allow("sagemaker:CreatePipeline")

    def create(session: Session) -> Any:
        return session.client("sagemaker").create_pipeline

    request = {"PipelineDefinition": definition, "RoleArn": role, "ClientRequestToken": "t" * 32}
    code, _, message = refused(create(Session(aws, creates)), PipelineName=unique_name("p"), **request)
    assert code == "AccessDeniedException"
    assert f"iam:PassRole on resource: {role}" in message
    other = allow("iam:PassRole", role, StringEquals={"iam:PassedToService": "lambda.amazonaws.com"})
    assert "iam:PassRole" in refused(create(Session(aws, creates, other)), PipelineName=unique_name("p"), **request)[2]
    passes = allow("iam:PassRole", role, StringEquals={"iam:PassedToService": SAGEMAKER})
    create(Session(aws, creates, passes))(PipelineName=unique_name("p"), **request)


def test_role_that_does_not_trust_the_service_is_refused(aws: LocalAws) -> None:
    """SageMaker and Lambda check it in the call that hands the role over, the administrator's too."""
    role = create_role(aws, unique_name("other"), "events.amazonaws.com")
    container = {"Image": "i", "ModelDataUrl": "s3://models/a.tar.gz"}
    code, _, message = refused(
        aws.client("sagemaker").create_model,
        ModelName=unique_name("m"),
        PrimaryContainer=container,
        ExecutionRoleArn=role,
    )
    assert (code, message[:26]) == ("ValidationException", f"Could not assume role {role}"[:26])
    code, _, message = refused(
        aws.client("lambda").create_function,
        FunctionName=unique_name("f"),
        Role=role,
        Code={"ZipFile": zip_function("x = 1")},
        Runtime="python3.12",
        Handler="a.b",
    )
    assert code == "InvalidParameterValueException"
    assert "cannot be assumed by Lambda" in message


def test_operation_without_an_entry_is_refused_by_name(aws: LocalAws) -> None:
    """A gap in the tables is found by its caller; the administrator is not stopped by it."""
    session = Session(aws, allow("*"))
    code, _, message = refused(session.client("sagemaker").list_notebook_instances)
    assert code == "AccessDeniedException"
    assert "sagemaker:ListNotebookInstances" in message
    assert "local_aws.authorization.requirements" in message
    logged = decisions(aws, session.role)[-1]
    assert (logged["action"], logged["decision"]) == ("sagemaker:ListNotebookInstances", "implicit deny")
    aws.client("sagemaker").list_notebook_instances()


def test_denial_comes_before_the_state_of_the_account(aws: LocalAws) -> None:
    """A denied call is logged as one, also where a service rule refuses it; only a wrong form is refused before."""
    name = unique_name("role")
    role = create_role(aws, name, {"AWS": "arn:aws:iam::123456789012:root"})
    session = Session(aws, allow("iam:GetRole"))
    changed = {"RoleName": name, "PolicyDocument": "no policy"}
    code, _, message = refused(session.client("iam").update_assume_role_policy, **changed)
    assert (code, "iam:UpdateAssumeRolePolicy" in message) == ("AccessDenied", True)
    logged = decisions(aws, session.role)[-1]
    assert (logged["action"], logged["resource"]) == ("iam:UpdateAssumeRolePolicy", role)
    topic = aws.client("sns").create_topic(Name=unique_name("topic"))["TopicArn"]
    code, _, _ = refused(session.client("sns").publish, TopicArn=topic, Message="")
    assert code == "AuthorizationError"
    code, _, _ = refused(session.client("iam").update_role, RoleName=name, MaxSessionDuration=43_201)
    assert code == "ValidationError"


def test_queue_policy_is_evaluated_with_the_source_of_a_service(aws: LocalAws) -> None:
    """EventBridge delivers to a queue only for the rule that the policy names."""
    url, arn = create_queue(aws)
    events, sqs = aws.client("events"), aws.client("sqs")
    rules = [unique_name("rule") for _ in range(2)]
    arns = [events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))["RuleArn"] for name in rules]
    statement = {**allow("sqs:SendMessage", arn), "Principal": {"Service": "events.amazonaws.com"}}
    statement["Condition"] = {"ArnEquals": {"aws:SourceArn": arns[0]}}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(statement)})
    for name in rules:
        events.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": arn}])
        events.put_events(Entries=[{"Source": name, "DetailType": "t", "Detail": "{}"}])
    aws.flush()
    bodies = [
        json.loads(each["Body"]) for each in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    ]
    assert [each["source"] for each in bodies] == rules[:1]


def test_every_decision_is_logged_with_its_statements(aws: LocalAws, bucket: str) -> None:
    """A line has the caller, the action, the resource, the decision and the statements that decided."""
    statement = {**allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"), "Sid": "Read"}
    session = Session(aws, statement)
    session.client("s3").get_object(Bucket=bucket, Key="a/one")
    refused(session.client("s3").delete_object, Bucket=bucket, Key="a/one")
    allowed, denied = decisions(aws, session.role)
    assert (allowed["operation"], allowed["action"], allowed["decision"]) == ("s3:GetObject", "s3:GetObject", "allowed")
    assert (allowed["principal"], allowed["resource"]) == (session.arn, f"arn:aws:s3:::{bucket}/a/one")
    assert allowed["statements"] == [["permissions", "Read"]]
    assert (denied["action"], denied["decision"], denied["statements"]) == ("s3:DeleteObject", "implicit deny", [])


def test_tags_of_request_and_resource_are_context_keys(aws: LocalAws) -> None:
    """aws:RequestTag limits what is created, aws:ResourceTag what is touched."""
    statements = [
        allow("sagemaker:CreateModelPackageGroup", StringEquals={"aws:RequestTag/team": "risk"}),
        allow("sagemaker:AddTags"),
        allow("sagemaker:DescribeModelPackageGroup", StringEquals={"aws:ResourceTag/team": "risk"}),
    ]
    sagemaker = Session(aws, *statements).client("sagemaker")
    name = unique_name("group")
    assert refused(sagemaker.create_model_package_group, ModelPackageGroupName=name)[0] == "AccessDeniedException"
    sagemaker.create_model_package_group(ModelPackageGroupName=name, Tags=[{"Key": "team", "Value": "risk"}])
    assert sagemaker.describe_model_package_group(ModelPackageGroupName=name)["ModelPackageGroupName"] == name
    other = unique_name("group")
    aws.client("sagemaker").create_model_package_group(ModelPackageGroupName=other)
    assert refused(sagemaker.describe_model_package_group, ModelPackageGroupName=other)[0] == "AccessDeniedException"


def test_trust_decisions_are_logged(aws: LocalAws) -> None:
    """Each new session that a service has of a role, and a service that may have none, name the trust policy."""
    name = unique_name("function")
    role = create_role(aws, name, "lambda.amazonaws.com", allow("logs:*"))
    aws.client("lambda").create_function(
        FunctionName=name, Role=role, Code={"ZipFile": zip_function("def handler(e, c): pass")}, Runtime="python3.12",
        Handler="index.handler",
    )  # fmt: skip
    for _ in range(2):  # the second call uses the sessions of the first: the function's, and one for its logs
        aws.client("lambda").invoke(FunctionName=name)
    trusted = [line for line in decisions(aws, "lambda.amazonaws.com") if line["resource"] == role]
    assert [line["operation"] for line in trusted] == ["lambda:CreateFunction", "sts:AssumeRole", "sts:AssumeRole"]
    assert {line["decision"] for line in trusted} == {"allowed"}
    assert all(line["needed"] == line["statements"] == [[f"trust policy of {name}", "#0"]] for line in trusted)
    refused(aws.client("sagemaker").create_model, ModelName=name, ExecutionRoleArn=role)
    assert [line["decision"] for line in decisions(aws, SAGEMAKER) if line["resource"] == role] == ["implicit deny"]


def test_object_is_decided_by_the_policy_of_its_bucket(aws: LocalAws, bucket: str) -> None:
    """The log names the bucket's policy, whichever object the call is about."""
    session = Session(aws)
    reads = {**allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"), "Sid": "Read", "Principal": {"AWS": session.role}}
    aws.client("s3").put_bucket_policy(Bucket=bucket, Policy=document(reads))
    session.client("s3").get_object(Bucket=bucket, Key="a/one")
    assert decisions(aws, session.role)[-1]["needed"] == [[f"policy of arn:aws:s3:::{bucket}", "Read"]]
