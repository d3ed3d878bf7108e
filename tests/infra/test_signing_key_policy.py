"""Who may sign statements of provenance and who may verify them, tried with the roles on the AWS emulator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_aws.server import LocalAws

from ml.aws import session, signing_key
from ml.commands import bootstrap
from tests.harness.aws.workflow_identity import WorkflowIdentity
from tests.harness.git import checkout as checkouts


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LocalAws]:
    """An emulator."""
    with LocalAws(tmp_path / "cloud") as running:
        yield running


@pytest.fixture
def roles(cloud: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The roles of a bootstrapped account, by the repository variable that names them."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    session.renew()
    return dict(bootstrap.bootstrap(checkouts.copy(tmp_path / "checkout", "infra"), repository="acme/fraud").variables)


@pytest.mark.denied_calls("everyone but the train role tries to sign")
def test_train_role_alone_signs_and_deploy_role_verifies(
    cloud: LocalAws, roles: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key's policy denies it to the administrator of the account too; a statement is verified by deploy.yml."""
    key = cloud.client("kms").describe_key(KeyId=signing_key.alias())["KeyMetadata"]["Arn"]
    with pytest.raises(signing_key.KeyUnavailable, match="with an explicit deny in a resource-based policy"):
        signing_key.key_arn()
    with pytest.raises(signing_key.KeyUnavailable, match="with an explicit deny in a resource-based policy"):
        signing_key.sign(b"a statement", key=key)
    identity = WorkflowIdentity(cloud)
    identity.assume(roles["FRAUDOPS_ROLE_TRAIN"], monkeypatch)
    session.renew()
    signature = signing_key.sign(b"a statement", key=signing_key.key_arn())
    identity.assume(roles["FRAUDOPS_ROLE_DEPLOY"], monkeypatch)
    session.renew()
    assert signing_key.is_signed(b"a statement", signature)
    assert not signing_key.is_signed(b"another statement", signature)
    with pytest.raises(signing_key.KeyUnavailable, match="kms:Sign"):
        signing_key.sign(b"a statement", key=key)
    for role in ("INFRA", "DRIFT", "PLAN"):
        identity.assume(roles[f"FRAUDOPS_ROLE_{role}"], monkeypatch)
        session.renew()
        with pytest.raises(signing_key.KeyUnavailable, match="kms:Sign"):
            signing_key.sign(b"a statement", key=key)
