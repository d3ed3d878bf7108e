"""KMS signatures through boto3: what signs and verifies, with which policies, and that any ECDSA library agrees."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from aws_resources import allow, unique_name
from callers import ACCOUNT, Session, document, refused
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from local_aws.server import LocalAws

ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
DELEGATES = {**allow("kms:*"), "Sid": "Account", "Principal": ROOT}
MESSAGE, ECDSA = b"a model's statement", {"SigningAlgorithm": "ECDSA_SHA_256"}
DIGEST = {"Message": hashlib.sha256(MESSAGE).digest(), "MessageType": "DIGEST", **ECDSA}


def create_key(aws: LocalAws, *statements: dict[str, Any], **settings: str) -> str:
    """A new signing key whose policy leaves it to the account's policies, and has these statements; its ARN."""
    settings = {"KeyUsage": "SIGN_VERIFY", "KeySpec": "ECC_NIST_P256"} | settings
    made = aws.client("kms").create_key(Policy=document(DELEGATES, *statements), **settings)
    arn: str = made["KeyMetadata"]["Arn"]
    return arn


@pytest.fixture
def key(aws: LocalAws) -> str:
    """A key for ECDSA."""
    return create_key(aws)


def test_signature_of_a_digest_is_that_of_its_message(aws: LocalAws, key: str) -> None:
    """RAW and DIGEST verify each other, and the public key verifies outside KMS."""
    kms = aws.client("kms")
    signed = kms.sign(KeyId=key, **DIGEST)
    assert (signed["KeyId"], signed["SigningAlgorithm"]) == (key, "ECDSA_SHA_256")
    answer = kms.verify(KeyId=key, Message=MESSAGE, Signature=signed["Signature"], **ECDSA)
    assert (answer["KeyId"], answer["SignatureValid"]) == (key, True)
    raw = kms.sign(KeyId=key, Message=MESSAGE, **ECDSA)["Signature"]
    assert kms.verify(KeyId=key, Signature=raw, **DIGEST)["SignatureValid"] is True
    public = serialization.load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(signed["Signature"], MESSAGE, ec.ECDSA(hashes.SHA256()))


def test_alias_signs_as_its_key(aws: LocalAws, key: str) -> None:
    """The answer names the key; an alias that does not exist is not found."""
    kms, alias = aws.client("kms"), f"alias/{unique_name('key')}"
    assert refused(kms.sign, KeyId=alias, **DIGEST)[0] == "NotFoundException"
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    signed = kms.sign(KeyId=alias, **DIGEST)
    assert signed["KeyId"] == key
    assert kms.verify(KeyId=key, Signature=signed["Signature"], **DIGEST)["KeyId"] == key


def test_other_message_signature_and_key_are_refused(aws: LocalAws, key: str) -> None:
    """Verify ends with an error, as on AWS, and never with SignatureValid false."""
    kms, other = aws.client("kms"), create_key(aws)
    signature = kms.sign(KeyId=key, **DIGEST)["Signature"]
    changed = DIGEST | {"Message": hashlib.sha256(b"another").digest()}
    for call in (
        {"KeyId": key, "Signature": signature, **changed},
        {"KeyId": other, "Signature": signature, **DIGEST},
        {"KeyId": key, "Signature": b"no signature", **DIGEST},
    ):
        assert refused(kms.verify, **call)[:2] == ("KMSInvalidSignatureException", 400)


def test_digest_has_the_length_of_the_algorithm(aws: LocalAws, key: str) -> None:
    """A message is not taken for its digest."""
    found = refused(aws.client("kms").sign, KeyId=key, Message=MESSAGE, MessageType="DIGEST", **ECDSA)
    assert found == ("ValidationException", 400, "Digest is invalid length for algorithm ECDSA_SHA_256.")


def test_dry_run_asks_and_signs_nothing(aws: LocalAws, key: str) -> None:
    """It ends with an error of its own if the call could be made, and as the call if not."""
    assert refused(aws.client("kms").sign, KeyId=key, DryRun=True, **DIGEST)[0] == "DryRunOperationException"
    verify = {"KeyId": key, "Signature": b"s", "DryRun": True, **DIGEST}
    assert refused(aws.client("kms").verify, **verify)[0] == "DryRunOperationException"
    other = Session(aws, allow("kms:Verify", key)).client("kms")
    assert refused(other.sign, KeyId=key, DryRun=True, **DIGEST)[0] == "AccessDeniedException"


def test_key_of_another_use_does_not_sign(aws: LocalAws, key: str) -> None:
    """Neither a key that encrypts, nor a curve with another hash."""
    kms = aws.client("kms")
    encrypts = create_key(aws, KeyUsage="ENCRYPT_DECRYPT", KeySpec="SYMMETRIC_DEFAULT")
    assert refused(kms.sign, KeyId=encrypts, **DIGEST)[1] == 400
    assert refused(kms.sign, KeyId=key, Message=MESSAGE, SigningAlgorithm="ECDSA_SHA_384")[1] == 400


def test_disabled_key_neither_signs_nor_verifies(aws: LocalAws, key: str) -> None:
    """Nor does one that is pending deletion."""
    kms, identifier = aws.client("kms"), key.rpartition("/")[2]
    signature = kms.sign(KeyId=key, **DIGEST)["Signature"]
    kms.disable_key(KeyId=identifier)
    assert refused(kms.sign, KeyId=key, **DIGEST)[0] == "DisabledException"
    assert refused(kms.verify, KeyId=key, Signature=signature, **DIGEST)[0] == "DisabledException"
    kms.enable_key(KeyId=identifier)
    kms.schedule_key_deletion(KeyId=identifier)
    assert refused(kms.verify, KeyId=key, Signature=signature, **DIGEST)[0] == "KMSInvalidStateException"


def test_policies_of_caller_and_key_decide_who_signs(aws: LocalAws) -> None:
    """A denial in the key's policy excepts one caller, whatever the others' policies allow; verifying is separate."""
    signer, other = Session(aws, allow("kms:*")), Session(aws, allow("kms:*"))
    denies = {
        "Sid": "OnlyOneSigns",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "kms:Sign",
        "Resource": "*",
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": signer.role}},
    }
    key = create_key(aws, denies)
    signature = signer.client("kms").sign(KeyId=key, **DIGEST)["Signature"]
    code, status, message = refused(other.client("kms").sign, KeyId=key, **DIGEST)
    assert (code, status) == ("AccessDeniedException", 400)
    assert message == (
        f"User: {other.arn} is not authorized to perform: kms:Sign on resource: {key} "
        "with an explicit deny in a resource-based policy"
    )
    assert "explicit deny" in refused(aws.client("kms").sign, KeyId=key, **DIGEST)[2]
    assert other.client("kms").verify(KeyId=key, Signature=signature, **DIGEST)["SignatureValid"] is True
    reader = Session(aws, allow("kms:Verify", key))
    assert reader.client("kms").verify(KeyId=key, Signature=signature, **DIGEST)["SignatureValid"] is True
    assert (
        "no identity-based policy allows the kms:GetPublicKey"
        in refused(reader.client("kms").get_public_key, KeyId=key)[2]
    )


def test_conditions_on_algorithm_and_message_type(aws: LocalAws, key: str) -> None:
    """Both are set on Sign and Verify; without a message type it is RAW."""
    digests = {"StringEquals": {"kms:SigningAlgorithm": "ECDSA_SHA_256", "kms:MessageType": "DIGEST"}}
    kms = Session(aws, allow(["kms:Sign", "kms:Verify"], key, **digests)).client("kms")
    signature = kms.sign(KeyId=key, **DIGEST)["Signature"]
    assert kms.verify(KeyId=key, Signature=signature, **DIGEST)["SignatureValid"] is True
    assert refused(kms.sign, KeyId=key, Message=MESSAGE, **ECDSA)[0] == "AccessDeniedException"


def test_stack_creates_a_signing_key(aws: LocalAws) -> None:
    """AWS::KMS::Key with its use and specification."""
    name = unique_name("stack")
    body = f"""
Resources:
  Key:
    Type: AWS::KMS::Key
    Properties:
      KeyUsage: SIGN_VERIFY
      KeySpec: ECC_NIST_P256
      KeyPolicy: {document(DELEGATES)}
  Alias: {{Type: AWS::KMS::Alias, Properties: {{AliasName: "alias/{name}", TargetKeyId: !Ref Key}}}}
"""
    aws.client("cloudformation").create_stack(StackName=name, TemplateBody=body)
    described = aws.client("kms").describe_key(KeyId=f"alias/{name}")["KeyMetadata"]
    assert (described["KeyUsage"], described["KeySpec"]) == ("SIGN_VERIFY", "ECC_NIST_P256")
    assert aws.client("kms").sign(KeyId=f"alias/{name}", **DIGEST)["KeyId"] == described["Arn"]
