"""Brings the endpoint's automatic scaling to what the serving file says, before and after its update, and its capacity.

AWS refuses an update that changes the instance type of a variant that scales: SageMaker Developer Guide, "Update
endpoints that use auto scaling". So it is deregistered then, and registered again when the endpoint has settled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import tenacity

from ml import config
from ml.aws import autoscaling, endpoint, hosting_descriptions, variant_capacity
from ml.aws.autoscaling import Scaling
from ml.aws.variant_capacity import Capacity
from ml.console import note
from ml.errors import CloudError, DeploymentFailed

_LOOKS, _SECONDS_BETWEEN_LOOKS = 3, 10


@contextmanager
def adjusted(serving: config.ServingFile, *, warn: Callable[[str], None]) -> Iterator[None]:
    """Around an update of the endpoint: deregisters its variant before, if Git says so or the update needs it.

    Afterwards it sets the number of instances, unless AWS chooses it, and registers what Git says. If the update fails,
    in whatever way, it registers again what was deregistered; where that is refused too, `warn` is told, and the
    update's own error is raised.

    Raises:
        CloudError: the scaling cannot be read or deregistered; nothing was changed.
        DeploymentFailed: the endpoint was updated, and its instances could not be set or its scaling not registered.
    """
    removed = _prepare(serving)
    try:
        yield
    except BaseException:
        _restore(serving, removed, warn)
        raise
    not_set: CloudError | DeploymentFailed | None = None
    try:
        _restore_capacity(serving)
    except (CloudError, DeploymentFailed) as error:
        not_set = error  # the scaling that was removed comes first
    try:
        _apply(serving)
    except CloudError as error:
        raise DeploymentFailed(
            f"the endpoint was updated, and its automatic scaling was not registered: {error}"
        ) from error
    if not_set is not None:
        raise DeploymentFailed(
            f"the endpoint was updated, and its number of instances and weight were not read or not set: {not_set}"
        ) from not_set


def _prepare(serving: config.ServingFile) -> Scaling | None:
    """Deregisters the variant where needed; returns what was registered and is no more, None for nothing."""
    name, found = serving.endpoint, autoscaling.read(serving.endpoint)
    if found is None:
        return None
    if serving.autoscaling is not None and _instance_type(name) in (None, serving.instance.type):
        return None
    autoscaling.remove(name)
    why = "is registered again afterwards" if serving.autoscaling is not None else "is not wanted any more"
    note(f"Automatic scaling of {name} was removed, and {why}")
    return found


def _restore(serving: config.ServingFile, removed: Scaling | None, warn: Callable[[str], None]) -> None:
    """Registers what `_prepare` removed, with the one policy of this project; nothing if Git wants none."""
    if removed is None or serving.autoscaling is None:
        return
    name, own = serving.endpoint, removed.policies.get(autoscaling.POLICY)
    invocations = own or serving.autoscaling.invocations_per_instance
    try:
        autoscaling.put(name, least=removed.least, most=removed.most, invocations=invocations)
    except CloudError as error:
        warn(f"{name} has no automatic scaling now: {error}. The next successful `fraudops deploy` registers it")
        return
    lost = sorted(removed.policies.keys() - {autoscaling.POLICY})
    note(
        f"Automatic scaling of {name} was registered again: {removed.least} to {removed.most} instances at "
        f"{invocations:g} invocations a minute each" + (f"; without the policies {', '.join(lost)}" if lost else "")
    )


def _apply(serving: config.ServingFile) -> None:
    """Registers what the serving file says, if it says something."""
    wanted = serving.autoscaling
    if wanted is None:
        return
    autoscaling.put(serving.endpoint, least=wanted.min, most=wanted.max, invocations=wanted.invocations_per_instance)
    note(
        f"{serving.endpoint} scales from {wanted.min} to {wanted.max} instances at "
        f"{wanted.invocations_per_instance} invocations a minute each"
    )


def _restore_capacity(serving: config.ServingFile) -> None:
    """Sets weight and number of instances where somebody has changed them on the endpoint's own configuration.

    With automatic scaling the number is left alone.
    """
    name, found = serving.endpoint, variant_capacity.read(serving.endpoint)
    count = None if serving.autoscaling is not None else serving.instance.count
    if found is None or _is_wanted(found, count):
        return
    variant_capacity.put(name, instances=count)
    if not _takes(serving, count):
        raise DeploymentFailed(
            f"{name} did not take {count or found.instances} instances of weight {variant_capacity.WEIGHT:g}: see "
            "FailureReason of the endpoint"
        )
    note(f"{name} was changed by hand to {found.instances} instances of weight {found.weight:g}; both are Git's again")


def _takes(serving: config.ServingFile, count: int | None) -> bool:
    """Whether the endpoint settles with the wanted weight and number of instances.

    SageMaker goes back to the former ones if it cannot have them, and is InService then too; and right after the call
    it may still be described as it was. So it is looked at a few times.
    """

    def look() -> bool:
        state = endpoint.settled(serving.endpoint, timeout_seconds=serving.rollout.timeout_minutes * 60)
        found = variant_capacity.read(serving.endpoint)
        settled = state is not None and not state.moving and state.status == "InService"
        return settled and found is not None and _is_wanted(found, count)

    tries = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(_LOOKS),
        wait=tenacity.wait_fixed(_SECONDS_BETWEEN_LOOKS),
        retry=tenacity.retry_if_result(lambda taken: not taken),
        retry_error_callback=lambda _: False,
    )
    return bool(tries(look))


def _is_wanted(found: Capacity, count: int | None) -> bool:
    return found.weight == variant_capacity.WEIGHT and count in (None, found.instances)


def _instance_type(name: str) -> str | None:
    """The instance type that serves; None without an endpoint."""
    described = hosting_descriptions.endpoint(name)
    found = hosting_descriptions.configuration(described["EndpointConfigName"]) if described else None
    variants = found.get("ProductionVariants") if found else None
    return str(variants[0].get("InstanceType")) if variants else None
