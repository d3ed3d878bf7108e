"""Decides every call: the requirements of the operation against the policies of its caller and of the resource.

Answers with AWS's errors, and logs every decision. Executes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from local_aws.authorization import requirements, resource_policies, resource_tags
from local_aws.authorization.calls import Call
from local_aws.authorization.decision_log import DecisionLog
from local_aws.authorization.principals import Principal, Principals
from local_aws.authorization.requirements import encryption
from local_aws.authorization.requirements.base import Context, Requirement
from local_aws.clock import Clock, timestamp
from local_aws.errors import AwsError
from local_aws.iam.evaluation import AccessRequest, Policies, evaluate
from local_aws.iam.evaluation_outcome import Decision, Reason
from local_aws.iam.principals import ANONYMOUS

_MISSING_KEY_OPERATIONS = ("GetObject", "GetObjectTagging", "HeadObject", "CopyObject")


class Authorizer:
    """Authorizes the calls of one emulator."""

    def __init__(self, *, account: str, region: str, principals: Principals, log: DecisionLog, clock: Clock) -> None:
        self._account, self._region, self.principals = account, region, principals
        self._log, self._clock = log, clock

    def authorize(self, principal: Principal, call: Call) -> None:
        """Returns if the caller may make the call.

        Raises:
            AwsError: it may not, a passed role cannot be assumed by its service, or no table knows the operation.
        """
        required = requirements.find(call)
        if required is None:
            if principal.administrator:
                return
            self._log.write(principal, call.name, _undecided(principal, call))
            raise AwsError(
                "AccessDeniedException",
                f"User: {principal.arn} is not authorized to perform: {call.name}. The AWS emulator has no table entry "
                "with the IAM actions of this operation and allows it to the administrator only; add it to "
                "local_aws.authorization.requirements",
                403,
            )
        for requirement in required:
            decision = self.decide(principal, requirement, operation=call.name)
            if not decision.allowed:
                raise denied(call, decision)
        for requirement in required:
            if requirement.passed_to:
                self._check_trust(call, requirement)
        self._authorize_keys(principal, call)
        if call.service == "s3" and call.operation in _MISSING_KEY_OPERATIONS:
            self._hide_missing_key(principal, call)

    def _authorize_keys(self, principal: Principal, call: Call) -> None:
        """Returns if the KMS keys that the call's service uses for it may be used.

        For the failure of a log group's key AWS documents an error where it is set; for the others it is IAM's.
        """
        for requirement in encryption.find(call):
            decision = self.decide(principal, requirement, operation=call.name)
            if not decision.allowed:
                raise denied(call, decision, _KEY_DENIALS)
        for requirement in encryption.of_log_group(call):
            service = encryption.LOGS_PRINCIPAL.format(region=call.region)
            decision = self.decide_for_service(service, requirement, operation=call.name)
            if not decision.allowed:
                if call.operation not in ("AssociateKmsKey", "CreateLogGroup"):
                    raise denied(call, decision)
                arn = dict(requirement.context)["kms:EncryptionContext:aws:logs:arn"]
                text = "The specified KMS key does not exist or is not allowed to be used with LogGroup"
                raise AwsError("InvalidParameterException", f"{text} '{arn}'")

    def decide(self, principal: Principal, requirement: Requirement, *, operation: str) -> Decision:
        """The decision on one requirement, logged."""
        request = AccessRequest(
            principal=principal.arn,
            action=requirement.action,
            resource=requirement.resource,
            context=self._context(principal, requirement),
            resource_account=self._account,
        )
        decision = evaluate(request, self._policies(principal, requirement))
        self._log.write(principal, operation, decision)
        return decision

    def decide_for_service(
        self, service: str, requirement: Requirement, *, operation: str, source_arn: str = ""
    ) -> Decision:
        """The decision on a call of a service in its own name, such as EventBridge's invocation of a function.

        Args:
            source_arn: the resource that the service acts for; '' if it sends neither this nor the account.
        """
        source = {"aws:SourceOwner": self._account, "aws:SourceArn": source_arn} if source_arn else {}
        principal = self._service(service, source, has_source=bool(source_arn))
        return self.decide(principal, requirement, operation=operation)

    def may_assume(self, service: str, role: Any, *, operation: str, log: bool = True) -> bool:
        """Whether the trust policy of `role`, moto's record, allows a service of AWS to assume it.

        Args:
            log: False writes a denial alone, for a check of a session that the service has already.
        """
        principal = self._service(service)
        request = AccessRequest(
            principal=service, action="sts:AssumeRole", resource=role.arn, context=principal.context
        )
        decision = evaluate(request, Policies(resource=self.principals.trust_policy(role)))
        if log or not decision.allowed:
            self._log.write(principal, operation, decision)
        return decision.allowed

    def _service(self, service: str, context: Context | None = None, *, has_source: bool = True) -> Principal:
        """A service that calls in its own name, for this account if `has_source`."""
        return Principal(
            arn=service,
            entity=service,
            policies=Policies(),
            context={
                "aws:PrincipalIsAWSService": "true",
                "aws:PrincipalServiceName": service,
                **({"aws:SourceAccount": self._account} if has_source else {}),
                **(context or {}),
            },
        )

    def _policies(self, principal: Principal, requirement: Requirement) -> Policies:
        own = principal.policies
        if requirement.action == "sts:AssumeRole":
            role = self.principals.role(requirement.resource)
            resource = None if role is None else self.principals.trust_policy(role)
        else:
            resource = resource_policies.find(self._account, requirement.resource)
        return Policies(identity=own.identity, boundary=own.boundary, session=own.session, resource=resource)

    def _context(self, principal: Principal, requirement: Requirement) -> Context:
        now = self._clock.now().astimezone(UTC)
        context: dict[str, str | Sequence[str]] = {
            "aws:CurrentTime": timestamp(now),
            "aws:EpochTime": str(int(now.timestamp())),
            "aws:RequestedRegion": self._region,
            "aws:ResourceAccount": self._account,
            # The emulator stands for AWS's TLS endpoint, though it is HTTP on loopback.
            "aws:SecureTransport": "true",
            "aws:SourceIp": "127.0.0.1",
            "aws:ViaAWSService": "false",
        }
        context.update(principal.context)
        context.update(requirement.context)
        if resource_tags.mentioned(principal.policies):
            context.update(resource_tags.find(self._account, requirement.resource))
        return context

    def _check_trust(self, call: Call, requirement: Requirement) -> None:
        """The services that assume a role in the call that hands it over refuse one that does not trust them."""
        refusal = _TRUST_REFUSALS.get((call.service, call.operation))
        if refusal is None:
            return
        role = self.principals.role(requirement.resource)
        if role is None or not self.may_assume(requirement.passed_to, role, operation=call.name):
            code, message = refusal
            raise AwsError(code, message.format(role=requirement.resource))

    def _hide_missing_key(self, principal: Principal, call: Call) -> None:
        """S3 answers 403 for a missing key to a caller who may not list the bucket (S3 API Reference, GetObject).

        s3:prefix is the key, so that a statement that allows to list under a prefix tells absent keys there from
        forbidden ones: ceph/ceph#68577, which compared with AWS.
        """
        bucket, key = call.text("Bucket"), call.text("Key")
        if call.operation == "CopyObject":
            resource = next(r.resource for r in requirements.find(call) or () if r.action.startswith("s3:GetObject"))
            bucket, _, key = resource.removeprefix("arn:aws:s3:::").partition("/")
        if not _is_missing(self._account, bucket, key, call.text("VersionId")):
            return
        listing = Requirement("s3:ListBucket", f"arn:aws:s3:::{bucket}", {"s3:prefix": key})
        decision = self.decide(principal, listing, operation=f"{call.name} of a missing key")
        if not decision.allowed:
            raise denied(call, decision)


def denied(call: Call, decision: Decision, codes: Mapping[str, tuple[str, int]] | None = None) -> AwsError:
    """The error that the call's service answers for a denial: its code and status, and IAM's message.

    Args:
        codes: code and status by service, where a service has others for this denial.
    """
    message = decision.message()
    if decision.principal == ANONYMOUS:
        message = "Access Denied" if call.service == "s3" else "Missing Authentication Token"
    code, status = {**_DENIALS, **(codes or {})}.get(call.service, ("AccessDeniedException", 400))
    return AwsError(code, message, status)


def _undecided(principal: Principal, call: Call) -> Decision:
    """What the log shows for an operation that no table knows: nothing allows it."""
    return Decision(
        principal=principal.arn,
        action=call.name,
        resource="*",
        same_account=True,
        reason=Reason.IMPLICIT_DENY,
        policy_type=None,
        statements=(),
    )


_DENIALS: Mapping[str, tuple[str, int]] = {
    "cloudformation": ("AccessDenied", 403),
    "cloudwatch": ("AccessDenied", 403),
    "iam": ("AccessDenied", 403),
    "lambda": ("AccessDeniedException", 403),
    "s3": ("AccessDenied", 403),
    "sns": ("AuthorizationError", 403),
    "sqs": ("AccessDenied", 403),
    "sts": ("AccessDenied", 403),
}

_KEY_DENIALS: Mapping[str, tuple[str, int]] = {
    "sns": ("KMSAccessDenied", 400),
    "sqs": ("KMS.AccessDeniedException", 400),
}
"""For a denied use of a KMS key: API references of SNS (KMSAccessDeniedException) and SQS (KmsAccessDenied)."""

_NOT_ASSUMABLE = (
    "ValidationException",
    "Could not assume role {role}. Please ensure that the role exists and allows principal 'sagemaker.amazonaws.com' "
    "to assume the role.",
)
_NOT_ASSUMABLE_BY_LAMBDA = (
    "InvalidParameterValueException",
    "The role defined for the function cannot be assumed by Lambda.",
)
_NOT_ASSUMABLE_BY_CLOUDFORMATION = ("ValidationError", "Role {role} is invalid or cannot be assumed")
_TRUST_REFUSALS: Mapping[tuple[str, str], tuple[str, str]] = {
    **{
        ("sagemaker", operation): _NOT_ASSUMABLE
        for operation in ("CreateModel", "CreateProcessingJob", "CreateTrainingJob")
    },
    **{
        ("lambda", operation): _NOT_ASSUMABLE_BY_LAMBDA
        for operation in ("CreateFunction", "UpdateFunctionConfiguration")
    },
    **{
        ("cloudformation", operation): _NOT_ASSUMABLE_BY_CLOUDFORMATION
        for operation in ("CreateChangeSet", "CreateStack", "DeleteStack", "UpdateStack")
    },
}


def _is_missing(account: str, bucket_name: str, key: str, version: str) -> bool:
    from moto.s3.models import FakeKey, s3_backends

    bucket = s3_backends[account]["aws"].buckets.get(bucket_name)
    if bucket is None:
        return False  # NoSuchBucket is answered to everyone
    if version:
        return not any(str(each.version_id) == version for each in bucket.keys.getlist(key, default=[]))
    return not (key in bucket.keys and isinstance(bucket.keys[key], FakeKey))
