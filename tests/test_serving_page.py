"""docs/serving.md: its examples run as printed against a served model on the AWS emulator, with verified signatures."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from local_aws.server import LocalAws

from ml.aws import session
from ml.aws.capture import reader
from ml.aws.pipeline.model_environment import MODEL_ENVIRONMENT
from ml.commands.score_and_evaluate import score
from ml.model import artifact, document_fields, scoring_responses
from tests.harness.aws import signature_check
from tests.harness.aws.signature_check import SignatureCheck
from tests.harness.platform import monitored

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/serving.md"
ENDPOINT, BUCKET = "fraudops-production", "serving-page"
INPUTS = ["Time", *(f"V{number}" for number in range(1, 29)), "Amount"]
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"


@dataclass
class Example:
    """A block of code on the page, and what it prints by the page; None if the page does not say."""

    language: str
    code: str
    printed: str | None


def examples() -> list[Example]:
    """The blocks of bash and Python, in the page's order."""
    found = re.findall(
        r"^```(bash|python)\n(.*?)^```\n(?:```text\n(.*?)^```)?", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return [Example(language, code, printed or None) for language, code, printed in found]


@dataclass
class Served:
    """A model that serves on the emulator, behind a relay that verifies signatures, and a folder for the examples."""

    aws: LocalAws
    check: SignatureCheck
    folder: Path

    def run(self, example: Example, *, token: str = "") -> str:
        """Runs an example in the folder with the keys of a caller, and a session token; returns what it prints."""
        if example.language == "bash" and "curl " in example.code and shutil.which("curl") is None:
            pytest.skip("this machine has no curl")
        command = ["bash", "-euo", "pipefail", "-c"] if example.language == "bash" else [sys.executable, "-c"]
        environment = {**os.environ, **self.aws.environment(), "AWS_ENDPOINT_URL": self.check.url, "PYTHONWARNINGS": ""}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        environment["AWS_SESSION_TOKEN"] = token
        done = subprocess.run(
            [*command, example.code], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{example.code}\n{done.stdout}\n{done.stderr}\n{self.check.refused}"
        return done.stdout


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A model with the page's columns, deployed as the deploy function does: captured to S3, named by its approval."""
    model = monitored.MODEL | {"inputs": INPUTS, "history": {"slope": 0.9, "intercept": -2.0}}
    archive = artifact.pack(
        {
            "model.json": document_fields.canonical(model).encode(),
            "baseline.json": b"{}",
            **artifact.code_files(ROOT),
        }
    )
    (tmp_path / "model.tar.gz").write_bytes(archive)
    with LocalAws(tmp_path / "cloud") as aws:
        s3, sagemaker, iam = (aws.client(name) for name in ("s3", "sagemaker", "iam"))
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=archive)
        trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
        lake = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
        allowed = [
            {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket", "s3:PutObject"], "Resource": lake},
            {"Effect": "Allow", "Action": ["logs:*", "cloudwatch:PutMetricData"], "Resource": "*"},
        ]
        role = iam.create_role(RoleName="endpoint", AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName="endpoint", PolicyName="own", PolicyDocument=_policy(*allowed))
        environment = {**MODEL_ENVIRONMENT, "FRAUDOPS_MODEL_VERSION": "0001"}
        container = {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz", "Environment": environment}
        sagemaker.create_model(ModelName="m", PrimaryContainer=container, ExecutionRoleArn=role)
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": "m",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        sagemaker.create_endpoint_config(
            EndpointConfigName="c",
            ProductionVariants=[variant],
            DataCaptureConfig={
                "EnableCapture": True,
                "InitialSamplingPercentage": 100,
                "DestinationS3Uri": f"s3://{BUCKET}/capture",
                "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
                "CaptureContentTypeHeader": {
                    "CsvContentTypes": ["text/csv"],
                    "JsonContentTypes": ["application/json", "application/jsonlines"],
                },
            },
        )
        sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName="c")
        sagemaker.get_waiter("endpoint_in_service").wait(
            EndpointName=ENDPOINT, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600}
        )
        variables = aws.environment()
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        session.renew()
        with signature_check.before(aws.url, secret=variables["AWS_SECRET_ACCESS_KEY"], service="sagemaker") as check:
            yield Served(aws=aws, check=check, folder=tmp_path)


def _policy(*statements: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def pattern(printed: str) -> str:
    """What an example prints, as a pattern: `…` stands for anything."""
    return ".*".join(re.escape(part) for part in printed.split("…"))


def test_examples_print_what_the_page_shows(served: Served) -> None:
    """Each example runs in order with a valid signature, and the rows are captured under the ids that the page says."""
    found = examples()
    assert [each.language for each in found] == ["bash", "python", "bash", "python", "python", "python"]
    for each in found:
        printed = served.run(each)
        if each.printed is not None:
            assert re.fullmatch(pattern(each.printed), printed, re.DOTALL), f"{each.code}\nprinted:\n{printed}"
    assert served.check.refused == []
    assert ["curl" in agent for agent in served.check.accepted] == [False, True, False, False, False]
    served.run(found[2], token="a-token")
    assert served.check.refused == []
    served.aws.flush()
    now = served.aws.clock.now()
    batches = reader.read(BUCKET, ENDPOINT, now - timedelta(hours=1), now + timedelta(hours=1), inputs=INPUTS)
    ids = [each for batch in batches for each in batch.event_ids.to_pylist()]
    twice = [f"batch-7#{row}" for row in (0, 0, 1, 1, 2, 2)]
    assert sorted(filter(None, ids)) == [*(f"20260301-000{number}" for number in (1, 2, 3)), *twice]


def test_fraud_rate_on_the_page_is_that_of_the_command(served: Served) -> None:
    """The endpoint's answer and `fraudops score --calibrated` have the same bits, on one row and on many."""
    first, *others = examples()
    served.run(first)
    (calibrated,) = [each for each in others if '"calibrated": True' in each.code]
    lines = (served.folder / "standin.csv").read_text("utf-8").splitlines()
    (served.folder / "many.csv").write_text("\n".join(line.rpartition(",")[0] for line in lines[:101]) + "\n")
    for name, rows in (("rows.csv", 3), ("many.csv", 100)):
        out = served.folder / f"scored-{name}"
        score(served.folder / "model.tar.gz", served.folder / name, out, calibrated=True)
        with out.open(newline="") as file:
            offline = [(float(row["score"]), float(row["fraud_rate"])) for row in csv.DictReader(file)]
        printing = "print(json.dumps([[each[name] for name in ('score', 'fraud_rate')] for each in predictions]))"
        code = calibrated.code.partition("for row, prediction")[0].replace("rows.csv", name)
        printed = served.run(
            Example("python", f'{code}predictions = json.load(answer["Body"])["predictions"]\n{printing}', None)
        )
        assert [tuple(each) for each in json.loads(printed)] == offline
        assert len(offline) == rows


@pytest.mark.skipif(shutil.which("curl") is None, reason="this machine has no curl")
@pytest.mark.parametrize(
    ("secret", "service", "reason"),
    [("another", "sagemaker", "the signature is "), ("right", "s3", "the signature is for s3, expected sagemaker")],
)
def test_wrongly_signed_request_is_refused(secret: str, service: str, reason: str) -> None:
    """The relay verifies what it claims to, and forwards nothing else."""
    with signature_check.before("http://127.0.0.1:9", secret="right", service="sagemaker") as check:
        signed = ["--aws-sigv4", f"aws:amz:us-east-1:{service}", "--user", f"key:{secret}"]
        url = f"{check.url}/endpoints/{ENDPOINT}/invocations"
        command = ["curl", "--silent", "--max-time", "60", *signed, "--data-binary", "1,2", url]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (check.accepted, len(check.refused)) == ([], 1)
    assert check.refused[0].startswith(reason)
    assert reason in printed


def test_header_that_is_signed_and_not_sent_is_refused() -> None:
    """As curl 7.88 does with an empty session token, which is why the page leaves that header out without a token."""
    scope = "AWS4-HMAC-SHA256 Credential=key/20260301/us-east-1/sagemaker/aws4_request"
    signed = "SignedHeaders=host;x-amz-date;x-amz-security-token"
    headers = {
        "authorization": f"{scope}, {signed}, Signature={'0' * 64}",
        "host": "h",
        "x-amz-date": "20260301T060000Z",
    }
    with pytest.raises(ValueError, match="signed, but not sent: x-amz-security-token"):
        signature_check.expected("POST", "http://h/", headers, b"", secret="right", service="sagemaker")


def test_limits_on_the_page_are_those_of_the_code() -> None:
    """Rows and bytes of a request, the media types, and the characters of an id."""
    text = PAGE.read_text("utf-8")
    assert f"{scoring_responses.MAX_ROWS:,} rows and {scoring_responses.MAX_BODY >> 20} MiB" in text
    for kind in scoring_responses.TYPES:
        assert f"| `{kind}` |" in text
