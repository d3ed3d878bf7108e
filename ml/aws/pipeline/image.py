"""Finds the managed scikit-learn image of the jobs and the endpoint in the SageMaker SDK's table. Calls no service."""

from __future__ import annotations

from functools import cache

from ml.aws.pipeline.sdk import quiet
from ml.errors import ConfigError

VERSION = "1.9-0"  # Python 3.12, scikit-learn 1.9.0, pandas 2.2.3


class NoImage(ConfigError):
    """The SageMaker SDK's table has no image for the region."""


@cache
def image_uri(region: str) -> str:
    """The image in `region`.

    Raises:
        NoImage: AWS publishes no such image there, as far as the SDK knows.
    """
    with quiet(region):
        from sagemaker.core import image_uris  # takes seconds

        try:
            return str(image_uris.retrieve("sklearn", region, version=VERSION))
        except ValueError as error:
            if "Unsupported region" not in str(error):
                raise
            raise NoImage(
                f"region {region!r}: SageMaker's scikit-learn image is not published there, or there is no such "
                "region; choose another, such as us-east-1 or eu-west-1"
            ) from error


@cache
def sagemaker_regions() -> frozenset[str]:
    """The regions with SageMaker, in every partition, as botocore's endpoint table lists them."""
    import botocore.session

    own = botocore.session.get_session()
    return frozenset(
        region
        for partition in own.get_available_partitions()
        for region in own.get_available_regions("sagemaker", partition_name=partition)
    )
