"""A certificate authority of the tests, and what it signs, as files in PEM."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

import trustme

from broker.loopback import HOST

_EXPIRED = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, and both in one file."""

    certificate: Path
    key: Path
    both: Path


class Authority:
    """Its files lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._ca = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(self.ca_file)

    def issue(self, name: str, *hosts: str, expired: bool = False) -> Pair:
        """For whom `name` says (CN), at `hosts` (127.0.0.1)."""
        until = _EXPIRED if expired else None
        begin = _EXPIRED - datetime.timedelta(days=30) if expired else None
        made = self._ca.issue_cert(
            *(hosts or (HOST, "localhost")), common_name=name, not_before=begin, not_after=until
        )
        stem = f"{name}-expired" if expired else name
        pair = Pair(*(self._folder / f"{stem}{kind}.pem" for kind in (".crt", ".key", "")))
        certificate = b"".join(one.bytes() for one in made.cert_chain_pems)
        pair.certificate.write_bytes(certificate)
        pair.key.write_bytes(made.private_key_pem.bytes())
        # Kafka wants a key as PKCS#8, and before the certificate.
        pair.both.write_bytes(_pkcs8(made.private_key_pem.bytes()) + certificate)
        return pair


def _pkcs8(key: bytes) -> bytes:
    from cryptography.hazmat.primitives import serialization

    loaded = serialization.load_pem_private_key(key, None)
    return loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
