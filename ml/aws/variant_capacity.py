"""Reads and sets the weight and the number of instances of the endpoint's variant, without another configuration.

The deploy function updates an endpoint to another configuration only, so that it would leave what somebody has changed
on the present one. Source: SageMaker API Reference, UpdateEndpointWeightsAndCapacities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ml.aws import hosting_descriptions, session
from ml.aws.autoscaling import VARIANT

WEIGHT = 1.0
"""Of the one variant of the deploy function's endpoint configurations."""


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """The variant's weight and the number of instances that it should have."""

    weight: float
    instances: int


def read(endpoint: str) -> Capacity | None:
    """The capacity of the endpoint's variant; None without the endpoint or the variant. Raises CloudError."""
    found = hosting_descriptions.endpoint(endpoint)
    for variant in (found or {}).get("ProductionVariants") or []:
        if variant["VariantName"] == VARIANT:
            # An endpoint that is being created has neither yet.
            weight = variant.get("DesiredWeight", variant.get("CurrentWeight", WEIGHT))
            return Capacity(weight=float(weight), instances=int(variant.get("DesiredInstanceCount", 0)))
    return None


def put(endpoint: str, *, instances: int | None) -> None:
    """Sets the weight of the deploy function's configurations, and the number of instances if one is given.

    The endpoint is Updating until that is done. Raises CloudError.
    """
    wanted: dict[str, Any] = {"VariantName": VARIANT, "DesiredWeight": WEIGHT}
    if instances is not None:
        wanted["DesiredInstanceCount"] = instances
    with session.explained(f"setting the instances of endpoint {endpoint}"):
        session.client("sagemaker").update_endpoint_weights_and_capacities(
            EndpointName=endpoint, DesiredWeightsAndCapacities=[wanted]
        )
