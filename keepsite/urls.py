from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from keepsite.api import discovery, health
from keepsite.api.limits.resource import LimitViewSet
from keepsite.api.openapi.views import openapi, reference
from keepsite.keyring import figures
from keepsite.metrics import counted
from keepsite.metrics.views import metrics

counted.register(figures.count)  # for the view below
urlpatterns = [
    path("", discovery.versions),
    path("v1", discovery.version),
    path("v1/limits", LimitViewSet.as_view({"get": "list"})),
    path("v1/", include("secrets_app.api.urls")),
    path("v1/", include("orders_app.api.urls")),
    re_path(r"^healthcheck/?$", health.healthcheck),
    path("docs", RedirectView.as_view(url="/docs/")),
    path("docs/", reference, name="docs"),
    path("docs/openapi.json", openapi, name="openapi"),
    path("readiness", health.readiness),
    path("metrics", metrics),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.urls),
]
handler400 = "keepsite.api.exceptions.bad_request"
handler404 = "keepsite.api.exceptions.page_not_found"
handler500 = "keepsite.api.exceptions.server_error"
