"""The volumes of a job's instances, as SageMaker's API has them."""

from __future__ import annotations

import re
from typing import Any

# Instance types whose local disks their own hardware encrypts; SageMaker refuses a key for them (ResourceConfig's
# VolumeKmsKeyId; the types: Amazon EC2's "Instance store volumes").
_LOCAL_STORAGE = re.compile(r"ml\.([a-z]+\d+[a-z]*d[a-z]*|g5|g6e?|gr6|i\d\w*|p5e?n?|trn\d\w*)\.")


def volume(instance_type: str, volume_gb: int, key_arn: str | None) -> dict[str, Any]:
    """The volume of each instance, encrypted with the stack's key if it has one."""
    size: dict[str, Any] = {"VolumeSizeInGB": volume_gb}
    if key_arn and not _LOCAL_STORAGE.match(instance_type):
        size["VolumeKmsKeyId"] = key_arn
    return size
