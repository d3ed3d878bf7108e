"""Every module has a test file at the mirrored path, every test file a module; tests/mirror.yaml has the exceptions.

The tests of ml/a/b.py are tests/a/test_b.py, or tests/a/test_b_<aspect>.py where one file would be long; infra/ is
mirrored below tests/infra. A package whose __init__.py has code is tested like a module of its name.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs import structure

ROOT = Path(__file__).resolve().parents[1]
MIRRORED = {"ml": "tests", "infra": "tests/infra"}
"""Folder of code → the folder of its tests."""
EXCEPTIONS: dict[str, Any] = yaml.safe_load((ROOT / "tests/mirror.yaml").read_text("utf-8"))
TESTED_ELSEWHERE = {
    module: test for test, entry in EXCEPTIONS["tested_elsewhere"].items() for module in entry["modules"]
}
"""Module → the test file that runs it."""


def modules(root: Path) -> set[str]:
    """The modules below `root` that have code, as paths without suffix; a package's name stands for its __init__.py."""
    found = set()
    for folder in MIRRORED:
        for path in (root / folder).rglob("*.py"):
            name = path.parent if path.name == "__init__.py" else path.with_suffix("")
            if _has_code(path):
                found.add(name.relative_to(root).as_posix())
    return found


def _has_code(path: Path) -> bool:
    """Whether the file defines or assigns anything; docstrings, imports and __all__ are not code."""
    return any(
        not isinstance(node, ast.Expr | ast.Import | ast.ImportFrom)
        and not (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__")
        for node in ast.parse(path.read_text("utf-8")).body
    )


def mirrored_modules(root: Path) -> dict[str, str | None]:
    """Each test file below `root` and the module that it mirrors: the longest name that fits; None if none does."""
    known = modules(root)
    return {
        path.relative_to(root).as_posix(): max(_candidates(path.relative_to(root), known), key=len, default=None)
        for path in (root / "tests").rglob("test_*.py")
    }


def _candidates(test: Path, known: set[str]) -> Iterator[str]:
    for folder, tests in MIRRORED.items():
        if not test.is_relative_to(tests):
            continue
        for module in known:
            mirrored = Path(tests, *Path(module).parts[1:])
            same_folder = module.startswith(f"{folder}/") and mirrored.parent == test.parent
            if same_folder and f"{test.stem}_".startswith(f"test_{mirrored.name}_"):
                yield module


def problems(root: Path, elsewhere: dict[str, str], other_tests: set[str]) -> list[str]:
    """What is missing or stale; empty if the tests mirror the tree."""
    known, tests = modules(root), mirrored_modules(root)
    mirrored = {module for module in tests.values() if module}
    unmatched = {test for test, module in tests.items() if module is None}
    return [
        *(
            f"{module}.py has no test file; write it, or name in tests/mirror.yaml the test that runs it"
            for module in sorted(known - mirrored - set(elsewhere))
        ),
        *(f"tests/mirror.yaml: {module} has a test file of its own; remove it" for module in mirrored & set(elsewhere)),
        *(f"tests/mirror.yaml: {module} is no module; remove it" for module in set(elsewhere) - known),
        *(
            f"{test} mirrors no module; rename it, or add it to other_tests of tests/mirror.yaml"
            for test in sorted(unmatched - other_tests)
        ),
        *(
            f"tests/mirror.yaml: {test} is no test file, or mirrors a module; remove it"
            for test in sorted(other_tests - unmatched)
        ),
        *(f"tests/mirror.yaml: there is no {test}" for test in sorted(set(elsewhere.values()) - set(tests))),
    ]


def test_tests_mirror_the_tree() -> None:
    """No module without a test, no test without a module, no stale exception."""
    assert problems(ROOT, TESTED_ELSEWHERE, set(EXCEPTIONS["other_tests"])) == []


def test_exceptions_give_a_reason() -> None:
    """An exception is a module in one place, with a sentence that says why."""
    listed = [module for entry in EXCEPTIONS["tested_elsewhere"].values() for module in entry["modules"]]
    assert len(listed) == len(set(listed))
    reasons = [
        *(entry["reason"] for entry in EXCEPTIONS["tested_elsewhere"].values()),
        *EXCEPTIONS["other_tests"].values(),
    ]
    assert all(len(reason.split()) >= 3 for reason in reasons)


@pytest.mark.parametrize(("module", "test"), sorted(TESTED_ELSEWHERE.items()))
def test_named_test_reaches_the_module(module: str, test: str) -> None:
    """The test that an exception names imports the module, directly or through what it imports."""
    assert module.replace("/", ".") in _reached(ROOT / test)


def _reached(test: Path) -> set[str]:
    """The modules of ml/ that a test file imports, directly or not; the fixtures of its folder count."""
    conftests = [folder / "conftest.py" for folder in test.parents if folder.is_relative_to(ROOT / "tests")]
    queue, seen = [test, *(path for path in conftests if path.exists())], set[Path]()
    while queue:
        path = queue.pop()
        if path not in seen:
            seen.add(path)
            queue += _imported_files(path)
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in seen
        if path.is_relative_to(ROOT / "ml")
    }


@functools.cache
def _imported_files(path: Path) -> tuple[Path, ...]:
    """The files of ml/ and tests/ that the file imports, looked up once per process."""
    found = []
    for name in structure.imports(path):
        for module in (name, name.rpartition(".")[0]):
            if module.split(".")[0] not in ("ml", "tests"):
                continue
            file = ROOT.joinpath(*module.split(".")).with_suffix(".py")
            file = file if file.exists() else file.with_suffix("") / "__init__.py"
            if file.exists():
                found.append(file)
    return tuple(found)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with two modules, a package with code and one without, and their tests."""
    for name in ("ml/a/b.py", "ml/a/b_c.py", "ml/d/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('"""Code."""\n\nX = 1\n')
    (tmp_path / "ml/a/__init__.py").write_text('"""No code."""\n\nfrom ml.a.b import X\n\n__all__ = ["X"]\n')
    for name in ("tests/a/test_b.py", "tests/a/test_b_large_files.py", "tests/a/test_b_c.py", "tests/test_d.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


def test_mirrored_tree_has_no_problem(tree: Path) -> None:
    """A file may test an aspect; the longest module name wins; an __init__.py without code needs no test."""
    assert problems(tree, {}, set()) == []
    assert mirrored_modules(tree) == {
        "tests/a/test_b.py": "ml/a/b",
        "tests/a/test_b_large_files.py": "ml/a/b",
        "tests/a/test_b_c.py": "ml/a/b_c",
        "tests/test_d.py": "ml/d",
    }


def test_module_without_a_test_is_named(tree: Path) -> None:
    """It is no longer named once an exception names the test that runs it."""
    (tree / "tests/a/test_b_c.py").unlink()
    (problem,) = problems(tree, {}, set())
    assert problem.startswith("ml/a/b_c.py has no test file")
    assert problems(tree, {"ml/a/b_c": "tests/a/test_b.py"}, set()) == []


def test_test_without_a_module_is_named(tree: Path) -> None:
    """It is no longer named once other_tests lists it."""
    (tree / "tests/a/test_x.py").write_text("")
    (problem,) = problems(tree, {}, set())
    assert problem.startswith("tests/a/test_x.py mirrors no module")
    assert problems(tree, {}, {"tests/a/test_x.py"}) == []


@pytest.mark.parametrize(
    ("elsewhere", "other", "problem"),
    [
        ({"ml/a/b": "tests/test_d.py"}, set(), "ml/a/b has a test file of its own"),
        ({"ml/a/gone": "tests/test_d.py"}, set(), "ml/a/gone is no module"),
        ({"ml/a/b": "tests/test_gone.py"}, set(), "there is no tests/test_gone.py"),
        ({}, {"tests/test_d.py"}, "tests/test_d.py is no test file, or mirrors a module"),
        ({}, {"tests/test_gone.py"}, "tests/test_gone.py is no test file"),
    ],
)
def test_stale_exception_is_named(tree: Path, elsewhere: dict[str, str], other: set[str], problem: str) -> None:
    """An exception for what is tested by now, or is gone, is a problem."""
    assert any(problem in each for each in problems(tree, elsewhere, other))
