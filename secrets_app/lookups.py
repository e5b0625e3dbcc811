"""The look-ups that every request for one object makes, prepared: one statement each."""

from keepsite.prepared import Prepared
from secrets_app.models import Container, Secret

LIVE_SECRET: Prepared[Secret] = Prepared(
    lambda id, user_id, now: Secret.objects.live(now).for_caller(user_id).filter(id=id),  # noqa: A006
    texts=("id", "user_id"),
    moments=("now",),
)
LIVE_SECRET_WITH_PAYLOAD: Prepared[Secret] = Prepared(
    lambda id, user_id, now: (  # noqa: A006
        Secret.objects.live(now).for_caller(user_id).with_payload().filter(id=id)
    ),
    texts=("id", "user_id"),
    moments=("now",),
)
LIVE_CONTAINER: Prepared[Container] = Prepared(
    lambda id, user_id: Container.objects.live().for_caller(user_id).filter(id=id),  # noqa: A006
    texts=("id", "user_id"),
)
