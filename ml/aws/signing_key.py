"""Signs and verifies with the KMS key of provenance statements, which infra/github-oidc.yaml makes.

Only the role of train.yml may sign: the key's policy denies it to everyone else. The key never leaves KMS, and KMS
verifies too, so that a disabled key, a denied call and every use are seen there. Decides nothing about models.
"""

from __future__ import annotations

import hashlib

from ml.aws import platform_stack, session
from ml.errors import CloudError

_ALGORITHM = {"MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256"}
_NO_KEY = ("NotFoundException", "AccessDeniedException")


class KeyUnavailable(CloudError):
    """There is no key in this account, or this caller may not use it for that."""


def alias() -> str:
    """The alias of the key, named after the platform stack."""
    return f"alias/{platform_stack.stack_name()}-provenance"


def key_arn() -> str:
    """The ARN of the key, if the caller may sign with it; nothing is signed.

    Raises:
        KeyUnavailable: the account has none, or the caller may not sign.
        CloudError: the key is disabled, or AWS cannot be reached.
    """
    from botocore.exceptions import ClientError

    kms = session.client("kms")
    with session.explained(f"reading the key {alias()}"):
        try:
            arn = str(kms.describe_key(KeyId=alias())["KeyMetadata"]["Arn"])
            kms.sign(KeyId=arn, Message=_digest(b""), DryRun=True, **_ALGORITHM)
        except ClientError as error:
            if session.code(error) in _NO_KEY:
                raise KeyUnavailable(_reason(error)) from error
            if session.code(error) != "DryRunOperationException":  # it would have succeeded
                raise
    return arn


def sign(message: bytes, *, key: str) -> bytes:
    """The signature of `message` with the key whose ARN is `key`: ECDSA with P-256 and SHA-256, DER-encoded.

    Raises:
        KeyUnavailable: the caller may not sign.
        CloudError: the key is disabled, or AWS cannot be reached.
    """
    from botocore.exceptions import ClientError

    with session.explained(f"signing with {key}"):
        try:
            answer = session.client("kms").sign(KeyId=key, Message=_digest(message), **_ALGORITHM)
        except ClientError as error:
            if session.code(error) in _NO_KEY:
                raise KeyUnavailable(_reason(error)) from error
            raise
    return bytes(answer["Signature"])


def is_signed(message: bytes, signature: bytes) -> bool:
    """Whether the key that `alias` names made `signature` of `message`.

    Raises:
        KeyUnavailable: there is no key, or the caller may not verify; nothing was verified.
        CloudError: the key is disabled, or AWS cannot be reached; the same.
    """
    from botocore.exceptions import ClientError

    with session.explained(f"verifying with {alias()}"):
        try:
            answer = session.client("kms").verify(
                KeyId=alias(), Message=_digest(message), Signature=signature, **_ALGORITHM
            )
        except ClientError as error:
            if session.code(error) == "KMSInvalidSignatureException":
                return False
            if session.code(error) in _NO_KEY:
                raise KeyUnavailable(_reason(error)) from error
            raise
    return bool(answer["SignatureValid"])


def _digest(message: bytes) -> bytes:
    """KMS signs messages of up to 4,096 bytes and digests of longer ones; the signature is the same."""
    return hashlib.sha256(message).digest()


def _reason(error: Exception) -> str:
    return f"the key {alias()} cannot be used: {error}"
