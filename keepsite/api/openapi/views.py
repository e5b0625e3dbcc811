"""``/docs/``: the document for programs and the page made of it for people, both for anybody."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from keepsite.api.openapi.document import document
from keepsite.api.openapi.reading import page
from keepsite.api.refs import base_href


@require_safe
def openapi(request: HttpRequest) -> JsonResponse:
    """The OpenAPI document, with this service as its only server."""
    return JsonResponse({**document(), "servers": [{"url": base_href(request)}]})


@require_safe
def reference(request: HttpRequest) -> HttpResponse:
    """The page."""
    return render(request, "docs/reference.html", {"page": page()})
