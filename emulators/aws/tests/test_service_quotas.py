"""Service Quotas through boto3: SageMaker's quotas are those that were set, in pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError
from local_aws.server import LocalAws

NAMES = (
    "ml.m5.large for endpoint usage",
    "ml.m5.xlarge for processing job usage",
    "ml.m5.xlarge for training job usage",
)


@pytest.fixture(autouse=True)
def three_quotas(aws: LocalAws) -> Iterator[None]:
    """Three quotas of SageMaker, 0, 1 and 2."""
    aws.quotas.set({"instances": dict(zip(NAMES, range(3), strict=True))})
    yield
    aws.quotas.reset()


def test_sagemaker_quotas_are_listed_in_pages(aws: LocalAws) -> None:
    """Two pages of at most two quotas have each of the three once, with its value."""
    pages = list(
        aws.client("service-quotas")
        .get_paginator("list_service_quotas")
        .paginate(ServiceCode="sagemaker", PaginationConfig={"PageSize": 2})
    )
    assert [len(page["Quotas"]) for page in pages] == [2, 1]
    listed = {item["QuotaName"]: item["Value"] for page in pages for item in page["Quotas"]}
    assert listed == {NAMES[0]: 0.0, NAMES[1]: 1.0, NAMES[2]: 2.0}


def test_known_quota_has_its_code(aws: LocalAws) -> None:
    """A code that is not known is absent and not invented."""
    quotas = aws.client("service-quotas").list_service_quotas(ServiceCode="sagemaker")["Quotas"]
    codes = {item["QuotaName"]: item.get("QuotaCode") for item in quotas}
    assert codes == {NAMES[0]: None, NAMES[1]: "L-0307F515", NAMES[2]: "L-CCE2AFA6"}


def test_defaults_of_sagemaker_are_empty_and_of_others_moto_s(aws: LocalAws) -> None:
    """The emulator states no default that it does not enforce."""
    client = aws.client("service-quotas")
    assert client.list_aws_default_service_quotas(ServiceCode="sagemaker")["Quotas"] == []
    assert client.list_aws_default_service_quotas(ServiceCode="vpc")["Quotas"]


def test_token_of_another_operation_is_refused(aws: LocalAws) -> None:
    """The token is the emulator's own."""
    with pytest.raises(ClientError, match="InvalidPaginationToken"):
        aws.client("service-quotas").list_service_quotas(ServiceCode="sagemaker", NextToken="x")
