"""The serving pointer's file is strict: a roll-out that SageMaker would refuse is refused in review."""

from __future__ import annotations

import pytest

from ml import config
from ml.errors import ConfigError
from ml.playground.template_state import FOLDER as SHIPPED

SERVING = (SHIPPED / config.SERVING).read_text()
HEAD = SERVING.partition("rollout:")[0]


def parsed(rollout: str, instances: int = 2) -> config.ServingFile:
    """The shipped file with another roll-out and another number of instances."""
    text = f"{HEAD.replace('count: 1', f'count: {instances}')}rollout: {rollout}\n"
    return config.parse(text, config.SERVING, config.ServingFile)


LIMITS = "false_alarm_rate: 0.01, max_alert_rate_ratio: 2, max_score_shift: 0.2"
CANARY = f"{{instances: 1, bake_minutes: 10, {LIMITS}}}"


def rollout(*, traffic: str = "canary", canary: str = CANARY, timeout: int = 30) -> str:
    """A roll-out as YAML; an empty `canary` leaves it out."""
    part = f"canary: {canary}, " if canary else ""
    return f"{{traffic: {traffic}, {part}termination_wait_seconds: 60, timeout_minutes: {timeout}}}"


def test_shipped_file_serves_all_at_once() -> None:
    """A new repository approves nothing, and its first deployment needs one instance only."""
    shipped = config.parse(SERVING, config.SERVING, config.ServingFile)
    assert (shipped.approval, shipped.rollout.traffic, shipped.rollout.canary) == (None, "all_at_once", None)


def test_canary_is_read() -> None:
    """One of two instances for ten minutes."""
    canary = parsed(rollout()).rollout.canary
    assert canary is not None
    assert (canary.instances, canary.bake_minutes) == (1, 10)
    assert (canary.false_alarm_rate, canary.max_alert_rate_ratio, canary.max_score_shift) == (0.01, 2, 0.2)


def test_canary_without_captured_answers_is_refused() -> None:
    """They are what it is compared by."""
    text = f"{HEAD.replace('count: 1', 'count: 2').replace('percentage: 100', 'percentage: 0')}rollout: {rollout()}\n"
    with pytest.raises(ConfigError, match="sampling_percentage above 0 with a canary"):
        config.parse(text, config.SERVING, config.ServingFile)


@pytest.mark.parametrize(
    ("text", "instances", "message"),
    [
        (rollout(canary=""), 2, "must have canary if traffic is canary, and only then (got traffic: canary)"),
        (rollout(traffic="all_at_once"), 2, "must have canary if traffic is canary, and only then"),
        (rollout(traffic="slowly"), 2, "rollout.traffic must be"),
        (rollout(timeout=11), 2, "timeout_minutes longer than canary.bake_minutes and termination_wait_seconds"),
        (rollout(), 1, "rollout.canary.instances at most half of instance.count"),
        (rollout(canary=f"{{instances: 2, bake_minutes: 10, {LIMITS}}}"), 3, "(got 2 of 3)"),
        (rollout(canary=CANARY.replace("10", "61")), 2, "rollout.canary.bake_minutes must be at most 60"),
        (rollout(canary="{instances: 1, bake_minutes: 10}"), 2, "false_alarm_rate"),
        (rollout(canary=CANARY.replace("ratio: 2", "ratio: 0.5")), 2, "rollout.canary.max_alert_rate_ratio must be"),
    ],
)
def test_rollout_that_cannot_work_is_refused(text: str, instances: int, message: str) -> None:
    """The error names the file, the field, what was expected and what was found."""
    with pytest.raises(ConfigError) as caught:
        parsed(text, instances)
    assert str(caught.value).startswith(f"{config.SERVING}:")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "image",
    [
        "fraud:latest",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/fraud:1",
        "elsewhere.example/fraud@sha256:" + "0" * 64,
    ],
)
def test_image_without_a_digest_in_ecr_is_refused(image: str) -> None:
    """A tag could be moved after the review, and SageMaker pulls from ECR only."""
    with pytest.raises(ConfigError, match="image must"):
        config.parse(f"{SERVING}image: {image}\n", config.SERVING, config.ServingFile)
