"""infra/platform.yaml twice in one account, in regions that are not the emulator's default."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_aws.server import LocalAws

from tests.harness.platform.stacks import create, store_code


@pytest.mark.parametrize("region", ["ap-southeast-2", "eu-west-1"])
def test_two_stacks_fit_into_one_account_of_any_region(repository_root: Path, tmp_path: Path, region: str) -> None:
    """Names carry the stack's or the endpoint's name, ARNs the region; the second stack collides with nothing."""
    with LocalAws(tmp_path, region=region) as running:
        store_code(running)
        one, two = (
            create(
                running,
                repository_root,
                name,
                EndpointName=f"{name}-production",
                EndpointLogGroup="create",
                Encryption="customer-key",
            )
            for name in ("fraudops", "fraudops-two")
        )
        assert not set(one.values()) & set(two.values())
        for outputs in (one, two):
            assert outputs["TopicArn"].split(":")[3] == region
            assert outputs["KeyArn"].split(":")[3] == region
        names = {item["DashboardName"] for item in running.client("cloudwatch").list_dashboards()["DashboardEntries"]}
        assert names == {f"fraudops-{region}", f"fraudops-two-{region}"}
