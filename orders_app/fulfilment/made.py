from collections.abc import Iterable
from dataclasses import dataclass

from keepsite.keyring.models import ProjectKEK
from keepsite.keyring.sealed import Plaintext, Sealed
from orders_app.models import Order
from orders_app.wishes import Wish
from secrets_app.choices import ContentType, SecretType
from secrets_app.models import Container, ContainerSecret, Secret
from secrets_app.services import Description, NewPayload
from secrets_app.services.secrets import insert_secrets, new_secret, seal_for


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeSecret:
    """A secret and its sealed payload, not inserted yet."""

    secret: Secret
    sealed: Sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """All that an order brought forth, to be inserted together with the order's end."""

    secrets: tuple[MadeSecret, ...]
    container: Container | None = None
    places: tuple[ContainerSecret, ...] = ()

    @property
    def result(self) -> dict[str, str]:
        """The order's column that names the result, and its value."""
        if self.container is not None:
            return {"container_id": self.container.id}
        return {"secret_id": self.secrets[0].secret.id}


def insert_all(made: Iterable[Made]) -> None:
    """Insert every row of several results, inside the caller's transaction."""
    made = list(made)
    containers = [one.container for one in made if one.container is not None]
    insert_secrets([(part.secret, part.sealed) for one in made for part in one.secrets])
    if containers:
        Container.objects.bulk_create(containers)
        ContainerSecret.objects.bulk_create([place for one in made for place in one.places])


def sealed_secret(
    order: Order, wish: Wish, secret_type: SecretType, plaintext: Plaintext, *, pkek: ProjectKEK
) -> MadeSecret:
    """A secret of the order's project and creator, described as the order says: two PKCS#11 calls."""
    description = Description(
        name=wish.name,
        secret_type=secret_type,
        algorithm=wish.algorithm,
        mode=wish.mode,
        bit_length=wish.bit_length,
        expires_at=wish.expires_at,
    )
    secret = new_secret(description, project=pkek.project, creator_id=order.creator_id)
    payload = NewPayload(plaintext=plaintext, content_type=ContentType(wish.content_type))
    return MadeSecret(secret=secret, sealed=seal_for(secret, payload, pkek=pkek))
