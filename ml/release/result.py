"""The result of a deployment. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from ml.release.smoke_test import Smoke


@dataclass(frozen=True, kw_only=True)
class DeploymentResult:
    """The model that serves now, with its evidence. Without an approval only `state` and `commit` are set."""

    state: str
    """`created`, `updated` or `unchanged` (the endpoint), or `nothing to deploy`."""
    commit: str
    approval: int | None = None
    model_package_arn: str | None = None
    artifact_sha256: str | None = None
    signed: bool | None = None
    """Whether its approval has a statement of provenance, which was verified."""
    endpoint: str | None = None
    endpoint_config: str | None = None
    superseded: tuple[str, ...] = ()
    smoke: Smoke | None = None
    canary: str | None = None
    """How the canary's answers compared with the model's baseline, or why they were not; None without a canary."""
    canary_warning: str | None = None
    """That the canary's last answers were not compared, and why; None if they were, and without a canary."""
    history_uri: str | None = None
    seconds: float | None = None
