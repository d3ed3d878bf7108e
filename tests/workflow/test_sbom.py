"""The bill of materials of the serving image has every package of its lock, and is the same for the same image."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ml.workflow import sbom

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements/serving-image.lock").read_text("utf-8")
IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/fraudops-serving@sha256:{'a' * 64}"
BASE = f"python:3.12-slim@sha256:{'b' * 64}"


def made(**changes: str) -> str:
    """The bill of an image of the serving image's lock."""
    return sbom.of_image(**({"image": IMAGE, "base": BASE, "lock": LOCK, "commit": "c" * 40} | changes))


def test_every_pin_is_a_component_with_its_hashes() -> None:
    """Name, version and package URL are those of the index; the base image is one by its digest."""
    document = json.loads(made())
    base, *packages = document["components"]
    assert (base["type"], base["name"], base["hashes"]) == (
        "container",
        "python:3.12-slim",
        [{"alg": "SHA-256", "content": "b" * 64}],
    )
    pins = re.findall(r"^([\w.-]+)==([^ \\]+)", LOCK, re.M)
    assert [(each["name"], each["version"]) for each in packages] == pins
    assert len(pins) >= 5
    assert all(each["purl"] == f"pkg:pypi/{each['name']}@{each['version']}" for each in packages)
    hashes = [each["hashes"][0]["content"] for package in packages for each in package["externalReferences"]]
    assert hashes == re.findall(r"sha256:([0-9a-f]{64})", LOCK)


def test_document_is_of_the_image_and_depends_on_all() -> None:
    """References are unique, and each of them is declared."""
    document = json.loads(made())
    subject = document["metadata"]["component"]
    assert (subject["bom-ref"], subject["version"]) == (IMAGE, f"sha256:{'a' * 64}")
    assert subject["properties"] == [{"name": "fraudops:commit", "value": "c" * 40}]
    references = [each["bom-ref"] for each in document["components"]]
    assert len(set(references)) == len(references)
    assert document["dependencies"][0] == {"ref": IMAGE, "dependsOn": references}
    assert [each["ref"] for each in document["dependencies"]] == [IMAGE, *references]
    assert (document["bomFormat"], document["specVersion"], document["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", document["serialNumber"])


def test_equal_inputs_give_equal_bytes() -> None:
    """Another commit is another document."""
    assert made() == made()
    assert json.loads(made())["serialNumber"] != json.loads(made(commit="d" * 40))["serialNumber"]


def test_marker_and_extra_of_a_pin_are_kept_apart_from_its_version() -> None:
    """As uv writes them."""
    lock = f"Big_Pack[fast]==1.2 ; python_full_version < '3.12' \\\n    --hash=sha256:{'e' * 64}\n"
    (package,) = json.loads(made(lock=lock))["components"][1:]
    assert (package["name"], package["version"]) == ("big-pack", "1.2")
    assert package["properties"] == [{"name": "fraudops:marker", "value": "python_full_version < '3.12'"}]


def test_image_without_a_digest_is_refused() -> None:
    """A tag may be moved."""
    with pytest.raises(ValueError, match="must be named by its digest"):
        made(base="python:3.12-slim")
