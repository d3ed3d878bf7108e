"""SageMaker's own serving stack, without a network, answers exactly as `fraudops score` does.

The environment is `.venv-serving-stack` (`make serving-stack`): sagemaker-containers, gunicorn, gevent and Flask at the
versions of SageMaker's scikit-learn 1.9-0 image. The tests fail where it is missing or no network namespace can be
created. FRAUDOPS_SKLEARN_CONTAINER is the path of a checkout of aws/sagemaker-scikit-learn-container: with it AWS's own
handler is tested too.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from local_aws.sagemaker.pipelines.jobs.isolation import Isolation, JobSpace

from ml.aws.pipeline.model_environment import MODEL_ENVIRONMENT
from ml.commands.score_and_evaluate import score
from ml.model.scoring_responses import CSV, JSON, JSONLINES, MAX_BODY, MAX_ROWS, TYPES
from ml.steps import inference
from tests.model.training_samples import rows
from tests.serving_stack import largest_request
from tests.steps.step_runs import ROOT, Bench

pytestmark = [pytest.mark.serving_stack, pytest.mark.timeout(600)]

STACK = ROOT / ".venv-serving-stack"
HERE = Path(__file__).parent
CHECKOUT = os.environ.get("FRAUDOPS_SKLEARN_CONTAINER")
AWS_HANDLER = pytest.param(
    "aws",
    marks=pytest.mark.skipif(
        not CHECKOUT, reason="FRAUDOPS_SKLEARN_CONTAINER names no checkout of aws/sagemaker-scikit-learn-container"
    ),
)
# Root may create network namespaces where others may not, such as on GitHub's runners.
NAMESPACES = (
    ("unshare", "--map-root-user", "--mount", "--net", "--pid", "--fork", "--kill-child"),
    ("sudo", "-n", "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child"),
)
SAGEMAKER_SECONDS = 60.0
"""After this time SageMaker ends a real-time request: the reference of InvokeEndpoint."""
Json = dict[str, Any]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive that Prepare, Train and Evaluate make."""
    bench = Bench(tmp_path_factory.mktemp("bench")).lay()
    bench.data()
    bench.whole()
    path = tmp_path_factory.mktemp("model") / "model.tar.gz"
    path.write_bytes(bench.artifact())
    return path


@pytest.fixture(scope="module")
def transactions() -> pd.DataFrame:
    """Rows that the model was not trained on."""
    X, _ = rows(2_000, 0.05, seed=11)
    return pd.DataFrame(X)


def namespace() -> tuple[str, ...]:
    """The command that creates a namespace without network."""
    for way in NAMESPACES:
        if shutil.which(way[0]) and subprocess.run([*way, "true"], capture_output=True, check=False).returncode == 0:
            return way
    pytest.fail("no network namespace can be created here (tried unshare, and sudo unshare)")


def image_environment(folder: Path) -> JobSpace:
    """A disposable environment on top of STACK, because the server installs the model's code at every start.

    sagemaker-containers is copied into it with the one line that AWS's Dockerfile changes for Python 3.12.
    """
    assert (STACK / "bin/python").exists(), "run `make serving-stack`, which installs .venv-serving-stack"
    space = JobSpace(Isolation("relocate", STACK / "bin/python").create_space(folder).folder, namespace())
    [packages] = STACK.glob("lib/python3.*/site-packages")
    [own] = space.venv.glob("lib/python3.*/site-packages")
    shutil.copytree(packages / "sagemaker_containers", own / "sagemaker_containers")
    mapping = own / "sagemaker_containers/_mapping.py"
    text = mapping.read_text()
    assert text.count("collections.Mapping") == 1
    mapping.write_text(text.replace("collections.Mapping", "collections.abc.Mapping"))
    # Python 3.12 has no distutils; sagemaker-containers gets that of setuptools through this file, as in the image.
    shutil.copy(packages / "distutils-precedence.pth", own)
    gunicorn = space.venv / "bin/gunicorn"
    gunicorn.write_text(f'#!/bin/sh\nexec "{space.venv}/bin/python" -m gunicorn "$@"\n')
    gunicorn.chmod(0o755)
    return space


def exchanged(
    folder: Path, model: Path, requests: list[Json], *, handler: str = "own", without: tuple[str, ...] = ()
) -> Json:
    """What the stack answers to `requests`, in a namespace without network."""
    space = image_environment(folder)
    shutil.unpack_archive(model, space.ml / "model", filter="data")
    own = handler == "own"
    module = "handler" if own else "sagemaker_sklearn_container.serving"
    start = (
        "from sagemaker_containers.beta.framework import env, server; server.start(env.ServingEnv().framework_module)"
    )
    variables = {
        "PATH": f"{space.venv}/bin:/usr/bin:/bin",
        "HOME": str(space.folder / "home"),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(HERE if own else Path(CHECKOUT or "").resolve() / "src"),
        "SAGEMAKER_SERVING_MODULE": f"{module}:main",
        "SAGEMAKER_USE_NGINX": "false",  # the image's proxy in front of gunicorn, which this machine may lack
        "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
        "SM_MODEL_DIR": "/opt/ml/model",
        "PIP_CONFIG_FILE": os.devnull,  # the image has none; one of this machine may name local packages
        **MODEL_ENVIRONMENT,
        "FRAUDOPS_MODEL_VERSION": "0007",
    }
    plan = {
        "command": [str(space.venv / "bin/python"), "-c", start],
        "environment": {name: value for name, value in variables.items() if name not in without},
        "requests": [item | {"body": base64.b64encode(item["body"]).decode()} for item in requests],
    }
    plan_file, answers_file = space.folder / "plan.json", space.folder / "answers.json"
    plan_file.write_text(json.dumps(plan))
    command = space.command(
        [str(space.venv / "bin/python"), "-I", str(HERE / "exchange.py"), str(plan_file), str(answers_file)]
    )
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    assert answers_file.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    result: Json = json.loads(answers_file.read_text()) | {"log": done.stdout + done.stderr}
    result["answers"] = [(status, kind, base64.b64decode(body)) for status, kind, body in result["answers"]]
    return result


def request(body: str | bytes, kind: str, accept: str = JSON) -> Json:
    """One POST to /invocations."""
    return {
        "body": body.encode() if isinstance(body, str) else body,
        "headers": {"Content-Type": kind, "Accept": accept},
    }


def bodies(frame: pd.DataFrame) -> dict[str, str]:
    """The rows in each content type."""
    names, values = list(frame.columns), frame.to_numpy().tolist()
    return {
        CSV: "\n".join([",".join(names), *(",".join(map(repr, row)) for row in values)]),
        JSON: json.dumps({"instances": [dict(zip(names, row, strict=True)) for row in values]}),
        JSONLINES: "\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in values),
    }


def predictions(kind: str, body: bytes) -> list[tuple[float, int, str]]:
    """Score, decision and model version of each row of an answer."""
    if kind == CSV:
        return [(float(row[0]), int(row[1]), row[2]) for row in csv.reader(io.StringIO(body.decode()))]
    items = json.loads(body)["predictions"] if kind == JSON else [json.loads(line) for line in body.splitlines()]
    return [(item["score"], item["decision"], item["model_version"]) for item in items]


@pytest.mark.parametrize("handler", ["own", AWS_HANDLER])
def test_answers_equal_offline_scores_to_the_last_digit(
    tmp_path: Path, model: Path, transactions: pd.DataFrame, handler: str
) -> None:
    """2,000 rows and one row, in each content type and each answer type, without a network."""
    transactions.to_csv(tmp_path / "rows.csv", index=False)
    score(model, tmp_path / "rows.csv", tmp_path / "scores.parquet")
    table = pq.read_table(tmp_path / "scores.parquet")
    expected = list(zip(table["score"].to_pylist(), table["decision"].to_pylist(), strict=True))
    asked = [
        (request(body, kind, accept), accept, count)
        for count in (len(transactions), 1)
        for kind, body in bodies(transactions.head(count)).items()
        for accept in (CSV, JSON, JSONLINES)
    ]
    result = exchanged(tmp_path / "stack", model, [item for item, _, _ in asked], handler=handler)
    assert result["interfaces"] == ["lo"]
    assert result["healthy"], result["log"][-4000:]
    assert result["exit_code"] is None
    assert len(result["answers"]) == len(asked) == 18
    for (_, accept, count), (status, kind, body) in zip(asked, result["answers"], strict=True):
        assert (status, kind.partition(";")[0]) == (200, accept)
        answered = predictions(accept, body)
        assert [(score, decision) for score, decision, _ in answered] == expected[:count]
        assert {version for _, _, version in answered} == {"0007"}


@pytest.mark.parametrize("handler", ["own", AWS_HANDLER])
def test_largest_request_is_answered_within_the_seconds_of_sagemaker(
    tmp_path: Path, handler: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """MAX_ROWS rows of a model with the committed inputs get status 200 and all their scores, in each media type.

    Seconds are the requirement here, so they are printed and compared with SageMaker's limit as it is. The server's
    own timeout is 60 s too: it ends a slower request without an answer.
    """
    model, largest = tmp_path / "model.tar.gz", largest_request.bodies()
    model.write_bytes(largest_request.archive())
    assert all(MAX_BODY / 2 < len(body) <= MAX_BODY for body in largest.values())
    asked = [(kind, accept) for kind in largest for accept in TYPES]
    requests = [request(largest[kind], kind, accept) for kind, accept in asked]
    result = exchanged(tmp_path / "stack", model, requests, handler=handler)
    assert result["healthy"], result["log"][-4000:]
    assert len(result["answers"]) == len(result["seconds"]) == len(asked) == 9
    shutil.unpack_archive(model, tmp_path / "model", filter="data")
    expected, _ = inference.score_request(inference.model_fn(str(tmp_path / "model")), largest[CSV], CSV, CSV)
    scores = [row[:2] for row in predictions(CSV, expected)]
    assert len(scores) == MAX_ROWS
    for (kind, accept), (status, _, body), seconds in zip(asked, result["answers"], result["seconds"], strict=True):
        measured = f"{MAX_ROWS:,} rows, {kind} to {accept}: {len(body):,} bytes in {seconds:.1f} s"
        with capsys.disabled():
            sys.stdout.write(f"\n{handler}: {measured}")
        assert status == 200
        assert [row[:2] for row in predictions(accept, body)] == scores
        assert seconds < SAGEMAKER_SECONDS, measured


@pytest.mark.parametrize("handler", ["own", AWS_HANDLER])
def test_refusals_equal_those_of_the_handler(
    tmp_path: Path, model: Path, transactions: pd.DataFrame, handler: str
) -> None:
    """An invalid request gets the status and the body that the archive's code gives it, and the server stays."""
    line = ",".join(map(repr, transactions.to_numpy()[0].tolist()))
    invalid = [
        request("", CSV),
        request("1,2,3", CSV),
        request(line.replace(line.split(",")[1], "nan", 1), CSV),
        request(f"{line}\n" * (MAX_ROWS + 1), CSV),
        request("1," * 4_000_000, CSV),
        request("[" * 100_000, JSON),
        request('{"instances": [{"Time": 1}]}', JSON),
        request("{}\n\n{}", JSONLINES),
        request(line, "image/png"),
        request(line, CSV, "image/png"),
    ]
    shutil.unpack_archive(model, tmp_path / "model", filter="data")
    loaded = inference.model_fn(str(tmp_path / "model"))
    result = exchanged(tmp_path / "stack", model, [*invalid, request(line, CSV)], handler=handler)
    assert result["healthy"], result["log"][-4000:]
    *answers, last = result["answers"]
    assert last[0] == 200
    for item, (status, kind, body) in zip(invalid, answers, strict=True):
        headers = item["headers"]
        expected = inference.transform_fn(loaded, item["body"], headers["Content-Type"], headers["Accept"])
        assert isinstance(expected, inference.Answer)
        assert (status, kind) == (expected.status_code, JSON)
        assert json.loads(body) == json.loads(expected.data)
    assert {status for status, _, _ in answers} == {400, 406, 413, 415}


def test_server_does_not_start_without_the_build_setting(tmp_path: Path, model: Path) -> None:
    """Without PIP_NO_BUILD_ISOLATION the server's `pip install .` wants an index, and /ping never answers."""
    result = exchanged(tmp_path / "stack", model, [], without=("PIP_NO_BUILD_ISOLATION",))
    assert not result["healthy"]
    assert result["exit_code"] not in (None, 0)
    assert "setuptools" in result["log"]


def test_namespace_has_no_network() -> None:
    """A connection out of the namespace of these tests fails because there is no route."""
    code = "import errno, socket; print(socket.socket().connect_ex(('192.0.2.1', 80)) == errno.ENETUNREACH)"
    done = subprocess.run([*namespace(), sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
