"""What a service asks of AWS KMS for a call: the key of an object, a queue, a topic, a log group, a volume.

Most services use the key with the permissions of their caller, so that a call requires these too; CloudWatch Logs uses
it in its own name. A key that AWS manages for a service requires nothing. Nothing is encrypted.

Sources: KMS Developer Guide, "kms:ViaService" and "Encryption context"; those of an operation are beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from local_aws.authorization.calls import Call
from local_aws.authorization.requirements.base import Requirement
from local_aws.authorization.requirements.messaging import key_arn, queue_arn, topic_arn

LOGS_PRINCIPAL = "logs.{region}.amazonaws.com"


def find(call: Call) -> Iterable[Requirement]:
    """What the call requires of KMS, with the permissions of its caller."""
    rule = _RULES.get((call.service, call.operation))
    return () if rule is None else rule(call)


def of_destination(account: str, region: str, arn: str) -> Sequence[Requirement]:
    """What sending to the queue or topic with this ARN requires of KMS; nothing for other destinations."""
    service, name = arn.split(":")[2], arn.rpartition(":")[2]
    parameters = {"sqs": {"QueueUrl": f"/{account}/{name}"}, "sns": {"TopicArn": arn}}.get(service)
    if parameters is None:
        return ()
    call = Call(service=service, operation="", parameters=parameters, account=account, region=region)
    return tuple(_send(call) if service == "sqs" else _publish(call))


def of_log_group(call: Call) -> Iterator[Requirement]:
    """What a call requires of KMS that CloudWatch Logs uses in its own name, `LOGS_PRINCIPAL`.

    Source: CloudWatch Logs User Guide, "Encrypt log data in CloudWatch Logs using AWS KMS".
    """
    action = _LOG_ACTIONS.get(call.operation) if call.service == "logs" else None
    if action is None:
        return
    from moto.logs.models import logs_backends

    name = call.text("logGroupName") or call.text("logGroupIdentifier").rpartition("log-group:")[2].rstrip(":*")
    group = logs_backends[call.account][call.region].groups.get(name)
    key = call.text("kmsKeyId") or str(getattr(group, "kms_key_id", None) or "")
    arn = f"arn:aws:logs:{call.region}:{call.account}:log-group:{name}"
    yield from _use(call, action, key, "logs", {"aws:logs:arn": arn})


_LOG_ACTIONS = {
    "AssociateKmsKey": "GenerateDataKey",
    "CreateLogGroup": "GenerateDataKey",
    "FilterLogEvents": "Decrypt",
    "GetLogEvents": "Decrypt",
    "PutLogEvents": "GenerateDataKey",
}


def of_output(call: Call, key: str) -> list[Requirement]:
    """What a job's role is asked for the key of its output.

    Source: SageMaker API Reference, OutputDataConfig: the role must have permissions to call kms:Encrypt.
    """
    return list(_use(call, "Encrypt", key, "sagemaker", {}))


def of_volume(call: Call, key: str) -> list[Requirement]:
    """What is asked for the key of a storage volume of SageMaker: the creation of a grant for AWS's own use."""
    grant = {"kms:GrantIsForAWSResource": "true"}
    return [
        Requirement(each.action, each.resource, {**each.context, **grant})
        for each in _use(call, "CreateGrant", key, "sagemaker", {})
    ]


def _use(call: Call, action: str, key: str, service: str, encryption: Mapping[str, str]) -> Iterator[Requirement]:
    """The use of a key through a service; nothing without a key, or with one that AWS manages for a service."""
    if not key or "alias/aws/" in key:
        return
    named = Call(service="kms", operation=action, parameters={"KeyId": key}, account=call.account, region=call.region)
    context: dict[str, str | Sequence[str]] = {
        "aws:ViaAWSService": "true",
        "kms:CallerAccount": call.account,
        "kms:ViaService": f"{service}.{call.region}.amazonaws.com",
    }
    context |= {f"kms:EncryptionContext:{name}": value for name, value in encryption.items()}
    if encryption:
        context["kms:EncryptionContextKeys"] = tuple(encryption)
    yield Requirement(f"kms:{action}", key_arn(named), context)


def _bucket(call: Call, name: str) -> Any:
    from moto.s3.models import s3_backends

    return s3_backends[call.account]["aws"].buckets.get(name)


def _object_context(bucket: str, key: str, *, bucket_key: Any) -> dict[str, str]:
    """The encryption context of an object: S3 User Guide, "Reducing the cost of SSE-KMS with Amazon S3 Bucket Keys"."""
    with_bucket_key = str(bucket_key).lower() == "true"
    return {"aws:s3:arn": f"arn:aws:s3:::{bucket}" + ("" if with_bucket_key else f"/{key}")}


def _put(call: Call, action: str = "GenerateDataKey") -> Iterator[Requirement]:
    """A new object is encrypted with the key that the request names, or else as the bucket's default says."""
    bucket = _bucket(call, call.text("Bucket"))
    rule: Mapping[str, Any] = (getattr(bucket, "encryption", None) or {}).get("Rule") or {}
    default: Mapping[str, Any] = rule.get("ApplyServerSideEncryptionByDefault") or {}
    given = call.text("ServerSideEncryption")
    algorithm = given or str(default.get("SSEAlgorithm") or "")
    key = call.text("SSEKMSKeyId") if given else str(default.get("KMSMasterKeyID") or "")
    if not algorithm.startswith("aws:kms"):
        return
    bucket_key = call.parameters.get("BucketKeyEnabled", rule.get("BucketKeyEnabled"))
    context = _object_context(call.text("Bucket"), call.text("Key"), bucket_key=bucket_key)
    yield from _use(call, action, key, "s3", context)


def _read(call: Call, bucket_name: str, key_name: str, version: str) -> Iterator[Requirement]:
    bucket = _bucket(call, bucket_name)
    versions = [] if bucket is None else bucket.keys.getlist(key_name, default=[])
    found = next((each for each in reversed(versions) if not version or str(each.version_id) == version), None)
    if found is None or not str(getattr(found, "encryption", None)).startswith("aws:kms"):
        return
    context = _object_context(bucket_name, key_name, bucket_key=found.bucket_key_enabled)
    yield from _use(call, "Decrypt", str(found.kms_key_id or ""), "s3", context)


def _get(call: Call) -> Iterator[Requirement]:
    return _read(call, call.text("Bucket"), call.text("Key"), call.text("VersionId"))


def _head(call: Call) -> Iterator[Requirement]:
    """Only a checksum needs the key: S3 API Reference, HeadObject, ChecksumMode."""
    return _get(call) if call.text("ChecksumMode") == "ENABLED" else iter(())


def _source(call: Call) -> Iterator[Requirement]:
    source, _, version = unquote(call.text("CopySource")).lstrip("/").partition("?versionId=")
    bucket, _, key = source.partition("/")
    return _read(call, bucket, key, version)


def _copy(call: Call) -> Iterator[Requirement]:
    yield from _source(call)
    yield from _put(call)


def _part(call: Call) -> Iterator[Requirement]:
    """A part is encrypted with the key of the parts before it: S3 API Reference, UploadPart, "Permissions"."""
    bucket = _bucket(call, call.text("Bucket"))
    upload = getattr(bucket, "multiparts", {}).get(call.text("UploadId"))
    own = {"ServerSideEncryption": upload.sse_encryption, "SSEKMSKeyId": upload.kms_key_id} if upload else {}
    parameters = {**call.parameters, **{name: value for name, value in own.items() if value}}
    yield from _put(
        Call(service="s3", operation="", parameters=parameters, account=call.account, region=call.region), "Decrypt"
    )


def _part_copy(call: Call) -> Iterator[Requirement]:
    yield from _source(call)
    yield from _part(call)


def _queue_use(call: Call, *actions: str) -> Iterator[Requirement]:
    from moto.sqs.models import sqs_backends

    arn = queue_arn(call)
    name = urlsplit(call.text("QueueUrl")).path.rpartition("/")[2]
    queue = sqs_backends[call.account][call.region].queues.get(name)
    for action in actions:
        key = str(getattr(queue, "kms_master_key_id", None) or "")
        yield from _use(call, action, key, "sqs", {"aws:sqs:arn": arn})


def _send(call: Call) -> Iterator[Requirement]:
    """SQS Developer Guide, "Configuring AWS KMS permissions": producers."""
    return _queue_use(call, "GenerateDataKey", "Decrypt")


def _receive(call: Call) -> Iterator[Requirement]:
    """The same, consumers."""
    return _queue_use(call, "Decrypt")


def _publish(call: Call) -> Iterator[Requirement]:
    """SNS Developer Guide, "Managing Amazon SNS encryption keys and costs": publishers."""
    from moto.sns.models import sns_backends

    arn = topic_arn(call, call.text("TopicArn") or call.text("TargetArn"))
    topic = sns_backends[call.account][call.region].topics.get(arn)
    for action in ("GenerateDataKey", "Decrypt"):
        key = str(getattr(topic, "kms_master_key_id", None) or "")
        yield from _use(call, action, key, "sns", {"aws:sns:topicArn": arn})


def _function(call: Call) -> Iterator[Requirement]:
    """Who sets a function's key encrypts the environment and creates a grant for the function.

    Source: AWS Lambda Developer Guide, "Securing environment variables".
    """
    from moto.awslambda.models import lambda_backends

    name = call.text("FunctionName").rpartition(":")[2]
    functions = lambda_backends[call.account][call.region].list_functions()
    function = next((each for each in list(functions) if each.function_name == name), None)
    key = call.text("KMSKeyArn") or str(getattr(function, "kms_key_arn", None) or "")
    if not call.parameters.get("KMSKeyArn") and not call.parameters.get("Environment"):
        return
    context = {"aws:lambda:FunctionArn": f"arn:aws:lambda:{call.region}:{call.account}:function:{name}"}
    yield from _use(call, "Encrypt", key, "lambda", context)
    for grant in _use(call, "CreateGrant", key, "lambda", {}):
        yield Requirement(grant.action, grant.resource, {**grant.context, "kms:GrantIsForAWSResource": "true"})


def _endpoint(call: Call) -> Iterator[Requirement]:
    """The caller creates the grant for the volumes: SageMaker Developer Guide, "API Permissions", CreateEndpoint."""
    from moto.sagemaker.models import sagemaker_backends

    configuration = sagemaker_backends[call.account][call.region].endpoint_configs.get(call.text("EndpointConfigName"))
    yield from of_volume(call, str(getattr(configuration, "kms_key_id", None) or ""))


_RULES: Mapping[tuple[str, str], Callable[[Call], Iterable[Requirement]]] = {
    ("lambda", "CreateFunction"): _function,
    ("lambda", "UpdateFunctionConfiguration"): _function,
    ("s3", "CopyObject"): _copy,
    ("s3", "CreateMultipartUpload"): _put,
    ("s3", "GetObject"): _get,
    ("s3", "HeadObject"): _head,
    ("s3", "PutObject"): _put,
    ("s3", "UploadPart"): _part,
    ("s3", "UploadPartCopy"): _part_copy,
    ("sagemaker", "CreateEndpoint"): _endpoint,
    ("sagemaker", "UpdateEndpoint"): _endpoint,
    ("sns", "Publish"): _publish,
    ("sns", "PublishBatch"): _publish,
    ("sqs", "ReceiveMessage"): _receive,
    ("sqs", "SendMessage"): _send,
    ("sqs", "SendMessageBatch"): _send,
}
