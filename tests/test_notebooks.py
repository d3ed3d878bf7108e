"""docs/notebooks: each script runs without a network and gives the committed notebook."""

from __future__ import annotations

import base64
import io
import json
import re
import socket
from pathlib import Path
from typing import Any, NoReturn

import pytest
from PIL import Image

from docs import notebook

SCRIPTS = sorted(notebook.FOLDER.glob("*.py"))
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_TOLERANCE = 0.05
"""A score at the threshold may differ in its last digits between processors, and with it a count."""


def texts(made: dict[str, Any]) -> str:
    """Everything that the cells printed."""
    outputs = [output for cell in made["cells"] for output in cell.get("outputs", ())]
    return "".join("".join(output.get("text", ())) for output in outputs)


def numbers(text: str) -> list[float]:
    """The numbers of a text, in order."""
    return [float(found.replace(",", "")) for found in _NUMBER.findall(text)]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_notebook_is_what_its_script_gives(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same cells and words, the same figures, and pictures that open; nothing is read from a network."""

    def refuse(*_: object) -> NoReturn:
        raise AssertionError("a notebook opens no connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    made = notebook.execute(script.read_text("utf-8"))
    committed = json.loads(script.with_suffix(".ipynb").read_text("utf-8"))
    assert [cell["source"] for cell in made["cells"]] == [cell["source"] for cell in committed["cells"]], (
        "run: python -m docs.notebook"
    )
    now, before = texts(made), texts(committed)
    assert _NUMBER.sub("#", " ".join(now.split())) == _NUMBER.sub("#", " ".join(before.split()))
    assert numbers(now) == pytest.approx(numbers(before), rel=_TOLERANCE, abs=0.05)
    pictures = [
        output["data"]["image/png"]
        for cell in committed["cells"]
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 2
    for picture in pictures:
        assert Image.open(io.BytesIO(base64.b64decode(picture))).width > 400
    assert script.with_suffix(".ipynb").stat().st_size < 200_000


def test_every_notebook_has_its_script() -> None:
    """No notebook is edited by hand."""
    assert SCRIPTS
    assert [path.stem for path in sorted(notebook.FOLDER.glob("*.ipynb"))] == [path.stem for path in SCRIPTS]


def test_cells_are_markdown_or_code() -> None:
    """Comment signs of text are removed; a script begins with a cell."""
    found = notebook.cells("# %% [markdown]\n# # Title\n#\n# Text\n\n# %%\nx = 1\n")
    assert [(cell.markdown, cell.source) for cell in found] == [(True, "# Title\n\nText"), (False, "x = 1")]
    with pytest.raises(ValueError, match="must begin with a cell"):
        notebook.cells("x = 1\n# %%\n")


def test_outputs_are_what_was_printed_and_the_last_value() -> None:
    """A value that is no picture is shown as Python writes it; large outputs are refused."""
    code, value, quiet = notebook.execute("# %%\nprint('a')\n# %%\n1 + 1\n# %%\ny = 3\n")["cells"]
    assert code["outputs"] == [{"output_type": "stream", "name": "stdout", "text": ["a\n"]}]
    assert value["outputs"][0]["data"] == {"text/plain": ["2"]}
    assert (quiet["outputs"], quiet["execution_count"]) == ([], 3)
    with pytest.raises(ValueError, match="cell 0 must have at most"):
        notebook.execute("# %%\nprint('x' * 300_000)\n")
