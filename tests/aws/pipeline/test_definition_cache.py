"""The cache of pipeline definitions: used on runners alone, and never for other inputs, code or packages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ml import config
from ml.aws.pipeline import definition_cache
from ml.playground.template_state import FOLDER as SHIPPED
from tests.aws.pipeline.test_definition import PLATFORM

TRAINING = config.load_model(SHIPPED)


def counted(calls: list[str]) -> Callable[[], str]:
    """A function that returns another definition at each call."""

    def build() -> str:
        calls.append("built")
        return f'{{"call": {len(calls)}}}'

    return build


def test_second_definition_of_equal_inputs_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call with equal inputs builds nothing and returns the same text."""
    monkeypatch.setenv("RUNNER_TOOL_CACHE", str(tmp_path / "tools"))
    calls: list[str] = []
    found = [definition_cache.cached(PLATFORM, TRAINING, counted(calls)) for _ in range(3)]
    assert found == ['{"call": 1}'] * 3
    assert [path.suffix for path in (tmp_path / "tools/fraudops/definitions").iterdir()] == [".json"]


@pytest.mark.parametrize("content", ["", '{"call": 1', "\0\0\0\0"])
def test_damaged_entry_is_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    """A file that lost its end is replaced."""
    monkeypatch.setenv("RUNNER_TOOL_CACHE", str(tmp_path))
    calls: list[str] = []
    definition_cache.cached(PLATFORM, TRAINING, counted(calls))
    (file,) = tmp_path.glob("fraudops/definitions/*.json")
    file.write_text(content)
    assert [definition_cache.cached(PLATFORM, TRAINING, counted(calls)) for _ in range(2)] == ['{"call": 2}'] * 2


def test_without_a_tool_cache_every_definition_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a runner nothing is kept."""
    monkeypatch.delenv("RUNNER_TOOL_CACHE", raising=False)
    calls: list[str] = []
    assert definition_cache.cached(PLATFORM, TRAINING, counted(calls)) == '{"call": 1}'
    assert definition_cache.cached(PLATFORM, TRAINING, counted(calls)) == '{"call": 2}'


@pytest.mark.parametrize("field", [field for field in PLATFORM.__dataclass_fields__ if field != "key_arn"])
def test_every_field_of_the_platform_changes_the_key(field: str) -> None:
    """A definition for another platform has another name."""
    other = replace(PLATFORM, **{field: "other"})
    assert definition_cache.key(other, TRAINING) != definition_cache.key(PLATFORM, TRAINING)


def test_settings_change_the_key() -> None:
    """Instance type, volume and runtime are in the definition."""
    for name, value in (("instance_type", "ml.m5.4xlarge"), ("volume_gb", 77), ("max_runtime_minutes", 77)):
        compute = TRAINING.compute.model_copy(update={name: value})
        other = TRAINING.model_copy(update={"compute": compute})
        assert definition_cache.key(PLATFORM, other) != definition_cache.key(PLATFORM, TRAINING)
    encrypted = replace(PLATFORM, key_arn="arn:aws:kms:eu-west-1:123456789012:key/1")
    assert definition_cache.key(encrypted, TRAINING) != definition_cache.key(PLATFORM, TRAINING)


def test_code_changes_the_key(tmp_path: Path) -> None:
    """Content, name and number of the modules count; files of another kind do not."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a/one.py").write_text("x = 1\n")
    keys = [definition_cache.key(PLATFORM, TRAINING, tmp_path)]
    (tmp_path / "a/one.pyc").write_bytes(b"compiled")
    assert definition_cache.key(PLATFORM, TRAINING, tmp_path) == keys[0]
    (tmp_path / "a/one.py").write_text("x = 2\n")
    keys.append(definition_cache.key(PLATFORM, TRAINING, tmp_path))
    (tmp_path / "a/one.py").rename(tmp_path / "a/two.py")
    keys.append(definition_cache.key(PLATFORM, TRAINING, tmp_path))
    (tmp_path / "a/three.py").touch()
    keys.append(definition_cache.key(PLATFORM, TRAINING, tmp_path))
    assert len(set(keys)) == len(keys)


def test_version_of_a_package_changes_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version of any installed distribution gives another name."""
    keys = []
    for version in ("3.1.0", "3.2.0"):
        folder = tmp_path / version
        (folder / f"sagemaker_core-{version}.dist-info").mkdir(parents=True)
        with monkeypatch.context() as context:
            context.setattr(sys, "path", [*sys.path, str(folder)])
            keys.append(definition_cache.key(PLATFORM, TRAINING))
    assert len({*keys, definition_cache.key(PLATFORM, TRAINING)}) == 3


def test_read_definition_imports_no_sdk(tmp_path: Path, repository_root: Path) -> None:
    """In a second process the definition has the bytes of the first, without the seconds of the SDK's import."""
    program = (
        "import pathlib, sys; from ml import config; from ml.aws import platform_stack;"
        "from ml.aws.pipeline import definition;"
        f"p = platform_stack.Platform(**{ {f: getattr(PLATFORM, f) for f in PLATFORM.__dataclass_fields__}!r});"
        f"sys.stdout.write(definition.definition(p, config.load_model(pathlib.Path({str(SHIPPED)!r}))));"
        "sys.stderr.write(str('sagemaker' in sys.modules))"
    )
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(repository_root),
        "RUNNER_TOOL_CACHE": str(tmp_path / "tools"),
    }
    runs = [
        subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert [run.stderr for run in runs] == ["True", "False"]
    assert runs[0].stdout == runs[1].stdout
    assert json.loads(runs[0].stdout)["Steps"]
