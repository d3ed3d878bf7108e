"""The key pair for which API clients encrypt secrets: libsodium's sealed boxes, as on GitHub. Stores no secret.

https://docs.github.com/rest/guides/encrypting-secrets-for-the-rest-api
"""

from __future__ import annotations

import base64
from functools import cached_property

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox


class SecretBox:
    """One key pair for all repositories of an emulator, created at its first use."""

    key_id = "568250167242549743"

    @cached_property
    def _key(self) -> PrivateKey:
        return PrivateKey.generate()

    @property
    def public_key(self) -> str:
        """The public key in base64."""
        return base64.b64encode(bytes(self._key.public_key)).decode()

    def open(self, sealed: bytes) -> bytes:
        """The decrypted value; ValueError if it was not encrypted for this key."""
        try:
            return SealedBox(self._key).decrypt(sealed)
        except CryptoError as error:
            raise ValueError("the value was not encrypted for this key") from error
