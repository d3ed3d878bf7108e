"""Compares what serves with Git: package, order, endpoint, variant, configuration, model and archive.

Git's word is the serving file and the approval record that it names. The deploy function writes the rest, so each of
its settings is compared; a deployment that is running has no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from ml import config
from ml.aws import deployment_records, hosting_descriptions, platform_stack, registry
from ml.aws.session import Absent
from ml.diagnosis.check import CannotTell, Check, NotYet, WillFail, run
from ml.diagnosis.subjects import Subjects
from ml.errors import Refused
from ml.records import approval_verification

VARIANT = "AllTraffic"
PINNED = "deploy/artifacts"
"""Where the deploy function keeps the archives that it lets serve, by their digests."""
_SETTLED = "InService"


def checks(subjects: Subjects) -> Iterator[Check]:
    """The checks of what serves, from the registry to the archive."""
    served = _Served(subjects)
    parts: tuple[tuple[str, Callable[[], str]], ...] = (
        ("package", served.package),
        ("order", served.order),
        ("endpoint", served.endpoint),
        ("variant", served.variant),
        ("configuration", served.configuration),
        ("model", served.model),
        ("archive", served.archive),
    )
    for subject, check in parts:
        yield run(subject, check)


class _Served:
    """What serves, each part read once."""

    def __init__(self, subjects: Subjects) -> None:
        self._subjects = subjects

    @property
    def _file(self) -> config.ServingFile:
        return self._subjects.serving

    @cached_property
    def _platform(self) -> platform_stack.Platform:
        self._subjects.usable(platform_stack.stack_name())
        return platform_stack.read()

    @cached_property
    def _record(self) -> config.ApprovalRecord:
        """The record that the pointer names."""
        if self._file.approval is None:
            raise CannotTell(f"{config.SERVING} names no approval; see the line of the endpoint")
        return config.load_approval(self._subjects.root, self._file.approval)

    def package(self) -> str:
        record, group = self._record, self._platform.package_group
        try:
            approval_verification.against_registry(record, self._platform)
        except (Refused, Absent) as error:
            raise WillFail(str(error)) from error
        approved = [item.version for item in registry.packages(group, status=registry.APPROVED)]
        if approved != [record.approval]:
            raise WillFail(
                f"Approved in {group}: {', '.join(map(str, approved)) or 'none'}, and {config.SERVING} names "
                f"{record.approval:04d}; run deploy.yml"
            )
        return f"version {record.approval} alone is Approved in {group}, as its record says"

    def order(self) -> str:
        found, record, file = deployment_records.read_order(self._platform.bucket), self._record, self._file
        wanted = {
            "approval": record.approval,
            "model_package_arn": record.model_package_arn,
            "artifact_sha256": record.artifact.sha256,
            "container": record.container.model_dump(),
            "serving_image": file.image,
            "endpoint": file.endpoint,
            "instance": file.instance.model_dump(),
            "capture": file.capture.model_dump(),
            "rollout": deployment_records.rollout(file),
        }
        _compare(deployment_records.DESIRED, wanted, {name: (found or {}).get(name) for name in wanted})
        return (
            f"{deployment_records.DESIRED} orders approval {record.approval:04d} with the settings of {config.SERVING}"
        )

    @cached_property
    def _endpoint(self) -> Mapping[str, Any]:
        """The endpoint if it has settled."""
        self._subjects.require_account()
        found = hosting_descriptions.endpoint(self._file.endpoint)
        if found is None:
            raise CannotTell(f"there is no endpoint {self._file.endpoint}")
        if found["EndpointStatus"].endswith("ing") or found["EndpointStatus"] == "RollingBack":
            raise NotYet(f"endpoint {self._file.endpoint} is {found['EndpointStatus']}; run this again when it ends")
        return found

    def endpoint(self) -> str:
        name = self._file.endpoint
        self._subjects.require_account()
        found = hosting_descriptions.endpoint(name)
        if self._file.approval is None:
            if found is not None:
                raise WillFail(f"endpoint {name} is {found['EndpointStatus']}, and {config.SERVING} names no approval")
            return f"there is no endpoint {name}, and {config.SERVING} names no approval"
        if found is None:
            raise WillFail(
                f"there is no endpoint {name}, and approval {self._file.approval:04d} should serve; run deploy.yml"
            )
        settled = self._endpoint
        if settled["EndpointStatus"] != _SETTLED:
            raise WillFail(f"endpoint {name} is {settled['EndpointStatus']}: {settled.get('FailureReason', '')}")
        wanted = self._last_configuration()
        if settled["EndpointConfigName"] != wanted:
            raise WillFail(f"endpoint {name} runs {settled['EndpointConfigName']}, and {wanted} was deployed")
        return f"{name} is InService on {wanted}"

    def _last_configuration(self) -> str:
        """The configuration of the last deployment of what Git names."""
        every = deployment_records.history(self._platform.bucket)
        own = [item for item in every if (item.endpoint, item.status) == (self._file.endpoint, "succeeded")]
        if not own or own[-1].approval != self._file.approval or own[-1].endpoint_config is None:
            last = f"approval {own[-1].approval:04d}" if own else "nothing"
            raise WillFail(
                f"{config.SERVING} names approval {self._file.approval:04d}, and {last} was deployed last; run "
                "deploy.yml"
            )
        return own[-1].endpoint_config

    def variant(self) -> str:
        variants = self._endpoint.get("ProductionVariants", [])
        shown = [
            (item["VariantName"], item.get("CurrentWeight"), item.get("DesiredInstanceCount")) for item in variants
        ]
        if [name for name, _, _ in shown] != [VARIANT]:
            raise WillFail(f"the endpoint has the variants {[name for name, _, _ in shown]}, and not {VARIANT} alone")
        wanted = {"DesiredInstanceCount": self._file.instance.count}
        _compare(
            f"variant {VARIANT}",
            wanted,
            {name: variants[0].get(name, variants[0].get("CurrentInstanceCount")) for name in wanted},
        )
        return f"{VARIANT} alone, with {self._file.instance.count} instances"

    @cached_property
    def _configuration(self) -> Mapping[str, Any]:
        name = self._endpoint["EndpointConfigName"]
        found = hosting_descriptions.configuration(name)
        if found is None:
            raise WillFail(f"endpoint configuration {name} was deleted; the endpoint cannot replace an instance")
        return found

    def configuration(self) -> str:
        found, file = self._configuration, self._file
        variants, capture = found.get("ProductionVariants", []), found.get("DataCaptureConfig") or {}
        first = variants[0] if variants else {}
        wanted = {
            "variants": [VARIANT],
            "instance type": file.instance.type,
            "instance count": file.instance.count,
            "capture": file.capture.sampling_percentage > 0,
            "sampling percentage": file.capture.sampling_percentage,
            "captured to": f"s3://{self._platform.bucket}/capture",
        }
        there = {
            "variants": [item.get("VariantName") for item in variants],
            "instance type": first.get("InstanceType"),
            "instance count": first.get("InitialInstanceCount"),
            "capture": bool(capture.get("EnableCapture")),
            "sampling percentage": capture.get("InitialSamplingPercentage"),
            "captured to": capture.get("DestinationS3Uri"),
        }
        _compare(f"endpoint configuration {found['EndpointConfigName']}", wanted, there)
        return f"{found['EndpointConfigName']} has instances and capture of {config.SERVING}"

    @cached_property
    def _container(self) -> Mapping[str, Any]:
        variants = self._configuration.get("ProductionVariants") or [{}]
        name = variants[0].get("ModelName", "")
        found = hosting_descriptions.model(name) if name else None
        if found is None:
            raise WillFail(
                f"model {name or 'of the configuration'} was deleted; the endpoint cannot replace an instance"
            )
        return found

    def model(self) -> str:
        found, record, image = self._container, self._record, self._file.image
        container = found.get("PrimaryContainer") or {}
        version = {"FRAUDOPS_MODEL_VERSION": f"{record.approval:04d}"}
        wanted = {
            "image": image or record.container.image,
            "archive": self._pinned(),
            "environment": version if image else {**record.container.environment, **version},
            "network isolation": True,
        }
        there = {
            "image": container.get("Image"),
            "archive": container.get("ModelDataUrl"),
            "environment": container.get("Environment") or {},
            "network isolation": bool(found.get("EnableNetworkIsolation")),
        }
        _compare(f"model {found['ModelName']}", wanted, there)
        return f"{found['ModelName']} has image, environment and archive of approval {record.approval:04d}"

    def archive(self) -> str:
        sha256, uri = self._record.artifact.sha256, self._pinned()
        try:
            found = registry.digest(uri)
        except Absent as error:
            raise WillFail(f"{uri} was deleted; the endpoint cannot replace an instance") from error
        if found != sha256:
            raise WillFail(f"{uri} has sha256 {found}: a new instance would serve another model than the approved one")
        return f"{uri} has the approved digest"

    def _pinned(self) -> str:
        return f"s3://{self._platform.bucket}/{PINNED}/{self._record.artifact.sha256}/model.tar.gz"


def _compare(what: str, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Raises WillFail with each setting that differs."""
    wrong = [
        f"{name} {found[name]}, and Git says {value}" if found[name] is not None else f"no {name}, and Git says {value}"
        for name, value in wanted.items()
        if found[name] != value
    ]
    if wrong:
        raise WillFail(f"{what} has {'; '.join(wrong)}")
