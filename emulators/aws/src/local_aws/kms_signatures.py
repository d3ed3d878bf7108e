"""KMS: Sign and Verify with the keys that moto keeps. Encrypts nothing.

moto signs the request's base64 text, takes a digest for a message, answers an invalid signature with False and uses
disabled keys. Sources: KMS API Reference, Sign and Verify; KMS Developer Guide, "Key states of AWS KMS keys".
"""

from __future__ import annotations

from typing import Any

from local_aws.errors import AwsError, NotHandled

_HASHES = {"ECDSA_SHA_256": "SHA256", "ECDSA_SHA_384": "SHA384", "ECDSA_SHA_512": "SHA512"}


class Signatures:
    """Signs and verifies with the elliptic curve keys of an account and region; moto answers for others."""

    def __init__(self, *, account: str, region: str) -> None:
        self._account, self._region = account, region

    def sign(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Sign: a DER-encoded ECDSA signature of the message, or of its digest."""
        key, algorithm = self._key(parameters)
        _end_dry_run(parameters)
        signature = key.private_key.private_key.sign(parameters["Message"], algorithm)
        return {"KeyId": key.arn, "Signature": signature, "SigningAlgorithm": parameters["SigningAlgorithm"]}

    def verify(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Verify: an error unless the key made the signature."""
        from cryptography.exceptions import InvalidSignature

        key, algorithm = self._key(parameters)
        _end_dry_run(parameters)
        public = key.private_key.private_key.public_key()
        try:
            public.verify(parameters["Signature"], parameters["Message"], algorithm)
        except InvalidSignature:
            raise AwsError("KMSInvalidSignatureException", "") from None
        return {"KeyId": key.arn, "SignatureValid": True, "SigningAlgorithm": parameters["SigningAlgorithm"]}

    def _key(self, parameters: dict[str, Any]) -> tuple[Any, Any]:
        """The key and the algorithm of a call, if the key can be used with it.

        Raises:
            NotHandled: its use or specification is another one; moto has the errors.
            AwsError: there is no such key, it is disabled or pending deletion, or the digest has another length.
        """
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, utils
        from moto.kms.models import kms_backends

        backend = kms_backends[self._account][self._region]
        name, algorithm = parameters["KeyId"], parameters["SigningAlgorithm"]
        alias = f"alias/{name.partition('alias/')[2]}" if "alias/" in name else ""
        key = backend.keys.get(backend.get_key_id_from_alias(alias) if alias else backend.get_key_id(name))
        if key is None:
            where = f"arn:aws:kms:{self._region}:{self._account}"
            absent = f"Alias {where}:{alias} is not found." if alias else f"Key '{name}' does not exist"
            raise AwsError("NotFoundException", absent)
        if algorithm not in _HASHES or algorithm not in (key.signing_algorithms or []):
            raise NotHandled
        if key.deletion_date is not None:
            raise AwsError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
        if not key.enabled:
            raise AwsError("DisabledException", f"{key.arn} is disabled.")
        hashed = getattr(hashes, _HASHES[algorithm])()
        if parameters.get("MessageType") != "DIGEST":
            return key, ec.ECDSA(hashed)
        if len(parameters["Message"]) != hashed.digest_size:
            raise AwsError("ValidationException", f"Digest is invalid length for algorithm {algorithm}.")
        return key, ec.ECDSA(utils.Prehashed(hashed))


def _end_dry_run(parameters: dict[str, Any]) -> None:
    """A call that may be made and could succeed ends with this error if it only asks."""
    if parameters.get("DryRun"):
        raise AwsError(
            "DryRunOperationException", "The request would have succeeded, but the DryRun option is set.", 412
        )
