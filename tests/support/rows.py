from keepsite.idempotency.models import AcceptedRequest
from keepsite.keyring.models import ProjectKEK
from orders_app.models import Order
from secrets_app.models import Payload, Secret, SecretConsumer

WHAT_CLIENTS_WRITE = (Secret, Payload, SecretConsumer, Order, ProjectKEK, AcceptedRequest)


def written_rows():
    """Every row that API calls can write, with all its columns: equal before and after if nothing changed."""
    return {model.__name__: sorted(model.objects.values_list(), key=str) for model in WHAT_CLIENTS_WRITE}
