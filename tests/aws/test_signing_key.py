"""The signing key on the AWS emulator: what it signs, what it verifies, and what is said where it cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_aws.server import LocalAws

from ml.aws import signing_key
from ml.aws.signing_key import KeyUnavailable
from ml.errors import CloudError
from tests.harness.aws import empty_account
from tests.harness.platform import statements

MESSAGE = b"x" * 5000  # longer than what KMS signs without a digest


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAws]:
    """An emulator without keys, and its administrator."""
    with empty_account.running(tmp_path / "aws", monkeypatch) as account:
        yield account


def test_signature_is_verified(aws: LocalAws) -> None:
    """Of this message and no other, with the key that the alias names."""
    key = statements.create_key()
    assert (signing_key.alias(), signing_key.key_arn()) == ("alias/fraudops-provenance", key)
    signature = signing_key.sign(MESSAGE, key=key)
    assert signing_key.is_signed(MESSAGE, signature)
    assert not signing_key.is_signed(MESSAGE + b"y", signature)
    other = signing_key.sign(MESSAGE, key=statements.create_key(alias="alias/other"))
    assert not signing_key.is_signed(MESSAGE, other)


def test_alias_is_named_after_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two platforms of an account have two keys."""
    monkeypatch.setenv("FRAUDOPS_STACK", "cards")
    assert signing_key.alias() == "alias/cards-provenance"


def test_account_without_a_key_is_told_apart(aws: LocalAws) -> None:
    """Nothing is signed or verified; the error is of its own kind, since an approval may be without a statement."""
    with pytest.raises(KeyUnavailable, match="alias/fraudops-provenance cannot be used"):
        signing_key.key_arn()
    with pytest.raises(KeyUnavailable, match="NotFoundException"):
        signing_key.sign(MESSAGE, key=f"arn:aws:kms:us-east-1:123456789012:key/{'0' * 36}")
    with pytest.raises(KeyUnavailable, match="NotFoundException"):
        signing_key.is_signed(MESSAGE, b"signature")


def test_disabled_key_is_an_error_of_aws(aws: LocalAws) -> None:
    """It is not taken for an account without a key."""
    key = statements.create_key()
    signature = signing_key.sign(MESSAGE, key=key)
    aws.client("kms").disable_key(KeyId=key.rpartition("/")[2])
    for call in (lambda: signing_key.sign(MESSAGE, key=key), lambda: signing_key.is_signed(MESSAGE, signature)):
        with pytest.raises(CloudError, match="DisabledException") as refused:
            call()
        assert not isinstance(refused.value, KeyUnavailable)
