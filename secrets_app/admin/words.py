"""Types of secrets and containers, as the console says them."""

from keepsite.translation import gettext_lazy
from secrets_app.choices import ContainerType, SecretType

SECRET_TYPES: dict[str, str] = {
    SecretType.SYMMETRIC: gettext_lazy("Symmetric"),
    SecretType.PUBLIC: gettext_lazy("Public"),
    SecretType.PRIVATE: gettext_lazy("Private"),
    SecretType.PASSPHRASE: gettext_lazy("Passphrase"),
    SecretType.CERTIFICATE: gettext_lazy("Certificate"),
    SecretType.OPAQUE: gettext_lazy("Opaque"),
}
CONTAINER_TYPES: dict[str, str] = {
    ContainerType.GENERIC: gettext_lazy("Generic"),
    ContainerType.RSA: gettext_lazy("RSA"),
    ContainerType.CERTIFICATE: gettext_lazy("Certificate"),
}
KINDS = {"secret": gettext_lazy("secret"), "container": gettext_lazy("container")}
