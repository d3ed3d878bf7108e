"""The policies that decide for a caller: of its role, session, boundary, user and groups, as deployed."""

from __future__ import annotations

import pytest
from aws_resources import allow, deny, unique_name
from botocore.exceptions import ClientError
from callers import Session, client, document, refused
from local_aws.server import LocalAws


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
