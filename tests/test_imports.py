"""The import rules of the tree: each folder of ml/ is named for what it may touch, and may touch nothing else."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NUMERICAL = {"numpy", "scipy", "pandas", "sklearn", "imblearn", "threadpoolctl"}
BASE = {"ml.errors", "ml.clock", "ml.config", "ml.model.training_settings"}
# folder → (third-party packages it may import, None for any; parts of ml it may import)
RULES: dict[str, tuple[set[str] | None, set[str]]] = {
    "ml/model": (NUMERICAL, {"ml.model"}),
    "ml/config": ({"pydantic", "yaml"}, BASE),
    "ml/steps": (NUMERICAL | {"pyarrow", "packaging"}, {"ml.model", "ml.steps"}),
    "ml/aws": (
        {"boto3", "botocore", "sagemaker", "tenacity", "pyarrow", "numpy", "orjson", "msgspec", "duckdb"},
        BASE | {"ml.aws"},
    ),
    "ml/gitops": ({"yaml", "github", "urllib3", "requests", "tenacity"}, BASE | {"ml.gitops"}),
    "ml/report": (NUMERICAL | {"matplotlib", "jinja2", "markupsafe"}, {"ml.model", "ml.report"}),
    "ml/commands": (
        NUMERICAL | {"pyarrow", "yaml", "rich", "tenacity"},
        BASE | {"ml.model", "ml.aws", "ml.gitops", "ml.commands", "ml.console", "ml.report"},
    ),
    "ml/simulate": (
        NUMERICAL | {"pyarrow", "pydantic"},
        {"ml.model", "ml.config", "ml.errors", "ml.clock", "ml.simulate"},
    ),
    "infra/deploy_model": ({"boto3", "botocore"}, set()),
}
FILES = sorted(path for folder in RULES for path in (ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module that the file names in an import, wherever in the file it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full, not relative"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_its_folder_may_touch(path: Path) -> None:
    """A module of ml/ imports the packages and the parts of ml that its folder's rule allows."""
    folder = next(folder for folder in RULES if path.is_relative_to(ROOT / folder))
    packages, parts = RULES[folder]
    for name in imports(path):
        top = name.split(".")[0]
        if top == "ml":
            assert any(f"{name}.".startswith(f"{part}.") for part in parts), f"{path}: {folder} may not import {name}"
        elif top == "deploy_model":
            assert folder == "infra/deploy_model", f"{path}: only the Lambda imports its own source"
        elif top not in sys.stdlib_module_names and packages is not None:
            assert top in packages, f"{path}: {folder} may not import {top}"


def test_every_folder_of_the_product_has_a_rule() -> None:
    """A new folder below ml/ is either ruled here or may use everything: cli, local."""
    folders = {f"ml/{path.name}" for path in (ROOT / "ml").iterdir() if (path / "__init__.py").exists()}
    assert folders - set(RULES) == {"ml/cli", "ml/local"}


def test_the_product_does_not_know_of_the_local_cloud() -> None:
    """Only the command line imports ml.local; nothing else can branch on being local."""
    for path in (ROOT / "ml").rglob("*.py"):
        if not path.is_relative_to(ROOT / "ml/local") and not path.is_relative_to(ROOT / "ml/cli"):
            assert not [name for name in imports(path) if name.startswith("ml.local")], path


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    """Importing ml.cli loads neither the SageMaker SDK nor boto3, pandas or scikit-learn."""
    import subprocess

    heavy = ["sagemaker", "boto3", "pandas", "sklearn", "moto", "matplotlib"]
    code = f"import sys, ml.cli; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
