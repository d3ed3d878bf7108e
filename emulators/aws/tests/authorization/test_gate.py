"""The gate authenticates requests: access keys and session tokens, presigned URLs, unsigned requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import boto3
import urllib3
from aws_resources import allow
from botocore import UNSIGNED
from botocore.config import Config
from callers import ACCOUNT, Session, client, document, refused
from local_aws.server import LocalAws
from moto.sts.models import sts_backends


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
    for statements, status in (((allow("s3:GetObject"),), 200), ((), 403)):
        url = (
            Session(aws, *statements)
            .client("s3")
            .generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a/one"})
        )
        assert urllib3.request("GET", url).status == status
