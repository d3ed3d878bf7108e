"""Executes a script in cells and writes it as a Jupyter notebook with its outputs: `python -m docs.notebook`.

A cell begins with `# %%`, a text cell with `# %% [markdown]`. Of a code cell the notebook has what it printed, and the
value of its last expression: a PNG as a picture, anything else as text. No kernel and no package of Jupyter is needed;
the file is in its format, version 4.5 (https://nbformat.readthedocs.io), so that GitHub and Jupyter show it.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent / "notebooks"
_CELL = re.compile(r"^# %%(?P<text> \[markdown\])?\n", re.M)
_PNG = b"\x89PNG"
_MAX_OUTPUT_BYTES = 200_000


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A part of a script: Markdown without its comment signs, or code."""

    markdown: bool
    source: str


def cells(script: str) -> list[Cell]:
    """The cells of a script.

    Raises:
        ValueError: there is text before the first cell.
    """
    first, *parts = _CELL.split(script)
    if first.strip():
        raise ValueError("a script must begin with a cell: # %%")
    found = []
    for kind, body in zip(parts[::2], parts[1::2], strict=True):
        source = re.sub(r"^# ?", "", body, flags=re.M) if kind else body
        found.append(Cell(markdown=kind is not None, source=source.strip("\n")))
    return found


def execute(script: str) -> dict[str, Any]:
    """Runs the code cells in one namespace, in order, and returns the notebook with their outputs.

    Raises:
        ValueError: a cell's output is too large for a document.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    made: list[dict[str, Any]] = []
    for place, cell in enumerate(cells(script)):
        common = {"id": f"cell-{place}", "metadata": {}, "source": cell.source.splitlines(keepends=True)}
        if cell.markdown:
            made.append({"cell_type": "markdown", **common})
            continue
        outputs = _run(cell.source, namespace)
        if len(json.dumps(outputs)) > _MAX_OUTPUT_BYTES:
            raise ValueError(f"cell {place} must have at most {_MAX_OUTPUT_BYTES:,} bytes of output")
        number = sum(each["cell_type"] == "code" for each in made) + 1
        made.append({"cell_type": "code", "execution_count": number, "outputs": outputs, **common})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def _run(source: str, namespace: dict[str, Any]) -> list[dict[str, Any]]:
    tree, printed = ast.parse(source), io.StringIO()
    end, value = tree.body[-1] if tree.body else None, None
    if isinstance(end, ast.Expr):
        tree.body.pop()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "<cell>", "exec"), namespace)  # noqa: S102 - a script of this repository
        if isinstance(end, ast.Expr):
            value = eval(compile(ast.Expression(end.value), "<cell>", "eval"), namespace)  # noqa: S307 - the same
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        text = printed.getvalue().splitlines(keepends=True)
        outputs.append({"output_type": "stream", "name": "stdout", "text": text})
    if value is not None:
        outputs.append({"output_type": "display_data", "data": _shown(value), "metadata": {}})
    return outputs


def _shown(value: object) -> dict[str, Any]:
    if isinstance(value, bytes) and value.startswith(_PNG):
        return {"image/png": base64.b64encode(value).decode()}
    return {"text/plain": [repr(value)]}


def main() -> None:
    """Writes the notebook of each script."""
    for script in sorted(FOLDER.glob("*.py")):
        made = json.dumps(execute(script.read_text("utf-8")), indent=1, ensure_ascii=False)
        script.with_suffix(".ipynb").write_text(made + "\n", "utf-8")


if __name__ == "__main__":
    main()
