from django.urls import path

from secrets_app.api.consumers import SecretConsumerViewSet
from secrets_app.api.secrets import SecretViewSet

urlpatterns = [
    path("secrets", SecretViewSet.as_view({"get": "list", "post": "create"})),
    path(
        "secrets/<str:secret_id>",
        SecretViewSet.as_view({"get": "retrieve", "put": "update", "delete": "destroy"}),
    ),
    path("secrets/<str:secret_id>/payload", SecretViewSet.as_view({"get": "payload"})),
    path(
        "secrets/<str:secret_id>/consumers",
        SecretConsumerViewSet.as_view({"get": "list", "post": "create", "delete": "remove"}),
    ),
]
