"""The environment variables of the model's container, as the pipeline registers them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

MODEL_ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        # The image's server runs `pip install .` on the archive's code at every start. To build it, pip would fetch
        # setuptools from an index, and the endpoint has no network (EnableNetworkIsolation), so /ping would never
        # answer. With 0 pip builds with the image's own setuptools: it reads this variable as the value of a negated
        # option, so 1 would leave the build isolated.
        "PIP_NO_BUILD_ISOLATION": "0",
    }
)
