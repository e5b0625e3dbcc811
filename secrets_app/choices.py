from django.db import models


class SecretType(models.TextChoices):
    """What a client says its payload is; nothing is inferred from it or checked against it."""

    SYMMETRIC = "symmetric"
    PUBLIC = "public"
    PRIVATE = "private"
    PASSPHRASE = "passphrase"  # noqa: S105  # the name of a type
    CERTIFICATE = "certificate"
    OPAQUE = "opaque"


class ContentType(models.TextChoices):
    """The media types a payload may have, as they are stored and shown."""

    TEXT = "text/plain"
    OCTETS = "application/octet-stream"
    PKCS8 = "application/pkcs8"


class ContainerType(models.TextChoices):
    """What the secrets of a container are together; the type says which names they may have."""

    GENERIC = "generic"
    RSA = "rsa"
    CERTIFICATE = "certificate"
