"""Finds the managed images of jobs and endpoint in the SageMaker SDK's table. Calls no service."""

from __future__ import annotations

from functools import cache

from ml.aws.pipeline.sdk import quiet
from ml.errors import ConfigError

VERSION = "1.9-0"  # Python 3.12, scikit-learn 1.9.0, pandas 2.2.3
SPARK_VERSION, _SPARK_PYTHON, _SPARK_IMAGE = "3.5", "py312", "v1.3"  # Spark 3.5.6 of EMR 7.12, Java 17
_ANY_CPU = "ml.m5.xlarge"  # all instance types have one image


class NoImage(ConfigError):
    """The SageMaker SDK's table has no image for the region."""


@cache
def image_uri(region: str) -> str:
    """The scikit-learn image in `region`.

    Raises:
        NoImage: AWS publishes no such image there, as far as the SDK knows.
    """
    return _retrieve("sklearn", "scikit-learn", region, version=VERSION)


@cache
def spark_image_uri(region: str) -> str:
    """The Spark image in `region`, whose jobs start with `smspark-submit`; raises NoImage as `image_uri` does."""
    return _retrieve(
        "spark", "Spark", region, version=SPARK_VERSION, py_version=_SPARK_PYTHON, container_version=_SPARK_IMAGE
    )


def _retrieve(framework: str, title: str, region: str, **version: str) -> str:
    with quiet(region):
        from sagemaker.core import image_uris  # takes seconds

        try:
            return str(image_uris.retrieve(framework, region, instance_type=_ANY_CPU, **version))
        except ValueError as error:
            if "Unsupported region" not in str(error):
                raise
            raise NoImage(
                f"region {region!r}: SageMaker's {title} image is not published there, or there is no such region; "
                "choose another, such as us-east-1 or eu-west-1"
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
