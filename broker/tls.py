"""TLS towards a broker, by what the plant file says of it."""

from __future__ import annotations

import ssl
from pathlib import Path

from contracts.errors import ConfigError
from contracts.plant.sections import Door

_OF_CERTIFICATE = {
    9: "the broker's certificate is not valid yet: is the clock of this machine right?",
    10: "the broker's certificate has expired",
    62: "the broker's certificate is for another host",
    64: "the broker's certificate is for another address",
}
_UNTRUSTED = "the broker's certificate is signed by nobody whom {path}.ca_file names"
_ENDED = "the broker ended TLS: does it ask for a certificate, or refuse ours?"
_ALERTS = {
    "CERTIFICATE_EXPIRED": "our certificate has expired, says the broker",
    "CERTIFICATE_REQUIRED": "the broker asks for a certificate: expected {path}.certificate_file",
    "BAD_CERTIFICATE": "the broker refuses our certificate",
    "CERTIFICATE_UNKNOWN": "the broker refuses our certificate",
    "UNKNOWN_CA": "our certificate is signed by nobody whom the broker knows",
    "WRONG_VERSION_NUMBER": "the broker speaks no TLS at this port",
}


def tls_context(door: Door, path: str) -> ssl.SSLContext | None:
    """None where no TLS is asked for. `path` is where the plant file says so (`kafka`). Raises
    ConfigError that names the field, the file and what is wrong with it."""
    if not door.secured:
        return None
    try:
        context = ssl.create_default_context(cafile=door.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{path}.ca_file {door.ca_file}: {_unread(error)}") from None
    if door.certificate_file is not None and door.key_file is not None:
        fields = f"{path}.certificate_file", f"{path}.key_file"
        show(context, Path(door.certificate_file), Path(door.key_file), fields)
    return context


def show(context: ssl.SSLContext, certificate: Path, key: Path, fields: tuple[str, str]) -> None:
    """Lets `context` show this certificate. `fields` are where the two files are named. Raises
    ConfigError as above."""
    # Opened before, since OpenSSL does not say which of the two it could not.
    for field, file in zip(fields, (certificate, key), strict=True):
        _opened(field, file)
    try:
        # Without a password OpenSSL would ask for one at the terminal.
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ssl.SSLError, ValueError) as error:
        where = f"{fields[0]} {certificate} with {key}"
        raise ConfigError(f"{where}: {_unread(error)}") from None


def _no_password() -> str:
    raise ValueError("the key is locked by a password: expected one without")


def _opened(field: str, file: Path) -> None:
    try:
        with file.open("rb"):
            return
    except OSError as error:
        raise ConfigError(f"{field} {file}: {error.strerror}") from None


def _unread(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        known = {
            "KEY_VALUES_MISMATCH": "the key is not that of the certificate",
            "NO_CERTIFICATE_OR_CRL_FOUND": "there is no certificate in it",
        }
        return known.get(error.reason or "", "expected certificates and a key as PEM")
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)


def tls_fault(error: ssl.SSLError, path: str) -> str:
    """Why a broker and we do not come together, for a person. `path` as above."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _OF_CERTIFICATE.get(error.verify_code, _UNTRUSTED).format(path=path)
    found = [text for word, text in _ALERTS.items() if word in (error.reason or "")]
    if found:
        return found[0].format(path=path)
    # Why, the broker may have said, and the end of the connection has overtaken it.
    return f"TLS: {error.reason}" if error.reason else _ENDED
