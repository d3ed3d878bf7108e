"""Endpoints of images that serve by their own command, from a Dockerfile that local-images.yaml names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from aws_resources import ROLE, allow, create_role, invoke_endpoint, pack_archive, unique_name, wait_until_settled
from local_aws.server import LocalAws

IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/my-server@sha256:{'a' * 64}"
SERVER = """
import http.server, os, sys
text = open(os.path.join(os.environ["SM_MODEL_DIR"], "model.txt")).read()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b"")
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.answer(f"{sys.argv[1]} {text} {os.environ['OWN']} {os.environ['VERSION']} {body}".encode())
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/csv")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""
DOCKERFILE = 'FROM base\nENV OWN=image\nWORKDIR /srv\nCOPY server.py ./\nENTRYPOINT ["python", "server.py"]\n'


@pytest.fixture
def mapped(tmp_path: Path) -> Iterator[LocalAws]:
    """An emulator that knows the image's Dockerfile."""
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "server.py").write_text(SERVER)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    images = tmp_path / "local-images.yaml"
    images.write_text("images: [{match: '*/my-server@*', dockerfile: server/Dockerfile, context: server}]\n")
    with LocalAws(tmp_path / "aws", images=images, health_timeout_seconds=20) as running:
        create_role(running, ROLE.rpartition("/")[2], "sagemaker.amazonaws.com", allow("s3:*"))
        yield running


def create(aws: LocalAws) -> str:
    """An endpoint of the image; its name."""
    name = unique_name("image")
    sagemaker = aws.client("sagemaker")
    aws.client("s3").create_bucket(Bucket="models")
    aws.client("s3").put_object(Bucket="models", Key="m.tar.gz", Body=pack_archive({"model.txt": "text"}))
    container = {"Image": IMAGE, "ModelDataUrl": "s3://models/m.tar.gz", "Environment": {"VERSION": "7"}}
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    return name


def test_endpoint_runs_the_images_command(mapped: LocalAws) -> None:
    """With `serve`, the variables of the image and of the model, and the extracted archive."""
    name = create(mapped)
    assert wait_until_settled(mapped, name) == "InService"
    assert invoke_endpoint(mapped, name, "1") == "serve text image 7 1"


def test_image_that_cannot_be_laid_out_fails_the_endpoint(mapped: LocalAws, tmp_path: Path) -> None:
    """The reason names the file and the line."""
    (tmp_path / "server/server.py").unlink()
    name = create(mapped)
    assert wait_until_settled(mapped, name) == "Failed"
    reason = mapped.client("sagemaker").describe_endpoint(EndpointName=name)["FailureReason"]
    assert "Dockerfile: line 4: COPY: there is no" in reason
