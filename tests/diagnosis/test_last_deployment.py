"""Whether what Git says was deployed before: by the deployment records, and the serving file of their commits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ml import config
from ml.aws import deployment_records
from ml.diagnosis import last_deployment
from ml.diagnosis.subjects import Subjects
from tests.harness.platform import served
from tests.harness.platform.served import ENDPOINT, ServedPlatform


@pytest.fixture
def env(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServedPlatform:
    """A platform whose repository names no approval, and no deployment."""
    return served.on_moto(server, tmp_path, monkeypatch)


def deployed(env: ServedPlatform, **changes: Any) -> None:
    """Records a deployment of the checked-out commit."""
    fields: dict[str, Any] = {
        "approval": 1,
        "model_package_arn": "arn",
        "artifact_sha256": "0" * 64,
        "artifact_uri": "s3://lake/model.tar.gz",
        "endpoint": ENDPOINT,
        "endpoint_config": "c",
        "status": "succeeded",
        "reason": "",
        "commit": env.workspace.repository.head(),
        "desired": "d",
        "smoke": None,
        "started": "2026-05-01T05:00:00Z",
        "finished": "2026-05-01T05:10:00Z",
    }
    deployment_records.record(env.where.bucket, deployment_records.Deployment(**(fields | changes)))


def why(env: ServedPlatform) -> str | None:
    """Why not to deploy again."""
    return last_deployment.why_not_again(Subjects(env.root, "acme/fraudops"))


def change(env: ServedPlatform, **values: Any) -> None:
    """Commits values of the serving file."""
    text = config.set_values(env.workspace.text(config.SERVING), config.SERVING, values)
    env.workspace.write({config.SERVING: text}, "Change the serving file")


def test_deployed_settings_may_be_deployed_again(env: ServedPlatform) -> None:
    """Also after commits that do not change them, and if the switch was turned on since."""
    assert why(env) == f"nothing was deployed to {ENDPOINT} yet"
    deployed(env)
    assert why(env) is None
    env.workspace.write({"README.md": "Another file."}, "Change another file")
    change(env, self_heal=True)
    assert why(env) is None


def test_change_that_was_not_deployed_is_named(env: ServedPlatform) -> None:
    """Its own deployment comes first, by a person who lets it or starts it."""
    deployed(env)
    change(env, **{"capture.sampling_percentage": 50})
    assert "was changed since the last deployment" in (why(env) or "")
    deployed(env, endpoint="another")
    assert "was changed since the last deployment" in (why(env) or "")
    deployed(env)
    assert why(env) is None


def test_failed_deployment_is_not_repeated(env: ServedPlatform) -> None:
    """A canary that was rolled back would take traffic again."""
    deployed(env)
    deployed(env, status="failed", reason="alerts on everything", finished="2026-05-01T06:00:00Z")
    assert why(env) == ("the last deployment, of approval 0001 on 2026-05-01T06:00:00Z, failed: alerts on everything")


def test_deployment_of_an_unknown_commit_says_nothing(env: ServedPlatform) -> None:
    """For example of a commit that a shallow clone lacks."""
    deployed(env, commit="f" * 40)
    assert "whose model-config/serving/production.yaml cannot be read here" in (why(env) or "")
