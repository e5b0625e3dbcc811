"""Key pairs: made in software, since they are handed out anyway, and stored as a container of secrets."""

from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from django.utils import timezone

from keepsite.ids import new_id
from keepsite.keyring import services as keyring
from keepsite.keyring.sealed import Plaintext
from orders_app.fulfilment.made import Made, sealed_secret
from orders_app.models import Order
from orders_app.passphrases import open_passphrase
from orders_app.wishes import Wish
from secrets_app.choices import ContainerType, SecretType
from secrets_app.models import Container, ContainerSecret

RSA_EXPONENT = 65537  # FIPS 186-5 §A.1.1, the usual choice
CURVES: dict[int, type[ec.EllipticCurve]] = {256: ec.SECP256R1, 384: ec.SECP384R1, 521: ec.SECP521R1}
PrivateKey = rsa.RSAPrivateKey | dsa.DSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def make(order: Order) -> Made:
    """Make the pair of ``order``, with its pass phrase if it has one; nothing is written.

    Private keys are PKCS#8, encrypted under the pass phrase; public keys are
    SubjectPublicKeyInfo; both PEM, but for DSA, which clients expect in DER.

    Raises:
        Unavailable: no token could serve; the order waits.
        KeyMaterialError: the project's pKEK, or the pass phrase, does not open.

    Source: RFC 5958 (PKCS#8), RFC 5280 §4.1.2.7, RFC 7468 (PEM).
    """
    wish = Wish.of(order.meta)
    pkek = keyring.sealing_key(order.project.external_id)
    passphrase = open_passphrase(order)
    private, public = _serialised(_generate(wish), wish, passphrase)
    wanted = [("private_key", SecretType.PRIVATE, private), ("public_key", SecretType.PUBLIC, public)]
    if passphrase is not None:
        wanted.append(("private_key_passphrase", SecretType.PASSPHRASE, passphrase))
    now = timezone.now()
    container = Container(
        id=new_id(),
        project=pkek.project,
        name=wish.name,
        type=ContainerType.RSA if wish.kind == "rsa" else ContainerType.GENERIC,
        creator_id=order.creator_id,
        created_at=now,
        updated_at=now,
    )
    secrets = tuple(sealed_secret(order, wish, kind, plaintext, pkek=pkek) for _, kind, plaintext in wanted)
    places = tuple(
        ContainerSecret(id=new_id(), container=container, secret=made.secret, name=name)
        for (name, *_), made in zip(wanted, secrets, strict=True)
    )
    return Made(secrets=secrets, container=container, places=places)


def _generate(wish: Wish) -> PrivateKey:
    match wish.kind:
        case "rsa":
            return rsa.generate_private_key(public_exponent=RSA_EXPONENT, key_size=wish.bit_length)
        case "dsa":
            return dsa.generate_private_key(key_size=wish.bit_length)
        case "ec":
            return ec.generate_private_key(CURVES[wish.bit_length]())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


def _serialised(key: PrivateKey, wish: Wish, passphrase: Plaintext | None) -> tuple[Plaintext, Plaintext]:
    encoding = Encoding.DER if wish.kind == "dsa" else Encoding.PEM
    protection: KeySerializationEncryption = (
        NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase.reveal())
    )
    private = key.private_bytes(encoding, PrivateFormat.PKCS8, protection)
    public = key.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    return Plaintext(private), Plaintext(public)
