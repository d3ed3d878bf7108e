"""Cases of the rules of IAM, STS and KMS; not a test itself."""

from __future__ import annotations

import json
from functools import partial

import boto3
import pytest
from aws_resources import allow, create_role, unique_name
from botocore.exceptions import ClientError
from local_aws.server import LocalAws
from rule_cases.refusals import TRUST, Case, long_policy, reason_of_failed_stack, refused

ACCOUNT = "123456789012"


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
    many = {**TRUST, "Statement": TRUST["Statement"] * 30}
    refused(
        "iam-trust-policy-size",
        lambda: aws.client("iam").create_role(RoleName=unique_name("r"), AssumeRolePolicyDocument=json.dumps(many)),
    )


def trust_policy_json(aws: LocalAws) -> None:
    iam, name = aws.client("iam"), unique_name("role")
    for document in ("trust.json", "[]", '{"Version": '):
        refused(
            "iam-trust-policy-json",
            partial(iam.create_role, RoleName=name, AssumeRolePolicyDocument=document),
        )
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    refused("iam-trust-policy-json", lambda: iam.update_assume_role_policy(RoleName=name, PolicyDocument="x"))
    trust_policy_grammar(aws)


def trust_policy_grammar(aws: LocalAws) -> None:
    # The error is that of IAM's grammar, which has no rule of its own; the role keeps its policy.
    iam, name = aws.client("iam"), unique_name("role")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    wrong = json.dumps(TRUST).replace("Principal", "Principle")
    with pytest.raises(ClientError, match=r"MalformedPolicyDocument.*Syntax errors in policy.*Principle"):
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=wrong)
    assert iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"] == TRUST


def session_length(aws: LocalAws) -> None:
    name, account = unique_name("role"), {"AWS": "arn:aws:iam::123456789012:root"}
    trust = {**TRUST, "Statement": [{"Effect": "Allow", "Principal": account, "Action": "sts:AssumeRole"}]}
    arn = aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    refused(
        "sts-session-length",
        lambda: aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="session", DurationSeconds=7200),
    )


def new_policy(aws: LocalAws) -> str:
    """A new managed policy's ARN."""
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow("s3:ListAllMyBuckets")]})
    arn: str = aws.client("iam").create_policy(PolicyName=unique_name("p"), PolicyDocument=document)["Policy"]["Arn"]
    return arn


def policies_per_role(aws: LocalAws) -> None:
    iam, arns = aws.client("iam"), [new_policy(aws) for _ in range(11)]
    name = unique_name("role")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    for arn in arns[:10]:
        iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    refused("iam-policies-per-role", lambda: iam.attach_role_policy(RoleName=name, PolicyArn=arns[10]))
    iam.attach_role_policy(RoleName=name, PolicyArn=arns[0])
    properties = f"{{AssumeRolePolicyDocument: {json.dumps(TRUST)}, ManagedPolicyArns: {json.dumps(arns)}}}"
    body = f"Resources: {{R: {{Type: AWS::IAM::Role, Properties: {properties}}}}}"
    assert "Cannot exceed quota for PoliciesPerRole: 10" in reason_of_failed_stack(aws, body)


def provider_exists(aws: LocalAws) -> None:
    iam, url = aws.client("iam"), f"https://{unique_name('tokens')}.example.com"
    request = {"Url": url, "ClientIDList": ["sts.amazonaws.com"], "ThumbprintList": []}
    iam.create_open_id_connect_provider(**request)
    refused("iam-provider-exists", lambda: iam.create_open_id_connect_provider(**request))
    properties = f"{{Url: '{url}', ClientIdList: [sts.amazonaws.com]}}"
    body = f"Resources: {{P: {{Type: AWS::IAM::OIDCProvider, Properties: {properties}}}}}"
    reasons = reason_of_failed_stack(aws, body)
    assert f'Resource handler returned message: "Provider with url {url} already exists. (Service: Iam,' in reasons
    assert "HandlerErrorCode: AlreadyExists" in reasons


def policy_in_use(aws: LocalAws) -> None:
    iam, arn, name = aws.client("iam"), new_policy(aws), unique_name("role")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST), PermissionsBoundary=arn)
    refused("iam-policy-in-use", lambda: iam.delete_policy(PolicyArn=arn))
    iam.delete_role_permissions_boundary(RoleName=name)
    iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    refused("iam-policy-in-use", lambda: iam.delete_policy(PolicyArn=arn))
    iam.detach_role_policy(RoleName=name, PolicyArn=arn)
    iam.delete_policy(PolicyArn=arn)


def chained_session(aws: LocalAws) -> None:
    first = create_role(aws, unique_name("first"), {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, allow("sts:AssumeRole"))
    second = create_role(aws, unique_name("second"), {"AWS": f"arn:aws:iam::{ACCOUNT}:root"})
    aws.client("iam").update_role(RoleName=second.rpartition("/")[2], MaxSessionDuration=7200)
    keys = aws.client("sts").assume_role(RoleArn=first, RoleSessionName="one")["Credentials"]
    chained = boto3.client(
        "sts",
        region_name="us-east-1",
        endpoint_url=aws.url,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    request = {"RoleArn": second, "RoleSessionName": "two"}
    refused("sts-chained-session", lambda: chained.assume_role(**request, DurationSeconds=3601))
    chained.assume_role(**request, DurationSeconds=3600)
    aws.client("sts").assume_role(**request, DurationSeconds=7200)


def session_policy(aws: LocalAws) -> None:
    role = create_role(aws, unique_name("role"), {"AWS": f"arn:aws:iam::{ACCOUNT}:root"})
    request = {"RoleArn": role, "RoleSessionName": "session"}
    for wrong in ("no JSON", json.dumps({"Statement": []}), key_policy({"AWS": "*"}, "kms:*")):
        refused("sts-session-policy", partial(aws.client("sts").assume_role, **request, Policy=wrong))
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow("s3:ListAllMyBuckets")]})
    aws.client("sts").assume_role(**request, Policy=document)


def key_policy(principal: dict[str, str], action: str) -> str:
    """A key's policy of one statement."""
    statement = {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def policy_lockout(aws: LocalAws) -> None:
    kms, root = aws.client("kms"), {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    for policy in (key_policy({"Service": "logs.amazonaws.com"}, "kms:*"), key_policy(root, "kms:Encrypt")):
        refused("kms-policy-lockout", partial(kms.create_key, Policy=policy))
    key = kms.create_key(Policy=key_policy(root, "kms:*"))["KeyMetadata"]["KeyId"]
    refused(
        "kms-policy-lockout",
        lambda: kms.put_key_policy(KeyId=key, PolicyName="default", Policy=key_policy(root, "kms:Decrypt")),
    )
    body = f"Resources: {{K: {{Type: AWS::KMS::Key, Properties: {{KeyPolicy: {key_policy(root, 'kms:Decrypt')}}}}}}}"
    assert "will not allow you to update the key policy in the future" in reason_of_failed_stack(aws, body)


def policy_json(aws: LocalAws) -> None:
    kms = aws.client("kms")
    refused("kms-policy-json", lambda: kms.create_key(Policy="x", BypassPolicyLockoutSafetyCheck=True))
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    refused("kms-policy-json", lambda: kms.put_key_policy(KeyId=key, PolicyName="default", Policy="[]"))
    kms.describe_key(KeyId=key)


def policy_grammar(aws: LocalAws) -> None:
    kms, root = aws.client("kms"), {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    no_statement = '{"Version": "2012-10-17", "Statement": ["x"]}'
    for policy in (no_statement, key_policy(root, "kms:*").replace("Action", "Actions")):
        for bypass in (False, True):
            refused(
                "kms-policy-grammar",
                partial(
                    kms.put_key_policy,
                    KeyId=key,
                    PolicyName="default",
                    Policy=policy,
                    BypassPolicyLockoutSafetyCheck=bypass,
                ),
            )
    refused("kms-policy-grammar", lambda: kms.create_key(Policy=no_statement))
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=key_policy(root, "kms:*"))


CASES: dict[str, Case] = {
    "iam-inline-policies-size": inline_policies_size,
    "iam-managed-policy-size": managed_policy_size,
    "iam-policies-per-role": policies_per_role,
    "iam-policy-in-use": policy_in_use,
    "iam-provider-exists": provider_exists,
    "iam-trust-policy-json": trust_policy_json,
    "iam-trust-policy-size": trust_policy_size,
    "kms-policy-grammar": policy_grammar,
    "kms-policy-json": policy_json,
    "kms-policy-lockout": policy_lockout,
    "sts-chained-session": chained_session,
    "sts-session-length": session_length,
    "sts-session-policy": session_policy,
}
