"""Uploading code and settings of a training run: keys by digest, repair of damaged objects."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml import config
from ml.aws import session, source_upload
from ml.errors import CloudError, ConfigError
from ml.playground.template_state import FOLDER as SHIPPED
from tests.harness.aws.scripted_sagemaker import ScriptedCloud
from tests.test_requirements import reachable


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket in moto over HTTP."""
    with ScriptedCloud() as scripted:
        for name, value in scripted.environment.items():
            monkeypatch.setenv(name, value)
        session.client("s3").create_bucket(Bucket="lake")
        yield "lake"


def project(root: Path) -> Path:
    """A small project with the files that belong to a job's source."""
    files = {
        "ml/__init__.py": "",
        "ml/model/__init__.py": "",
        "ml/model/estimators/linear.py": "FIT = 1\n",
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


@pytest.mark.parametrize(("counting", "module"), [("spark", "ml.spark.drift"), ("shards", "ml.shards.count")])
def test_tree_for_counting_has_what_its_job_imports(counting: Literal["spark", "shards"], module: str) -> None:
    """The job of a drift check finds every module; a training's job has none of them.

    Without Spark, run.sh and requirements.txt are those of ml/shards."""
    root = Path(__file__).resolve().parents[2]
    plain, found = source_upload.tree(root), source_upload.tree(root, counting=counting)
    beside = {"run.sh", "requirements.txt"}
    assert {name: plain[name] for name in plain.keys() - beside}.items() < found.items()
    own = "ml/shards" if counting == "shards" else "ml/steps"
    assert {name: found[name] for name in beside} == {name: (root / own / name).read_bytes() for name in beside}
    needed = {file.relative_to(root).as_posix() for file in reachable(module)}
    assert {"ml/aws/labels/join_tables.py", "ml/errors.py"} <= needed <= found.keys()
    assert not any(name.startswith(("ml/aws", "ml/shards")) for name in plain)


def keys() -> list[str]:
    """The keys in the bucket."""
    return [item["Key"] for item in session.client("s3").list_objects_v2(Bucket="lake").get("Contents", [])]


def test_tree_has_model_and_steps_only(tmp_path: Path) -> None:
    """Model, steps, run.sh and requirements.txt are included; ml/aws and caches are not."""
    root = project(tmp_path)
    (root / "ml/model/__pycache__").mkdir()
    (root / "ml/model/__pycache__/gate.cpython-312.pyc").write_bytes(b"x")
    (root / "ml/steps/.train.py.swp").write_bytes(b"x")
    assert list(source_upload.tree(root)) == [
        "ml/__init__.py",
        "ml/model/__init__.py",
        "ml/model/estimators/linear.py",
        "ml/model/gate.py",
        "ml/steps/__init__.py",
        "ml/steps/train.py",
        "requirements.txt",
        "run.sh",
    ]


def test_tree_of_this_repository_runs_by_itself(repository_root: Path, tmp_path: Path) -> None:
    """The uploaded tree can import its steps and every estimator without the rest of the project."""
    for name, body in source_upload.tree(repository_root).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(body)
    program = (
        "import ml.steps.prepare, ml.steps.train, ml.steps.evaluate, sys\n"
        "from ml.model import estimators\n"
        "loaded = [estimators.load(name).__name__ for name in estimators.names()]\n"
        "print('ml.model.estimators.logistic_regression' in loaded, 'boto3' in sys.modules)"
    )
    environment = {"PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("True False", "")


def test_folder_that_is_not_this_project_is_refused(tmp_path: Path) -> None:
    """The error names the missing file and the option."""
    with pytest.raises(ConfigError, match=r"ml/__init__\.py is missing.*--repo"):
        source_upload.tree(tmp_path)
    root = project(tmp_path)
    (root / "ml/steps/run.sh").unlink()
    with pytest.raises(ConfigError, match=r"lacks run\.sh"):
        source_upload.tree(root)


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=120)
FILES = st.dictionaries(NAMES, st.binary(max_size=20), max_size=5)


@given(FILES, FILES)
def test_digest_is_of_names_and_content_in_any_order(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    """Equal trees have equal digests in any order; different trees have different ones."""
    assert source_upload.digest(dict(reversed(one.items()))) == source_upload.digest(one)
    assert (source_upload.digest(one) == source_upload.digest(other)) == (one == other)


def test_nothing_in_the_tree_names_sagemakers_folder(repository_root: Path) -> None:
    """The AWS emulator rewrites /opt/ml in scripts where it cannot mount it, which would change the digest."""
    assert [name for name, body in source_upload.tree(repository_root).items() if b"/opt/ml" in body] == []


@pytest.mark.parametrize("how", ["same length", "shorter", "without a checksum"])
def test_changed_object_is_uploaded_again(bucket: str, tmp_path: Path, how: str) -> None:
    """Existing objects are compared by SHA-256, not by size or metadata."""
    files = source_upload.tree(project(tmp_path))
    body = source_upload.archive(files)
    source_upload.upload_code(files, bucket)
    [key] = keys()
    s3 = session.client("s3")
    other = {"same length": body.replace(b"model", b"ledom"), "shorter": b"", "without a checksum": body}[how]
    s3.put_object(Bucket=bucket, Key=key, Body=other, Metadata={"sha256": "claimed"})
    source_upload.upload_code(files, bucket)
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body
    head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    assert base64.b64decode(head["ChecksumSHA256"]) == hashlib.sha256(body).digest()


def test_extra_object_is_an_error(bucket: str, tmp_path: Path) -> None:
    """A job's input is a prefix of keys, so the job would read an object with a longer key as well."""
    files = source_upload.tree(project(tmp_path))
    key = f"code/{source_upload.digest(files)}{source_upload.ARCHIVE}"
    session.client("s3").put_object(Bucket=bucket, Key=f"{key}.gz", Body=b"")
    with pytest.raises(CloudError, match=rf"holds {key}\.gz, which this project did not upload"):
        source_upload.upload_code(files, bucket)


def test_code_is_uploaded_once_under_its_digest(bucket: str, tmp_path: Path) -> None:
    """The second upload writes nothing; a changed byte changes the URI. The archive has the tree."""
    files = source_upload.tree(project(tmp_path))
    uri = source_upload.upload_code(files, bucket)
    assert uri == f"s3://lake/code/{source_upload.digest(files)}{source_upload.ARCHIVE}"
    put: list[str] = []
    session.client("s3").meta.events.register("before-call.s3.PutObject", lambda **call: put.append(str(call)))
    assert source_upload.upload_code(files, bucket) == uri
    assert put == []
    assert source_upload.upload_code(files | {"run.sh": b"exec false\n"}, bucket) != uri
    stored = session.client("s3").get_object(Bucket=bucket, Key=uri.removeprefix("s3://lake/"))["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(stored)) as tar:
        members = {member.name: tar.extractfile(member) for member in tar}
        found = {name: member.read() for name, member in members.items() if member is not None}
    assert found == files
    assert sorted(members) == sorted(files)


def test_settings_are_uploaded_under_their_digest(bucket: str) -> None:
    """configs/<sha256>/settings.json has exactly the canonical settings."""
    settings = config.load_settings(SHIPPED)
    assert source_upload.upload_settings(settings, bucket) == f"s3://lake/configs/{settings.sha256}/"
    stored = session.client("s3").get_object(Bucket="lake", Key=f"configs/{settings.sha256}/settings.json")
    assert stored["Body"].read().decode() == settings.to_json()


def test_without_a_champion_a_sentinel_is_uploaded(bucket: str) -> None:
    """A job's input may not be empty, so the champion's prefix has a placeholder."""
    assert source_upload.upload_no_champion(bucket) == "s3://lake/champions/none/"
    stored = session.client("s3").get_object(Bucket="lake", Key="champions/none/none.json")
    assert json.load(stored["Body"]) == {"champion": None}
