"""What a shadow leaves in staging's lake: answers that are never doubled, and a comparison with its digest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ml.aws import s3_objects
from ml.aws.shadow_store import CopyAnswer, ShadowStore
from ml.errors import DataError
from tests.harness.aws import moto_server
from tests.harness.aws.deployments import finished

DIGEST = "a" * 64
DEPLOYED = finished(7, "2026-03-01T12:00:00Z", artifact_sha256=DIGEST)
FOLDER = "deploy/shadow/0007-aaaaaaaaaaaa/fraudops-production-0007-0123456789ab"
ONE, OTHER = CopyAnswer(status=200, scores=(0.25, 0.5), decisions=(0, 1)), CopyAnswer(status=400)


@pytest.fixture
def shadow(server: str, monkeypatch: pytest.MonkeyPatch) -> ShadowStore:
    """The store of approval 7 in an empty bucket."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    moto_server.make_bucket("lake")
    return ShadowStore("lake", DEPLOYED)


def test_answers_are_found_again_and_the_first_counts(shadow: ShadowStore) -> None:
    """The same part has the same key; of two parts with one request, one answer is returned."""
    assert shadow.answers() == {}
    shadow.add({})
    shadow.add({"1": ONE, "2": OTHER})
    shadow.add({"2": OTHER, "1": ONE})
    assert len(list(s3_objects.keys("lake", f"{FOLDER}/answers/"))) == 1
    shadow.add({"2": OTHER, "3": ONE})
    assert shadow.answers() == {"1": ONE, "2": OTHER, "3": ONE}


def test_next_deployment_has_scores_and_no_refusals_of_the_former(shadow: ShadowStore) -> None:
    """In another configuration it has nothing, and no comparison either."""
    shadow.add({"1": ONE, "2": OTHER})
    shadow.write({"rows": 1})
    again = ShadowStore("lake", replace(DEPLOYED, desired="order-2"))
    assert again.answers() == {"1": ONE}
    again.add({"2": ONE})
    assert again.answers() == {"1": ONE, "2": ONE}
    assert again.comparison() is not None
    other = ShadowStore("lake", replace(DEPLOYED, endpoint_config="fraudops-production-0007-ba9876543210"))
    assert (other.answers(), other.comparison()) == ({}, None)


def test_comparison_has_its_digest(shadow: ShadowStore) -> None:
    """It is replaced as a whole; one that was changed by hand is refused."""
    assert shadow.comparison() is None
    uri = shadow.write({"rows": 1})
    assert shadow.write({"rows": 2}) == uri == shadow.uri
    assert shadow.comparison() == {"schema": 1, "artifact_sha256": DIGEST, "rows": 2}
    content = s3_objects.read(uri).replace(b'"rows": 2', b'"rows": 3')
    s3_objects.write(uri, content, "application/json", s3_objects.metadata(uri))
    with pytest.raises(DataError, match=r"another digest than it was written with .* delete it, and run"):
        shadow.comparison()


def test_comparison_of_another_archive_is_refused(shadow: ShadowStore) -> None:
    """Even if the digests begin alike."""
    shadow.write({"rows": 1})
    with pytest.raises(DataError, match="is of another archive"):
        ShadowStore("lake", replace(DEPLOYED, artifact_sha256="a" * 12 + "b" * 52)).comparison()


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"schema": 9, "answers": {}}'])
def test_unreadable_part_is_named(shadow: ShadowStore, content: bytes) -> None:
    """Nothing is scored on an assumption."""
    s3_objects.write(f"s3://lake/{FOLDER}/answers/x.json", content, "application/json")
    with pytest.raises(DataError, match=r"answers/x\.json: not"):
        shadow.answers()
