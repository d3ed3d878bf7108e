"""Compares what serves with Git: package, order, endpoint, variant, configuration, model and archive.

Git's word is the serving file and the approval record that it names. The deploy function writes the rest, so each of
its settings is compared; a deployment that is running has no answer. Staging serves a copy of the record's package.

Each difference says whether deploy.yml puts it back. It does where the deploy function makes it anew: it changes no
configuration and no model, so one of the right name with other content is a person's to delete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from ml import config
from ml.aws import (
    autoscaling,
    deployment_records,
    hosting_descriptions,
    platform_stack,
    registry,
    stage_registry,
    variant_capacity,
)
from ml.aws.session import Absent
from ml.diagnosis.check import CannotTell, Check, NotYet, Remedy, WillFail, run
from ml.diagnosis.subjects import Subjects
from ml.errors import Refused
from ml.records import approval_verification, stage_package

VARIANT = autoscaling.VARIANT
PINNED = "deploy/artifacts"
"""Where the deploy function keeps the archives that it lets serve, by their digests."""
DEPLOY: Remedy = "deploy.yml"
_START = 'gh workflow run deploy.yml --field reason="put back what Git says"'
_START_STAGING = "gh workflow run deploy-staging.yml, or `fraudops deploy --staging`"
SUBJECTS = ("package", "order", "endpoint", "variant", "scaling", "configuration", "model", "archive")
_SETTLED = "InService"


def checks(subjects: Subjects) -> Iterator[Check]:
    """The checks of what serves, from the registry to the archive."""
    served = _Served(subjects)
    parts: tuple[Callable[[], str], ...] = (
        served.package,
        served.order,
        served.endpoint,
        served.variant,
        served.scaling,
        served.configuration,
        served.model,
        served.archive,
    )
    for subject, check in zip(SUBJECTS, parts, strict=True):
        yield run(subject, check)


class _Served:
    """What serves, each part read once."""

    def __init__(self, subjects: Subjects) -> None:
        self._subjects = subjects
        self._where = subjects.serving_path.as_posix()

    @property
    def _start(self) -> str:
        """The command that starts a deployment."""
        return _START_STAGING if self._subjects.staging else _START

    @property
    def _file(self) -> config.ServingFile:
        return self._subjects.serving

    @cached_property
    def _platform(self) -> platform_stack.Platform:
        name, _ = self._subjects.stacks
        self._subjects.usable(name)
        return platform_stack.read(name)

    @cached_property
    def _record(self) -> config.ApprovalRecord:
        """The record that the pointer names."""
        if self._file.approval is None:
            raise CannotTell(f"{self._where} names no approval; see the line of the endpoint")
        return config.load_approval(self._subjects.root, self._file.approval)

    @cached_property
    def _copy(self) -> registry.Package | None:
        """Staging's copy of the record's package; None if it has none."""
        record = self._record
        return stage_registry.find(self._platform.package_group, record.approval, record.artifact.sha256)

    @property
    def _package_arn(self) -> str | None:
        if self._subjects.staging:
            return self._copy.arn if self._copy is not None else None
        return self._record.model_package_arn

    def package(self) -> str:
        record, group = self._record, self._platform.package_group
        number = f"{record.approval:04d}"
        try:
            production = platform_stack.read() if self._subjects.staging else self._platform
            approval_verification.against_registry(record, production)
            if self._subjects.staging and self._copy is not None:
                stage_package.verify(record, self._copy)
        except (Refused, Absent) as error:
            raise WillFail(str(error)) from error
        if self._package_arn is None:
            raise WillFail(f"{group} has no copy of the package of approval {number}; run {self._start}", remedy=DEPLOY)
        approved = {item.arn: str(item.version) for item in registry.packages(group, status=registry.APPROVED)}
        named = ", ".join(approved.values())
        if list(approved) != [self._package_arn]:
            raise WillFail(
                f"Approved in {group}: {named or 'none'}, and {self._where} names {number}; run {self._start}",
                remedy=DEPLOY,
            )
        return f"version {named} alone is Approved in {group}, as the record of approval {number} says"

    def order(self) -> str:
        found, record, file = deployment_records.read_order(self._platform.bucket), self._record, self._file
        wanted = {
            "approval": record.approval,
            "model_package_arn": self._package_arn,
            "artifact_sha256": record.artifact.sha256,
            "container": record.container.model_dump(),
            "serving_image": file.image,
            "endpoint": file.endpoint,
            "instance": file.instance.model_dump(),
            "autoscaling": file.autoscaling.model_dump() if file.autoscaling else None,
            "capture": file.capture.model_dump(),
            "rollout": deployment_records.rollout(file),
        }
        there = {name: (found or {}).get(name) for name in wanted}
        _compare(deployment_records.DESIRED, wanted, there, remedy=DEPLOY)
        return f"{deployment_records.DESIRED} orders approval {record.approval:04d} with the settings of {self._where}"

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
                raise WillFail(
                    f"endpoint {name} is {found['EndpointStatus']}, and {self._where} names no approval; if this "
                    "checkout is behind main, git pull"
                )
            return f"there is no endpoint {name}, and {self._where} names no approval"
        if found is None:
            raise WillFail(
                f"there is no endpoint {name}, and approval {self._file.approval:04d} should serve; run {self._start}",
                remedy=DEPLOY,
            )
        settled = self._endpoint
        if settled["EndpointStatus"] != _SETTLED:
            reason = settled.get("FailureReason") or "SageMaker gives no reason"
            raise WillFail(f"endpoint {name} is {settled['EndpointStatus']}: {reason}", remedy=DEPLOY)
        wanted = self._last_configuration()
        if settled["EndpointConfigName"] != wanted:
            raise WillFail(
                f"endpoint {name} runs {settled['EndpointConfigName']}, and {wanted} was deployed", remedy=DEPLOY
            )
        return f"{name} is InService on {wanted}"

    def _last_configuration(self) -> str:
        """The configuration of the last deployment of what Git names."""
        every = deployment_records.history(self._platform.bucket)
        own = [item for item in every if (item.endpoint, item.status) == (self._file.endpoint, "succeeded")]
        if not own or own[-1].approval != self._file.approval or own[-1].endpoint_config is None:
            last = f"approval {own[-1].approval:04d}" if own else "nothing"
            raise WillFail(
                f"{self._where} names approval {self._file.approval:04d}, and {last} was deployed last; run "
                f"{self._start}",
                remedy=DEPLOY,
            )
        return own[-1].endpoint_config

    @cached_property
    def _by_name(self) -> Remedy:
        """What puts back the content of configuration and model: deploy.yml, if the endpoint runs another one."""
        if self._file.approval is None:
            return "person"
        try:
            last = self._last_configuration()
        except WillFail:
            return DEPLOY
        return DEPLOY if self._endpoint["EndpointConfigName"] != last else "person"

    def variant(self) -> str:
        variants = self._endpoint.get("ProductionVariants", [])
        shown = [
            (item["VariantName"], item.get("CurrentWeight"), item.get("DesiredInstanceCount")) for item in variants
        ]
        if [name for name, _, _ in shown] != [VARIANT]:
            names = [name for name, _, _ in shown]
            raise WillFail(f"the endpoint has the variants {names}, and not {VARIANT} alone", remedy=self._by_name)
        count, scaling = variants[0].get("DesiredInstanceCount", variants[0].get("CurrentInstanceCount")), self._scaling
        wanted = {"weight": variant_capacity.WEIGHT}
        there = {"weight": variants[0].get("CurrentWeight")}
        if scaling is None:
            wanted |= {"DesiredInstanceCount": self._file.instance.count}
            there |= {"DesiredInstanceCount": count}
        _compare(f"variant {VARIANT}", wanted, there, remedy=DEPLOY)
        if scaling is None:
            return f"{VARIANT} alone, with {count} instances"
        if not scaling.min <= count <= scaling.max:
            raise WillFail(
                f"variant {VARIANT} has {count} instances, and Git says {scaling.min} to {scaling.max}",
                remedy=DEPLOY if self._by_name == DEPLOY else "autoscaling",
            )
        return f"{VARIANT} alone, with {count} instances of {scaling.min} to {scaling.max}"

    @property
    def _scaling(self) -> config.Autoscaling | None:
        return self._file.autoscaling

    def scaling(self) -> str:
        name, wanted = self._file.endpoint, self._scaling
        self._endpoint  # noqa: B018 - while the endpoint is being changed there is no answer
        found = autoscaling.read(name)
        if wanted is None:
            if found is not None:
                raise WillFail(
                    f"endpoint {name} scales from {found.least} to {found.most} instances, and Git says no "
                    f"autoscaling; run {self._start}",
                    remedy=DEPLOY,
                )
            return f"endpoint {name} does not scale, and {self._where} has no autoscaling"
        if found is None:
            raise WillFail(
                f"endpoint {name} does not scale, and Git says {wanted.min} to {wanted.max} instances; run "
                f"{self._start}",
                remedy=DEPLOY,
            )
        _compare(
            f"the scaling of {name}",
            {"min": wanted.min, "max": wanted.max, "policies": {autoscaling.POLICY: wanted.invocations_per_instance}},
            {"min": found.least, "max": found.most, "policies": found.policies},
            remedy=DEPLOY,
        )
        return (
            f"{name} scales from {found.least} to {found.most} instances at {wanted.invocations_per_instance} "
            "invocations a minute each"
        )

    @cached_property
    def _configuration(self) -> Mapping[str, Any]:
        name = self._endpoint["EndpointConfigName"]
        found = hosting_descriptions.configuration(name)
        if found is None:
            raise WillFail(
                f"endpoint configuration {name} was deleted; the endpoint cannot replace an instance", remedy=DEPLOY
            )
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
        _compare(f"endpoint configuration {found['EndpointConfigName']}", wanted, there, remedy=self._by_name)
        return f"{found['EndpointConfigName']} has instances and capture of {self._where}"

    @cached_property
    def _container(self) -> Mapping[str, Any]:
        variants = self._configuration.get("ProductionVariants") or [{}]
        name = variants[0].get("ModelName", "")
        found = hosting_descriptions.model(name) if name else None
        if found is None:
            raise WillFail(
                f"model {name or 'of the configuration'} was deleted; the endpoint cannot replace an instance",
                remedy=DEPLOY,
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
        _compare(f"model {found['ModelName']}", wanted, there, remedy=self._by_name)
        return f"{found['ModelName']} has image, environment and archive of approval {record.approval:04d}"

    def archive(self) -> str:
        sha256, uri = self._record.artifact.sha256, self._pinned()
        try:
            found = registry.digest(uri)
        except Absent as error:
            raise WillFail(f"{uri} was deleted; the endpoint cannot replace an instance", remedy=DEPLOY) from error
        if found != sha256:
            raise WillFail(
                f"{uri} has sha256 {found}: a new instance would serve another model than the approved one",
                remedy=DEPLOY,
            )
        return f"{uri} has the approved digest"

    def _pinned(self) -> str:
        return f"s3://{self._platform.bucket}/{PINNED}/{self._record.artifact.sha256}/model.tar.gz"


def _compare(what: str, wanted: Mapping[str, Any], found: Mapping[str, Any], *, remedy: Remedy) -> None:
    """Raises WillFail with each setting that differs."""
    wrong = [
        f"{name} {found[name]}, and Git says {value}" if found[name] is not None else f"no {name}, and Git says {value}"
        for name, value in wanted.items()
        if found[name] != value
    ]
    if wrong:
        raise WillFail(f"{what} has {'; '.join(wrong)}", remedy=remedy)
