"""The look-ups that every request for one secret makes, prepared."""

from keepsite.prepared import Prepared
from secrets_app.models import Secret

LIVE_WITH_PROJECT: Prepared[Secret] = Prepared(
    lambda id, now: Secret.objects.live(now).with_project().filter(id=id),  # noqa: A006  # the column's name
    texts=("id",),
    moments=("now",),
)
LIVE_WITH_PAYLOAD: Prepared[Secret] = Prepared(
    lambda id, now: Secret.objects.live(now).with_payload().filter(id=id),  # noqa: A006  # the column's name
    texts=("id",),
    moments=("now",),
)
