"""Makes bills of materials of images, in CycloneDX's JSON: the packages that a lock installs, with their hashes.

Equal inputs give equal bytes: the document has no time, and its serial number follows from its content.

Source: CycloneDX 1.6, "JSON Reference" (https://cyclonedx.org/docs/1.6/json/); purl-spec, types pypi and docker.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

_PIN = re.compile(
    r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==(?P<version>[^\s;\\]+)(?P<marker>\s*;[^\\]*)?", re.M
)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_IMAGE = re.compile(r"(?P<name>\S+)@sha256:(?P<digest>[0-9a-f]{64})")


def of_image(image: str, base: str, lock: str, commit: str) -> str:
    """The bill of materials of an image.

    Args:
        image: the image by its digest.
        base: the image that it is built on, by its digest.
        lock: the content of the lock that its build installs.
        commit: the commit that its files are of.
    """
    components = [_image(base), *packages(lock)]
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {**_image(image), "properties": [{"name": "fraudops:commit", "value": commit}]}},
        "components": components,
        "dependencies": [
            {"ref": image, "dependsOn": [each["bom-ref"] for each in components]},
            *({"ref": each["bom-ref"]} for each in components),
        ],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(document, sort_keys=True))
    return json.dumps({**document, "serialNumber": f"urn:uuid:{serial}"}, indent=1) + "\n"


def _image(address: str) -> dict[str, Any]:
    found = _IMAGE.fullmatch(address)
    if found is None:
        raise ValueError(f"an image must be named by its digest (got {address!r})")
    return {
        "type": "container",
        "bom-ref": address,
        "name": found["name"],
        "version": f"sha256:{found['digest']}",
        "hashes": [{"alg": "SHA-256", "content": found["digest"]}],
    }


def packages(lock: str) -> list[dict[str, Any]]:
    """The packages of a lock in its order. A file of the package that a hash is of is one that may be installed."""
    pins = list(_PIN.finditer(lock))
    ends = [*(pin.start() for pin in pins[1:]), len(lock)] if pins else []
    listed = []
    for pin, end in zip(pins, ends, strict=True):
        name = re.sub(r"[-_.]+", "-", pin["name"]).lower()
        address = f"pkg:pypi/{name}@{pin['version']}"
        marker = (pin["marker"] or "").strip(" ;")
        listed.append(
            {
                "type": "library",
                "bom-ref": address,
                "name": name,
                "version": pin["version"],
                "purl": address,
                "externalReferences": [
                    {
                        "type": "distribution",
                        "url": address,
                        "hashes": [{"alg": "SHA-256", "content": digest}],
                    }
                    for digest in _HASH.findall(lock, pin.end(), end)
                ],
                **({"properties": [{"name": "fraudops:marker", "value": marker}]} if marker else {}),
            }
        )
    return listed
