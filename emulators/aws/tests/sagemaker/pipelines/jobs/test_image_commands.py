"""Images are mapped to local commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_aws.errors import EmulatorError
from local_aws.sagemaker.pipelines.jobs.image_commands import ImageMap
from local_aws.sagemaker.pipelines.jobs.isolation import Isolation, Mode
from local_aws.sagemaker.pipelines.jobs.storage import CreateFault
from pipeline_jobs import IMAGE, PipelineAws, training


def test_image_without_an_entry_point_runs_its_mapped_command(aws: PipelineAws, tmp_path: Path, mode: Mode) -> None:
    """A built-in algorithm is mapped to a local command; ./ is relative to the map's file."""
    (tmp_path / "algorithm.py").write_text(
        "import json, sys\n"
        "base = sys.argv[1]\n"
        "open(base + '/model/model.json', 'w').write(open(base + '/input/config/hyperparameters.json').read())\n"
    )
    rules = tmp_path / "local-images.yaml"
    rules.write_text(
        "images:\n  - match: '*/built-in:*'\n    command: [python3, ./algorithm.py, /opt/ml]\n", encoding="utf-8"
    )
    aws.serve(images=ImageMap.load(rules), isolation=Isolation(mode))
    train = training(
        "Train",
        None,
        f"s3://{aws.bucket}/m",
        image="1.dkr.ecr.us-east-1.amazonaws.com/built-in:1",
        arguments={"HyperParameters": {"k": "10"}},
    )
    arn, described = aws.run([train])
    assert described["PipelineExecutionStatus"] == "Succeeded", aws.steps(arn)


def test_malformed_image_map_is_refused(tmp_path: Path) -> None:
    """The message names the file and the error; a missing file is an empty map."""
    rules = tmp_path / "local-images.yaml"
    assert ImageMap.load(rules) == ImageMap(folder=tmp_path)
    assert ImageMap.load(None) == ImageMap()
    rules.write_text("images: [{match: x}]")
    with pytest.raises(EmulatorError, match=r"local-images\.yaml.*command"):
        ImageMap.load(rules)
    with pytest.raises(CreateFault, match="has no ContainerEntrypoint"):
        ImageMap().command(IMAGE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("images:\n  - match: x\n    command: [a]\n  - match: 1\n    command: [a]", "line 4: images.1.match: .*got 1"),
        ("images:\n  - match: x\n    command: []", "line 3: images.0.command: "),
        ("images:\n  - match: x\n    commands: [a]\n    shell: b", "line 4: images.0.shell: .*got 'b'"),
        ("images:\n  - match: x\n    interpreter: ./no", "line 3: interpreter ./no of x cannot be executed"),
        ("images: []\nimages: []", "line 2: key 'images' is given twice"),
        ("", "line 1: the file: "),
    ],
)
def test_error_of_the_image_map_names_line_and_value(tmp_path: Path, text: str, message: str) -> None:
    """The message has the file, the line, the field and what it holds."""
    rules = tmp_path / "local-images.yaml"
    rules.write_text(text)
    with pytest.raises(EmulatorError, match=rf"local-images\.yaml: {message}"):
        ImageMap.load(rules)
