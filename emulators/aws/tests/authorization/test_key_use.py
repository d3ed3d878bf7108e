"""KMS keys that services use for their callers: which permission on the key a call needs, under which conditions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_resources import allow, create_role, unique_name, zip_function
from callers import ACCOUNT, Session, decisions, document, refused
from local_aws.server import LocalAws

ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
DELEGATES = {**allow("kms:*"), "Sid": "Account", "Principal": ROOT}


def create_key(aws: LocalAws, *statements: dict[str, Any]) -> str:
    """A new key whose policy leaves it to the account's policies, and has these statements; its ARN."""
    made = aws.client("kms").create_key(Policy=document(DELEGATES, *statements))
    arn: str = made["KeyMetadata"]["Arn"]
    return arn


@pytest.fixture(scope="module")
def key(aws: LocalAws) -> str:
    """A key."""
    return create_key(aws)


def create_bucket(aws: LocalAws, key: str = "", *, bucket_key: bool = False) -> str:
    """A new bucket whose default encryption is with the key, if one is given."""
    name, s3 = unique_name("bucket"), aws.client("s3")
    s3.create_bucket(Bucket=name)
    if key:
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
        rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": bucket_key}
        s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    return name


def via(service: str, **context: str) -> dict[str, Any]:
    """A condition on the service that uses the key, and on its encryption context."""
    names = {f"kms:EncryptionContext:{name.replace('_', ':')}": value for name, value in context.items()}
    return {"StringEquals": {"kms:ViaService": f"{service}.us-east-1.amazonaws.com", **names}}


def test_object_in_an_encrypted_bucket_needs_the_key(aws: LocalAws, key: str) -> None:
    """kms:GenerateDataKey to write and kms:Decrypt to read, in S3's words; HEAD and listings need none."""
    bucket = create_bucket(aws, key)
    plain, writer = Session(aws, allow("s3:*")), Session(aws, allow("s3:*"), allow("kms:GenerateDataKey", key))
    reader = Session(aws, allow("s3:*"), allow("kms:Decrypt", key))
    code, status, message = refused(plain.client("s3").put_object, Bucket=bucket, Key="a", Body=b"1")
    assert (code, status) == ("AccessDenied", 403)
    assert message == (
        f"User: {plain.arn} is not authorized to perform: kms:GenerateDataKey on resource: {key} "
        "because no identity-based policy allows the kms:GenerateDataKey action"
    )
    writer.client("s3").put_object(Bucket=bucket, Key="a", Body=b"1")
    assert "kms:Decrypt" in refused(writer.client("s3").get_object, Bucket=bucket, Key="a")[2]
    assert reader.client("s3").get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"
    assert plain.client("s3").head_object(Bucket=bucket, Key="a")["SSEKMSKeyId"] == key
    assert plain.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    assert refused(plain.client("s3").head_object, Bucket=bucket, Key="a", ChecksumMode="ENABLED")[1] == 403
    reader.client("s3").head_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")


def test_object_with_another_encryption_needs_no_key(aws: LocalAws, key: str) -> None:
    """S3's own keys, asked for by the request, and AWS's managed key for S3."""
    session, bucket = Session(aws, allow("s3:*")).client("s3"), create_bucket(aws, key)
    session.put_object(Bucket=bucket, Key="a", Body=b"1", ServerSideEncryption="AES256")
    assert session.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"
    for managed in (create_bucket(aws), create_bucket(aws, "alias/aws/s3")):
        session.put_object(Bucket=managed, Key="a", Body=b"1")
        assert session.get_object(Bucket=managed, Key="a")["Body"].read() == b"1"


def test_key_of_the_request_is_the_one_that_is_needed(aws: LocalAws, key: str) -> None:
    """Not the bucket's default; the key may be named by its id or an alias too."""
    other, bucket = create_key(aws), create_bucket(aws, key)
    alias = f"alias/{unique_name('key')}"
    aws.client("kms").create_alias(AliasName=alias, TargetKeyId=other)
    session = Session(aws, allow("s3:*"), allow("kms:*", other)).client("s3")
    for name in (other, other.rpartition("/")[2], alias):
        session.put_object(Bucket=bucket, Key="a", Body=b"1", ServerSideEncryption="aws:kms", SSEKMSKeyId=name)
        assert session.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"
    assert key in refused(session.put_object, Bucket=bucket, Key="a", Body=b"1")[2]


@pytest.mark.parametrize("bucket_key", [False, True])
def test_conditions_on_service_and_encryption_context_hold(aws: LocalAws, key: str, bucket_key: bool) -> None:
    """The context is the object's ARN, or the bucket's with a bucket key; a direct call comes through no service."""
    bucket = create_bucket(aws, key, bucket_key=bucket_key)
    arn = f"arn:aws:s3:::{bucket}" + ("" if bucket_key else "/a")
    uses = allow(["kms:GenerateDataKey", "kms:Decrypt"], key, **via("s3", aws_s3_arn=arn))
    session = Session(aws, allow("s3:*"), uses)
    session.client("s3").put_object(Bucket=bucket, Key="a", Body=b"1")
    assert session.client("s3").get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"
    assert "kms:GenerateDataKey" in refused(
        session.client("kms").generate_data_key, KeyId=key, KeySpec="AES_256", EncryptionContext={"aws:s3:arn": arn}
    )[2]  # fmt: skip
    elsewhere = Session(aws, allow("s3:*"), allow("kms:*", key, **via("sqs"))).client("s3")
    assert refused(elsewhere.get_object, Bucket=bucket, Key="a")[0] == "AccessDenied"


def test_copy_reads_with_one_key_and_writes_with_the_other(aws: LocalAws, key: str) -> None:
    """kms:Decrypt on the source's key, kms:GenerateDataKey on the destination's."""
    other = create_key(aws)
    source, target = create_bucket(aws, key), create_bucket(aws, other)
    aws.client("s3").put_object(Bucket=source, Key="a", Body=b"1")
    copied = {"Bucket": target, "Key": "b", "CopySource": {"Bucket": source, "Key": "a"}}
    for statements, missing in (
        ([allow("kms:GenerateDataKey", other)], f"kms:Decrypt on resource: {key}"),
        ([allow("kms:Decrypt", key)], f"kms:GenerateDataKey on resource: {other}"),
    ):
        assert missing in refused(Session(aws, allow("s3:*"), *statements).client("s3").copy_object, **copied)[2]
    both = Session(aws, allow("s3:*"), allow("kms:Decrypt", key), allow("kms:GenerateDataKey", other))
    both.client("s3").copy_object(**copied)


def test_part_of_an_upload_needs_to_decrypt(aws: LocalAws, key: str) -> None:
    """Its start needs kms:GenerateDataKey; the parts have the key of the upload, not of the bucket."""
    bucket, place = create_bucket(aws), {"Key": "a"}
    starter = Session(aws, allow("s3:*"), allow("kms:GenerateDataKey", key)).client("s3")
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    upload = starter.create_multipart_upload(Bucket=bucket, **place, **encryption)["UploadId"]
    part = {"Bucket": bucket, **place, "UploadId": upload, "PartNumber": 1, "Body": b"1"}
    assert f"kms:Decrypt on resource: {key}" in refused(starter.upload_part, **part)[2]
    both = Session(aws, allow("s3:*"), allow(["kms:GenerateDataKey", "kms:Decrypt"], key)).client("s3")
    tag = both.upload_part(**part)["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": tag}]}
    both.complete_multipart_upload(Bucket=bucket, **place, UploadId=upload, MultipartUpload=parts)
    assert both.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"


def test_encrypted_queue_needs_the_key(aws: LocalAws, key: str) -> None:
    """To send, a data key that is decrypted too; to receive, kms:Decrypt. SQS has an error of its own for it."""
    url = aws.client("sqs").create_queue(QueueName=unique_name("queue"), Attributes={"KmsMasterKeyId": key})["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{url.rpartition('/')[2]}"
    without = Session(aws, allow("sqs:*"), allow("kms:GenerateDataKey", key)).client("sqs")
    code, status, message = refused(without.send_message, QueueUrl=url, MessageBody="m")
    assert (code, status) == ("KMS.AccessDeniedException", 400)
    assert "is not authorized to perform: kms:Decrypt on resource:" in message
    uses = allow(["kms:GenerateDataKey", "kms:Decrypt"], key, **via("sqs", aws_sqs_arn=arn))
    Session(aws, allow("sqs:*"), uses).client("sqs").send_message(QueueUrl=url, MessageBody="m")
    assert refused(Session(aws, allow("sqs:*")).client("sqs").receive_message, QueueUrl=url)[0] == code
    reader = Session(aws, allow("sqs:*"), allow("kms:Decrypt", key)).client("sqs")
    assert reader.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "m"


def test_encrypted_topic_needs_the_key(aws: LocalAws, key: str) -> None:
    """A publisher needs a data key that is decrypted too; SNS has an error of its own for it."""
    topic = aws.client("sns").create_topic(Name=unique_name("topic"), Attributes={"KmsMasterKeyId": key})["TopicArn"]
    code, status, message = refused(Session(aws, allow("sns:*")).client("sns").publish, TopicArn=topic, Message="m")
    assert (code, status) == ("KMSAccessDenied", 400)
    assert "kms:GenerateDataKey" in message
    uses = allow(["kms:GenerateDataKey", "kms:Decrypt"], key, **via("sns", aws_sns_topicArn=topic))
    Session(aws, allow("sns:*"), uses).client("sns").publish(TopicArn=topic, Message="m")


def test_eventbridge_uses_the_key_of_a_queue_in_its_own_name(aws: LocalAws) -> None:
    """The key's policy must name it; a condition on the rule does not hold, since EventBridge sends no source."""
    uses = {**allow(["kms:GenerateDataKey", "kms:Decrypt"]), "Principal": {"Service": "events.amazonaws.com"}}
    bound = {**uses, "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}}
    events, sqs, found = aws.client("events"), aws.client("sqs"), []
    for statements in ([], [bound], [uses]):
        key, name = create_key(aws, *statements), unique_name("queue")
        url = sqs.create_queue(QueueName=name, Attributes={"KmsMasterKeyId": key})["QueueUrl"]
        arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"
        admits = {**allow("sqs:SendMessage", arn), "Principal": {"Service": "events.amazonaws.com"}}
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(admits)})
        events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
        events.put_targets(Rule=name, Targets=[{"Id": "one", "Arn": arn}])
        events.put_events(Entries=[{"Source": name, "DetailType": "d", "Detail": "{}"}])
        assert aws.flush()
        found.append(len(sqs.receive_message(QueueUrl=url).get("Messages", [])))
    assert found == [0, 0, 1]


def test_log_group_is_encrypted_by_cloudwatch_logs_itself(aws: LocalAws) -> None:
    """The key's policy must admit it for the group; the caller needs no permission on the key."""
    name = f"/own/{unique_name('group')}"
    arn = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{name}"
    admits = {
        **allow(["kms:GenerateDataKey*", "kms:Decrypt"]),
        "Principal": {"Service": "logs.us-east-1.amazonaws.com"},
    }
    admits["Condition"] = {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": arn}}
    logs, key = Session(aws, allow("logs:*")).client("logs"), create_key(aws, admits)
    code, status, message = refused(logs.create_log_group, logGroupName=name, kmsKeyId=create_key(aws))
    assert (code, status) == ("InvalidParameterException", 400)
    assert message == f"The specified KMS key does not exist or is not allowed to be used with LogGroup '{arn}'"
    assert refused(logs.create_log_group, logGroupName=f"{name}-other", kmsKeyId=key)[0] == code
    logs.create_log_group(logGroupName=name, kmsKeyId=key)
    stream = {"logGroupName": name, "logStreamName": "s"}
    logs.create_log_stream(**stream)
    events = [{"timestamp": int(aws.clock.now().timestamp() * 1000), "message": "m"}]
    logs.put_log_events(**stream, logEvents=events)
    assert [each["message"] for each in logs.get_log_events(**stream)["events"]] == ["m"]
    aws.client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=document(DELEGATES))
    assert "kms:Decrypt" in refused(logs.get_log_events, **stream)[2]


def test_function_with_a_key_needs_to_encrypt_and_to_grant(aws: LocalAws, key: str) -> None:
    """Who sets the environment encrypts it through Lambda and creates the grant of the function."""
    name = unique_name("function")
    role = create_role(aws, name, "lambda.amazonaws.com")
    request = {
        "FunctionName": name, "Role": role, "Runtime": "python3.12", "Handler": "index.handler", "KMSKeyArn": key,
        "Code": {"ZipFile": zip_function("def handler(e, c): pass")}, "Environment": {"Variables": {"MODE": "1"}},
    }  # fmt: skip
    own = [allow("lambda:*"), allow("iam:PassRole", role)]
    encrypts = allow("kms:Encrypt", key, **via("lambda"))
    for statements, missing in (([], "kms:Encrypt"), ([encrypts], "kms:CreateGrant")):
        session = Session(aws, *own, *statements)
        assert missing in refused(session.client("lambda").create_function, **request)[2]
    grants = allow("kms:CreateGrant", key, Bool={"kms:GrantIsForAWSResource": "true"})
    Session(aws, *own, encrypts, grants).client("lambda").create_function(**request)


def test_key_policy_that_does_not_name_the_account_decides_alone(aws: LocalAws) -> None:
    """IAM policies count only where the key's policy leaves it to the account."""
    session = Session(aws, allow("s3:*"), allow("kms:*"))
    key = create_key(aws)
    own = {**allow("kms:*"), "Principal": {"AWS": f"{aws.client('sts').get_caller_identity()['Arn']}"}}
    aws.client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=document(own))
    bucket = create_bucket(aws, key)
    message = refused(session.client("s3").put_object, Bucket=bucket, Key="a", Body=b"1")[2]
    assert "because no resource-based policy allows the kms:GenerateDataKey action" in message


@pytest.mark.parametrize(
    ("constraints", "allowed", "denied"),
    [
        ({}, {"a": "1"}, None),
        ({"EncryptionContextSubset": {"a": "1"}}, {"a": "1", "b": "2"}, {"b": "2"}),
        ({"EncryptionContextEquals": {"a": "1"}}, {"a": "1"}, {"a": "1", "b": "2"}),
    ],
    ids=["none", "subset", "equals"],
)
def test_grant_allows_its_operations_under_its_constraint(
    aws: LocalAws, constraints: dict[str, Any], allowed: dict[str, str], denied: dict[str, str] | None
) -> None:
    """A role without policies uses the key as granted, until the grant is revoked."""
    key, kms, session = create_key(aws), aws.client("kms"), Session(aws)
    operations = ["GenerateDataKey", "DescribeKey"]
    grant = kms.create_grant(
        KeyId=key, GranteePrincipal=session.role, Operations=operations, Constraints=constraints
    )["GrantId"]  # fmt: skip
    own, data_key = session.client("kms"), {"KeyId": key, "KeySpec": "AES_256"}
    own.generate_data_key(**data_key, EncryptionContext=allowed)
    own.describe_key(KeyId=key)
    assert decisions(aws, session.role)[-1]["needed"] == [
        [f"policy of {key}", f"Grant{grant}" + ("WithoutConstraint" if constraints else "")]
    ]
    if denied:
        assert refused(own.generate_data_key, **data_key, EncryptionContext=denied)[0] == "AccessDeniedException"
    assert "kms:ListResourceTags" in refused(own.list_resource_tags, KeyId=key)[2]
    kms.revoke_grant(KeyId=key, GrantId=grant)
    assert refused(own.generate_data_key, **data_key, EncryptionContext=allowed)[0] == "AccessDeniedException"


def test_creation_of_a_grant_is_limited_by_what_it_grants(aws: LocalAws, key: str) -> None:
    """Its grantee, operations and constraint are condition keys; SageMaker's grants are for a resource of AWS."""
    grantee = Session(aws).role
    limits = {
        "StringEquals": {"kms:GranteePrincipal": grantee, "kms:GrantConstraintType": "EncryptionContextSubset"},
        "ForAllValues:StringEquals": {"kms:GrantOperations": ["Decrypt"]},
    }
    kms = Session(aws, allow("kms:CreateGrant", key, **limits)).client("kms")
    request = {
        "KeyId": key, "GranteePrincipal": grantee, "Operations": ["Decrypt"],
        "Constraints": {"EncryptionContextSubset": {"a": "1"}},
    }  # fmt: skip
    kms.create_grant(**request)
    for change in (
        {"GranteePrincipal": Session(aws).role}, {"Operations": ["Decrypt", "Encrypt"]},
        {"Constraints": {"EncryptionContextEquals": {"a": "1"}}},
    ):  # fmt: skip
        assert "kms:CreateGrant" in refused(kms.create_grant, **{**request, **change})[2]
    for_aws = Session(aws, allow("kms:CreateGrant", key, Bool={"kms:GrantIsForAWSResource": "true"})).client("kms")
    assert "kms:CreateGrant" in refused(for_aws.create_grant, **request)[2]
