from typing import Any

from django.urls import path

from secrets_app.api.acls import ContainerACLViewSet, SecretACLViewSet
from secrets_app.api.consumers import ContainerConsumerViewSet, SecretConsumerViewSet
from secrets_app.api.containers import ContainerSecretViewSet, ContainerViewSet
from secrets_app.api.metadata import SecretMetadataViewSet
from secrets_app.api.quotas import ProjectQuotaViewSet, QuotaViewSet
from secrets_app.api.secrets import SecretViewSet
from secrets_app.api.stores import SecretStoreViewSet
from secrets_app.api.transport_keys import TransportKeyViewSet

Actions = dict[str, Any]  # Any: the framework takes names and more
ACL: Actions = {"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"}
CONSUMERS: Actions = {"get": "list", "post": "create", "delete": "remove"}
SECRET = "secrets/<str:secret_id>"  # noqa: S105  # a path
CONTAINER = "containers/<str:container_id>"
STORE = "secret-stores/<str:store_id>"

urlpatterns = [
    path("secrets", SecretViewSet.as_view({"get": "list", "post": "create"})),
    path(SECRET, SecretViewSet.as_view({"get": "retrieve", "put": "update", "delete": "destroy"})),
    path(f"{SECRET}/payload", SecretViewSet.as_view({"get": "payload"})),
    path(f"{SECRET}/acl", SecretACLViewSet.as_view(ACL)),
    path(
        f"{SECRET}/metadata",
        SecretMetadataViewSet.as_view({"get": "list", "put": "replace", "post": "create"}),
    ),
    path(
        f"{SECRET}/metadata/<str:name>",
        SecretMetadataViewSet.as_view(
            {"get": "retrieve", "put": "update", "post": "create", "delete": "destroy"}
        ),
    ),
    path(f"{SECRET}/consumers", SecretConsumerViewSet.as_view(CONSUMERS)),
    path(f"{SECRET}/consumers/<str:consumer_id>", SecretConsumerViewSet.as_view({"get": "retrieve"})),
    path("containers", ContainerViewSet.as_view({"get": "list", "post": "create"})),
    path(CONTAINER, ContainerViewSet.as_view({"get": "retrieve", "delete": "destroy"})),
    path(f"{CONTAINER}/secrets", ContainerSecretViewSet.as_view({"post": "create", "delete": "remove"})),
    path(f"{CONTAINER}/acl", ContainerACLViewSet.as_view(ACL)),
    path(f"{CONTAINER}/consumers", ContainerConsumerViewSet.as_view(CONSUMERS)),
    path(f"{CONTAINER}/consumers/<str:consumer_id>", ContainerConsumerViewSet.as_view({"get": "retrieve"})),
    path("quotas", QuotaViewSet.as_view({"get": "list"})),
    path("project-quotas", ProjectQuotaViewSet.as_view({"get": "list"})),
    path(
        "project-quotas/<str:project_id>",
        ProjectQuotaViewSet.as_view({"get": "retrieve", "put": "update", "delete": "destroy"}),
    ),
    path("secret-stores", SecretStoreViewSet.as_view({"get": "list"})),
    path("secret-stores/global-default", SecretStoreViewSet.as_view({"get": "global_default"})),
    path("secret-stores/preferred", SecretStoreViewSet.as_view({"get": "preferred"})),
    path(STORE, SecretStoreViewSet.as_view({"get": "retrieve"})),
    path("transport_keys", TransportKeyViewSet.as_view({"get": "list", "post": "create"})),
    path(
        "transport_keys/<str:key_id>", TransportKeyViewSet.as_view({"get": "retrieve", "delete": "destroy"})
    ),
    path(f"{STORE}/preferred", SecretStoreViewSet.as_view({"post": "prefer", "delete": "prefer_none"})),
]
