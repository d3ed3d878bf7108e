"""What a run uploads: equal content, equal address, nothing that does not belong."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml import config
from ml.aws import session, source_upload
from ml.errors import CloudError, ConfigError
from tests.harness.aws.scripted_sagemaker import ScriptedCloud


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket in moto over HTTP."""
    with ScriptedCloud() as scripted:
        for name, value in scripted.environment.items():
            monkeypatch.setenv(name, value)
        session.client("s3").create_bucket(Bucket="lake")
        yield "lake"


def project(root: Path) -> Path:
    """A small tree with the places that a job's source is taken from."""
    files = {
        "ml/__init__.py": "",
        "ml/model/__init__.py": "",
        "ml/model/gate.py": "GATE = 1\n",
        "ml/steps/__init__.py": "",
        "ml/steps/train.py": "import ml.model\n",
        "ml/steps/run.sh": "exec true\n",
        "ml/steps/requirements.txt": "imbalanced-learn\n",
        "ml/aws/session.py": "import boto3\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def keys() -> list[str]:
    """What lies in the bucket."""
    return [item["Key"] for item in session.client("s3").list_objects_v2(Bucket="lake").get("Contents", [])]


def test_tree_holds_what_jobs_need_and_nothing_of_aws(tmp_path: Path) -> None:
    """Model and steps go along, run.sh and requirements.txt lie on top; the AWS side and caches stay behind."""
    root = project(tmp_path)
    (root / "ml/model/__pycache__").mkdir()
    (root / "ml/model/__pycache__/gate.cpython-312.pyc").write_bytes(b"x")
    (root / "ml/steps/.train.py.swp").write_bytes(b"x")
    assert list(source_upload.tree(root)) == [
        "ml/__init__.py",
        "ml/model/__init__.py",
        "ml/model/gate.py",
        "ml/steps/__init__.py",
        "ml/steps/train.py",
        "requirements.txt",
        "run.sh",
    ]


def test_tree_of_this_repository_runs_by_itself(repository_root: Path, tmp_path: Path) -> None:
    """Unpacked elsewhere, the uploaded tree imports its steps with nothing else of this project on the path."""
    for name, body in source_upload.tree(repository_root).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(body)
    program = "import ml.steps.prepare, ml.steps.train, ml.steps.evaluate, sys; print('boto3' in sys.modules)"
    environment = {"PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("False", "")


def test_folder_that_is_not_this_project_is_refused(tmp_path: Path) -> None:
    """The message says what is missing and what to do."""
    with pytest.raises(ConfigError, match=r"ml/__init__\.py is missing.*--repo"):
        source_upload.tree(tmp_path)
    root = project(tmp_path)
    (root / "ml/steps/run.sh").unlink()
    with pytest.raises(ConfigError, match=r"lacks run\.sh"):
        source_upload.tree(root)


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\\\n\r"), min_size=1, max_size=20)
FILES = st.dictionaries(NAMES, st.binary(max_size=20), max_size=5)


@given(FILES, FILES)
def test_digest_is_of_names_and_content_in_any_order(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    """Equal trees have equal digests however they are listed, and different trees different ones."""
    assert source_upload.digest(dict(reversed(one.items()))) == source_upload.digest(one)
    assert (source_upload.digest(one) == source_upload.digest(other)) == (one == other)


@pytest.mark.parametrize("name", ["a\\b.py", "a\nb.py", "a\rb.py"])
def test_name_that_a_listing_would_not_show_as_it_is_has_no_digest(name: str) -> None:
    """sha256sum escapes such names, so the job would find another digest than this one."""
    with pytest.raises(ConfigError, match="no backslash and no line break"):
        source_upload.digest({name: b""})


def test_nothing_in_the_tree_names_sagemakers_folder(repository_root: Path) -> None:
    """The local cloud rewrites that name in scripts where it cannot mount one, and the digest would be another."""
    assert [name for name, body in source_upload.tree(repository_root).items() if b"/opt/ml" in body] == []


@pytest.mark.parametrize("how", ["same length", "shorter", "without a checksum"])
def test_object_with_other_content_is_put_again(bucket: str, tmp_path: Path, how: str) -> None:
    """What lies under a digest is compared by digest, whoever put it there and however long it is."""
    files = source_upload.tree(project(tmp_path))
    prefix = f"code/{source_upload.digest(files)}/"
    source_upload.upload_code(files, bucket)
    s3 = session.client("s3")
    body = files["ml/steps/train.py"]
    other = {"same length": body.replace(b"model", b"ledom"), "shorter": b"", "without a checksum": body}[how]
    s3.put_object(Bucket=bucket, Key=f"{prefix}ml/steps/train.py", Body=other, Metadata={"sha256": "claimed"})
    source_upload.upload_code(files, bucket)
    stored = s3.get_object(Bucket=bucket, Key=f"{prefix}ml/steps/train.py")
    assert stored["Body"].read() == body
    head = s3.head_object(Bucket=bucket, Key=f"{prefix}ml/steps/train.py", ChecksumMode="ENABLED")
    assert base64.b64decode(head["ChecksumSHA256"]) == hashlib.sha256(body).digest()


def test_object_that_does_not_belong_is_named(bucket: str, tmp_path: Path) -> None:
    """A file added under the digest would be refused by every job, so the upload refuses it first."""
    files = source_upload.tree(project(tmp_path))
    prefix = f"code/{source_upload.digest(files)}/"
    session.client("s3").put_object(Bucket=bucket, Key=f"{prefix}ml/steps/numpy.py", Body=b"")
    with pytest.raises(CloudError, match=r"holds ml/steps/numpy\.py, which this project did not put there"):
        source_upload.upload_code(files, bucket)


def test_code_goes_up_once_under_its_digest(bucket: str, tmp_path: Path) -> None:
    """The second upload writes nothing; a change of one byte has another address."""
    files = source_upload.tree(project(tmp_path))
    uri = source_upload.upload_code(files, bucket)
    assert uri == f"s3://lake/code/{source_upload.digest(files)}/"
    put: list[str] = []
    session.client("s3").meta.events.register("before-call.s3.PutObject", lambda **call: put.append(str(call)))
    assert source_upload.upload_code(files, bucket) == uri
    assert put == []
    assert source_upload.upload_code(files | {"run.sh": b"exec false\n"}, bucket) != uri


def test_upload_that_was_cut_short_is_completed(bucket: str, tmp_path: Path) -> None:
    """What is missing below the digest is put there, whoever began."""
    files = source_upload.tree(project(tmp_path))
    source_upload.upload_code(files, bucket)
    whole = keys()
    session.client("s3").delete_object(Bucket="lake", Key=whole[0])
    source_upload.upload_code(files, bucket)
    assert keys() == whole


def test_settings_go_up_under_the_digest_that_approvals_name(bucket: str, repository_root: Path) -> None:
    """configs/<sha256>/settings.json holds exactly the canonical settings."""
    settings = config.load_settings(repository_root)
    assert source_upload.upload_settings(settings, bucket) == f"s3://lake/configs/{settings.sha256}/"
    stored = session.client("s3").get_object(Bucket="lake", Key=f"configs/{settings.sha256}/settings.json")
    assert stored["Body"].read().decode() == settings.to_json()


def test_where_nothing_serves_a_sentinel_stands_in(bucket: str) -> None:
    """The champion's prefix always holds something, because a job's input may not be empty."""
    assert source_upload.upload_no_champion(bucket) == "s3://lake/champions/none/"
    stored = session.client("s3").get_object(Bucket="lake", Key="champions/none/none.json")
    assert json.load(stored["Body"]) == {"champion": None}
