"""Checks the caller, the region, the image and the quotas of the account. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ml import config
from ml.aws import container_images, lambda_concurrency, platform_stack, service_quotas, session
from ml.aws.cloudformation import deployed_stack
from ml.aws.pipeline import image
from ml.aws.service_quotas import Quota
from ml.diagnosis.check import CannotTell, Check, WillFail, run
from ml.diagnosis.subjects import Subjects
from ml.errors import CloudError


def checks(subjects: Subjects) -> Iterator[Check]:
    """The checks of the account, in order."""
    yield run("identity", lambda: _identity(subjects))
    yield run("region", lambda: _region(subjects))
    yield run("image", lambda: _image(subjects))
    files = {config.MODEL: subjects.training.compute.engine, config.DRIFT: subjects.drift.compute.engine}
    if on_spark := [str(file) for file, engine in files.items() if engine == "spark"]:
        yield run("Spark image", lambda: _spark_image(subjects, " and ".join(on_spark)))
    if subjects.serving.image is not None:
        yield run("serving image", lambda: _serving_image(subjects, str(subjects.serving.image)))
    yield from _quotas(subjects)
    yield run("Lambda concurrency", lambda: _concurrency(subjects))


def _identity(subjects: Subjects) -> str:
    try:
        arn = subjects.caller
    except session.NotSignedIn as error:
        raise WillFail(str(error)) from error
    if platform_stack.is_root(arn):
        raise WillFail(
            f"{arn} is the account's root user, which no policy can restrict, and every verb that changes AWS refuses "
            "it; sign in with a role that may create IAM roles"
        )
    return f"{arn}, account {arn.split(':')[4]}"


def _region(subjects: Subjects) -> str:
    """Session, stack and variable name one region. The session's stack is in the session's region by definition."""
    from botocore.exceptions import NoRegionError

    try:
        region = subjects.region
    except CloudError as error:
        if isinstance(error.__cause__, NoRegionError):
            raise WillFail("no AWS region is set; set AWS_REGION to the region of the stack") from error
        raise
    named = (subjects.readable_variables() or {}).get("FRAUDOPS_REGION")
    if named is not None and named != region:
        raise WillFail(
            f"this session uses {region}, and the variable FRAUDOPS_REGION of {subjects.repository} is {named}: "
            f"workflows look for the stack there; set AWS_REGION={named}, or run "
            f"`fraudops bootstrap --configure` in {region}"
        )
    if region not in image.sagemaker_regions():
        raise WillFail(f"AWS lists no SageMaker in {region}; use another region")
    return f"{region}, in this session" + (" and in FRAUDOPS_REGION" if named else "")


def _image(subjects: Subjects) -> str:
    try:
        return subjects.image
    except image.NoImage as error:
        raise WillFail(str(error)) from error


def _spark_image(subjects: Subjects, files: str) -> str:
    try:
        return image.spark_image_uri(subjects.region)
    except image.NoImage as error:
        raise WillFail(f"{error}; or set compute.engine: single in {files}") from error


def _serving_image(subjects: Subjects, uri: str) -> str:
    subjects.require_account()
    found = container_images.parse(uri)
    if found.region != subjects.region:
        raise WillFail(
            f"{config.SERVING}: image is in {found.region}, and SageMaker takes an image of its own region only, here "
            f"{subjects.region}; push it there, see docs/serving.md"
        )
    if not container_images.exists(found):
        raise WillFail(
            f"{config.SERVING}: there is no image {uri}; run the workflow serving-image, and take the image that its "
            "summary names"
        )
    return uri


def _quotas(subjects: Subjects) -> Iterator[Check]:
    """One check for each use of instances: the account must be allowed to run them at once."""
    scaling, compute = subjects.serving.autoscaling, subjects.training.compute
    count = subjects.serving.instance.count if scaling is None else scaling.max
    jobs, cluster = compute.instance_type, compute.engine == "spark"
    train = {} if cluster else {"training jobs": (f"{jobs} for training job usage", 1, "the step Train runs on one")}
    needed = train | {
        "processing jobs": (
            f"{jobs} for processing job usage",
            compute.instances,
            f"the steps Prepare and Train run on {compute.instances}, in turn"
            if cluster
            else "the steps Prepare and Evaluate run on one, in turn",
        ),
        # "Blue/green deployments": the new fleet is complete before the old one is removed, and both count.
        "endpoint": (
            f"{subjects.serving.instance.type} for endpoint usage",
            2 * count,
            f"the endpoint runs {'' if scaling is None else 'up to '}{count}, and {2 * count} during a deployment",
        ),
    }
    if (counting := subjects.drift.compute.job()) is not None:
        needed["drift checks"] = (
            f"{counting.instance_type} for processing job usage",
            counting.instances,
            f"a drift check runs on {counting.instances}",
        )
    quotas: dict[str, Quota] | None = None

    def check(name: str, instances: int, why: str, file: str) -> str:
        nonlocal quotas
        subjects.require_account()
        if quotas is None:
            quotas = service_quotas.instance_quotas(name for name, *_ in needed.values())
        found = quotas.get(name)
        if found is None:
            raise CannotTell(
                f'Service Quotas lists no quota "{name}" in {subjects.region}: check the instance type in {file}'
            )
        if found.instances < instances:
            raise WillFail(
                f'the quota "{name}" is {found.instances}, and {instances} are needed ({why}); request them: '
                f"aws service-quotas request-service-quota-increase --service-code sagemaker --quota-code "
                f"{found.code or 'CODE'} --desired-value {instances}"
            )
        return f'"{name}" is {found.instances}, needed {instances}'

    for use, (name, instances, why) in needed.items():
        file = {"endpoint": config.SERVING, "drift checks": config.DRIFT}.get(use, config.MODEL)
        yield run(f"quota for {use}", partial(check, name, instances, why, str(file)))


def _concurrency(subjects: Subjects) -> str:
    subjects.require_account()
    found = lambda_concurrency.concurrency()
    if found is None:
        raise CannotTell("the caller may not call lambda:GetAccountSettings")
    name = platform_stack.stack_name()
    description = subjects.description(name)
    usable = description is not None and platform_stack.is_usable(description["StackStatus"])
    reserved = int(deployed_stack.parameters(description or {}).get("ReservedConcurrency", 0)) if usable else 0
    state = f"the quota is {found.quota}, {found.unreserved} unreserved, {reserved} reserved for the deploy function"
    if reserved and found.unreserved < found.kept:
        raise WillFail(
            f"{state}, and Lambda keeps {found.kept} unreserved: the next change of the function is refused; run "
            "`fraudops bootstrap --reserve-concurrency 0`"
        )
    return state
