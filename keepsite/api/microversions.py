"""Microversions: the ``OpenStack-API-Version: key-manager X.Y`` header.

Source: OpenStack API-SIG microversion specification; Barbican API v1.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from keepsite.errors import InvalidInput, NotAcceptable

SERVICE = "key-manager"
HEADER = "OpenStack-API-Version"
_DIGITS = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")


class Microversion(NamedTuple):
    """A version of the contract; compares as numbers do."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


MINIMUM = Microversion(1, 0)
CONSUMERS_SHOWN = Microversion(1, 1)  # secret objects list their consumers
CONSUMERS_GUARD = Microversion(1, 2)  # a secret with consumers is deleted only by force
MAXIMUM = CONSUMERS_GUARD


class UnsupportedVersion(NotAcceptable):
    """Well formed, but not one that this release speaks."""

    def __init__(self, version: Microversion) -> None:
        super().__init__(
            f"Version {version} is not supported by the API. Minimum is {MINIMUM} and maximum is {MAXIMUM}."
        )


def negotiate(header: str | None) -> Microversion:
    """The version that a request asks for; the minimum when it names none.

    Several services may share the header; the last entry for ours decides.

    Raises:
        InvalidInput: the version is not two numbers with a dot, nor ``latest``.
        UnsupportedVersion: it is outside of MINIMUM to MAXIMUM.
    """
    wanted = _last_entry((header or "").split(","))
    if not wanted:
        return MINIMUM
    if wanted == "latest":
        return MAXIMUM
    match = _DIGITS.fullmatch(wanted)
    if match is None:
        raise InvalidInput(f"The version in {HEADER} must be two numbers such as {MAXIMUM}, or latest.")
    version = Microversion(int(match[1]), int(match[2]))
    if not MINIMUM <= version <= MAXIMUM:
        raise UnsupportedVersion(version)
    return version


def _last_entry(entries: Iterable[str]) -> str:
    last = ""
    for entry in entries:
        service, _, version = entry.strip().partition(" ")
        if service.lower() == SERVICE:
            last = version.strip()
    return last
