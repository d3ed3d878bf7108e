"""Every module of the package has a test file at the mirrored path, or an entry in mirror.yaml that names its test.

tests/a/test_b.py tests a/b.py; so do tests/a/test_b_<aspect>.py. The package is tested from outside, through
Git, REST, GraphQL and pages, so one test often runs many modules.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import yaml

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src/local_github"
EXCEPTIONS: dict[str, Any] = yaml.safe_load((TESTS / "mirror.yaml").read_text("utf-8"))


def module_of(test: Path, modules: set[Path]) -> Path | None:
    """The module whose mirrored name is the longest that fits the test file; None if none does."""
    fitting = [
        module
        for module in modules
        if module.parent == test.parent and f"{test.stem}_".startswith(f"test_{module.name}_")
    ]
    return max(fitting, key=lambda module: len(module.name), default=None)


def has_code(path: Path) -> bool:
    """Whether the file is more than a docstring and imports."""
    body = ast.parse(path.read_text("utf-8")).body
    return not all(isinstance(node, ast.Expr | ast.Import | ast.ImportFrom) for node in body)


def test_tests_mirror_the_package() -> None:
    """No module without a test, no test without a module, no stale exception."""
    modules = {
        (path.parent if path.name == "__init__.py" else path.with_suffix("")).relative_to(SOURCE)
        for path in SOURCE.rglob("*.py")
        if has_code(path)
    }
    tests = {path.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    mirrored = {test: module_of(test, modules) for test in tests}
    listed = [Path(name) for names in EXCEPTIONS["tested_through"].values() for name in names]
    assert len(listed) == len(set(listed)), "a module is listed twice"
    assert modules - set(mirrored.values()) == set(listed), "left: no test file; right: stale in mirror.yaml"
    assert {test for test, module in mirrored.items() if module is None} == set(map(Path, EXCEPTIONS["other_tests"]))
    assert set(map(Path, EXCEPTIONS["tested_through"])) <= tests


def test_longest_name_wins() -> None:
    """A test file belongs to the most specific module of its folder."""
    modules = {Path("a/b"), Path("a/b_c"), Path("d")}
    assert module_of(Path("a/test_b_large.py"), modules) == Path("a/b")
    assert module_of(Path("a/test_b_c.py"), modules) == Path("a/b_c")
    assert module_of(Path("a/test_bc.py"), modules) is None
    assert module_of(Path("a/test_d.py"), modules) is None
