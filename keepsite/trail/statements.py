"""How what the HSM seals for the audit trail is written."""

import json
from dataclasses import dataclass, fields
from typing import Self

from keepsite.keyring.sealed import Plaintext


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedStatement:
    """A dataclass of JSON values; fields are only ever added."""

    def plaintext(self) -> Plaintext:
        """As it is sealed: JSON."""
        told = {field.name: getattr(self, field.name) for field in fields(self)}
        return Plaintext(json.dumps(told, sort_keys=True).encode())

    @classmethod
    def read(cls, plaintext: Plaintext) -> Self:
        """From what ``plaintext`` wrote."""
        told = json.loads(plaintext.reveal())
        return cls(**{field.name: told[field.name] for field in fields(cls)})
