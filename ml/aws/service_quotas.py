"""Reads the account's quotas for SageMaker instances from Service Quotas. Requests no increase.

Quotas are found by name ("ml.m5.xlarge for training job usage", the words of SageMaker's ResourceLimitExceeded),
because each pair of instance type and use has a code of its own; the code is in the answer.

Source: Service Quotas API, ListServiceQuotas ("if the applied quota value is not available for a quota, the quota is
not retrieved") and ListAWSDefaultServiceQuotas.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ml.aws import session

_SERVICE = "sagemaker"


@dataclass(frozen=True, kw_only=True)
class Quota:
    """A quota: its name, the code for requests, and the number of instances that the account may run at once."""

    name: str
    code: str | None
    instances: int


def instance_quotas(names: Iterable[str]) -> dict[str, Quota]:
    """The quotas with these names; a name that Service Quotas does not know in this region is missing.

    Raises:
        CloudError: Service Quotas refuses or cannot be reached.
    """
    found: dict[str, Quota] = {}
    wanted = set(names)
    client = session.client("service-quotas")
    for operation in ("list_service_quotas", "list_aws_default_service_quotas"):
        with session.explained("reading SageMaker's quotas"):
            for page in client.get_paginator(operation).paginate(ServiceCode=_SERVICE):
                for item in page["Quotas"]:
                    if item["QuotaName"] in wanted - set(found):
                        found[item["QuotaName"]] = Quota(
                            name=item["QuotaName"], code=item.get("QuotaCode"), instances=int(item["Value"])
                        )
                if wanted <= set(found):
                    return found
    return found
