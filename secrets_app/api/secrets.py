from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import ClassVar

from django.conf import settings
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.exceptions import NotAcceptable
from rest_framework.request import Request
from rest_framework.response import Response

from keepsite.api import idempotency
from keepsite.api.bodies import bounded, json_object, media_type_of
from keepsite.api.microversions import CONSUMERS_GUARD, CONSUMERS_SHOWN
from keepsite.api.negotiation import accepts_json
from keepsite.api.openapi import (
    ID,
    Answer,
    Operation,
    Parameter,
    RawBody,
    Schema,
    described,
    made,
    one_of,
    paged,
)
from keepsite.api.paging import envelope
from keepsite.api.query import FALSE, TRUE, chosen, is_true
from keepsite.api.refs import ref
from keepsite.api.totals import TOTALS, Listed
from keepsite.api.viewsets import ResourceViewSet
from keepsite.errors import InvalidInput, NotFound
from keepsite.idempotency.services import KeyedRequest
from keepsite.identity.policy import Target
from keepsite.identity.principal import Principal
from keepsite.ids import is_id
from secrets_app import services
from secrets_app.api.content import answer_type, payload_from_body, payload_type, raw_content_type
from secrets_app.api.filters import FILTERS, UNCHANGING, filtered
from secrets_app.api.serializers.secrets import (
    NO_TRANSPORT_KEYS,
    SECRET,
    NewSecretSerializer,
    consumers_of,
    show_secret,
    show_secrets,
)
from secrets_app.choices import ContentType
from secrets_app.lookups import LIVE_SECRET, LIVE_SECRET_WITH_PAYLOAD
from secrets_app.models import Secret

PAYLOAD = {
    "text/plain": {"type": "string"},
    "application/octet-stream": {"type": "string"},
    "application/pkcs8": {"type": "string"},
}
NEW_PAYLOAD = {"type": "string", "minLength": 1, "maxLength": settings.MAX_PAYLOAD_BYTES}


class UnderSecret(ResourceViewSet):
    """A route below one secret, which is found before anything else is judged."""

    secret: Secret
    path_parameters: ClassVar[Mapping[str, tuple[Schema, str]]] = {
        "secret_id": (ID, "what follows the last slash of the secret's ref"),
    }

    def load(self) -> None:
        """Find the secret that the URL names, whoever owns it; the policy judges after."""
        self.secret = find_secret(self.kwargs["secret_id"], caller=self.principal)

    def policy_target(self) -> Target | None:
        """The secret's facts."""
        return services.target_of(self.secret)


class SecretViewSet(UnderSecret):
    """``/v1/secrets`` and ``/v1/secrets/{id}``."""

    rules: ClassVar[dict[str, str]] = {
        "list": "secrets:get",
        "create": "secrets:post",
        "retrieve": "secret:get",
        "update": "secret:put",
        "destroy": "secret:delete",
        "payload": "secret:decrypt",
    }
    reads_accept = frozenset({"retrieve", "update", "destroy", "payload"})

    def load(self) -> None:
        """Find the secret, if the URL names one, with its payload where that is asked for."""
        if "secret_id" in self.kwargs:
            self.secret = find_secret(
                self.kwargs["secret_id"], caller=self.principal, with_payload=self._asks_for_payload()
            )

    def policy_target(self) -> Target | None:
        """The secret's facts; None for the collection."""
        return super().policy_target() if "secret_id" in self.kwargs else None

    def rule(self) -> str:
        """Asking for the secret itself in a payload's type is the old way to ask for the payload."""
        return "secret:decrypt" if self._asks_for_payload() else self.rules[str(self.action)]

    @described(
        paged(
            "secrets",
            SECRET,
            summary="List secrets",
            description="Those of the caller's project, without payloads.",
            parameters=FILTERS,
        )
    )
    def list(self, request: Request) -> Response:
        """One page of the project's secrets."""
        now = timezone.now()
        listed = Listed(
            rows=filtered(Secret.objects.in_project(self.principal.project_id), request.GET),
            project_id=self.principal.project_id,
            filters=chosen(request.GET, UNCHANGING),
            expire=True,
        )
        rows = listed.live(now)
        shown = services.shown_in_lists(self.principal)
        if request.query_params.get("acl_only", "").lower() == "true":
            rows = filtered(Secret.objects.live(now).named_to(self.principal.user_id or ""), request.GET)
            count = rows.count
        elif shown is not None:  # ACLs change, so no total is remembered
            rows = rows.filter(shown)
            count = rows.count
        elif request.query_params.get("updated"):
            count = rows.count
        else:
            count = partial(TOTALS.of, listed, now)
        shows_consumers = self.microversion >= CONSUMERS_SHOWN
        return Response(
            envelope(
                request,
                rows,
                path="secrets",
                plural="secrets",
                show=lambda page: show_secrets(page, request, shows_consumers=shows_consumers),
                count=count,
            )
        )

    @described(
        Operation(
            summary="Make a secret",
            description="With its payload, or to be completed by PUT.",
            parameters=(idempotency.PARAMETER,),
            body=NewSecretSerializer.forms(),
            answer=made(HTTPStatus.CREATED, "secret_ref", "the secret is stored"),
            refusals={
                HTTPStatus.FORBIDDEN: "The caller's roles, or the project's quota, do not allow it.",
                **idempotency.REFUSALS,
            },
        )
    )
    def create(self, request: Request) -> Response:
        """Make a secret, with its payload or to be completed by PUT."""
        body = json_object(request)

        def make(keyed: KeyedRequest | None) -> Secret:
            values = NewSecretSerializer.checked(body)
            return services.create_secret(
                actor=self.principal,
                description=NewSecretSerializer.description_of(values),
                payload=NewSecretSerializer.payload_of(values),
                keyed=keyed,
            )

        secret_id = idempotency.make_once(request, kind="secret", body=body, make=make, caller=self.principal)
        where = ref(request, "secrets", secret_id)
        return Response({"secret_ref": where}, status=HTTPStatus.CREATED, headers={"Location": where})

    @described(
        Operation(
            summary="Show a secret",
            description=(
                "What is known about it. A client that accepts no JSON, and exactly one type of payloads, is"
                " given the payload: the old way to ask for it."
            ),
            answer=Answer(
                status=HTTPStatus.OK,
                description="the secret; consumers from microversion 1.1 on",
                content={"application/json": SECRET, **PAYLOAD},
            ),
        )
    )
    def retrieve(self, request: Request, secret_id: str) -> Response | HttpResponse:  # noqa: ARG002  # the route's
        """What is known about the secret; its payload to clients that ask in a payload's type."""
        if self._asks_for_payload():
            return self._payload(request)
        if not accepts_json(request.headers.get("Accept", "")):
            raise NotAcceptable
        consumers = (
            consumers_of([self.secret])[self.secret.id] if self.microversion >= CONSUMERS_SHOWN else None
        )
        return Response(show_secret(self.secret, request, consumers))

    @described(
        Operation(
            summary="Store the payload of a secret made without one",
            description="A payload is set once. With `text/plain` a Content-Encoding is ignored.",
            parameters=(
                Parameter(
                    name="Content-Encoding",
                    location="header",
                    schema=one_of("", "base64", "binary"),
                    description="base64: the body is decoded; binary, or none: it is stored as it is",
                ),
            ),
            body=RawBody(content={"text/plain": NEW_PAYLOAD, "application/octet-stream": NEW_PAYLOAD}),
            answer=Answer(status=HTTPStatus.NO_CONTENT, description="the payload is stored"),
            refusals={HTTPStatus.CONFLICT: "The secret has a payload already."},
        )
    )
    def update(self, request: Request, secret_id: str) -> HttpResponse:  # noqa: ARG002  # the route's
        """Store the payload of a secret made without one."""
        content_type = raw_content_type(media_type_of(request))
        body = bounded(request, what="payload", limit_bytes=settings.MAX_PAYLOAD_BYTES)
        services.require_payload_wanted(self.secret, length_bytes=len(body))
        payload = payload_from_body(body, content_type, request.headers.get("Content-Encoding"))
        if request.query_params.get("transport_key_id"):
            raise InvalidInput(NO_TRANSPORT_KEYS.format("transport_key_id"))
        services.store_payload(self.secret, payload, actor=self.principal)
        return HttpResponse(status=HTTPStatus.NO_CONTENT)

    @described(
        Operation(
            summary="Delete a secret",
            description="With all that hangs on it.",
            parameters=(
                Parameter(
                    name="force",
                    schema=one_of(*sorted(TRUE | FALSE)),
                    description="whether to take it from its consumers too; known from microversion 1.2 on",
                ),
            ),
            answer=Answer(status=HTTPStatus.NO_CONTENT, description="it is deleted"),
            refusals={
                HTTPStatus.BAD_REQUEST: "From microversion 1.2 on: the secret has consumers, and `force` does"
                " not say to take it from them; or any of what makes every request a bad one."
            },
        )
    )
    def destroy(self, request: Request, secret_id: str) -> HttpResponse:  # noqa: ARG002  # the route's
        """Delete the secret and all that hangs on it."""
        spares = self.microversion >= CONSUMERS_GUARD and not is_true(
            request.query_params.get("force", "no"), name="force"
        )
        services.delete_secret(self.secret, actor=self.principal, spare_consumed=spares)
        return HttpResponse(status=HTTPStatus.NO_CONTENT)

    @described(
        Operation(
            summary="Read the payload",
            description=(
                "In the media type that `Accept` names; without one as octets, to `*/*` as the type it is"
                " stored as."
            ),
            answer=Answer(
                status=HTTPStatus.OK,
                description="the payload, byte for byte",
                content=PAYLOAD,
                headers={"Cache-Control": "no-store"},
            ),
            refusals={
                HTTPStatus.NOT_FOUND: "There is no such secret, it has expired, or it has no payload yet.",
                HTTPStatus.NOT_ACCEPTABLE: "Not a type that payloads are given in, or text is asked for and"
                " the payload is not UTF-8; or an unknown microversion.",
            },
        )
    )
    def payload(self, request: Request, secret_id: str) -> HttpResponse:  # noqa: ARG002  # the route's
        """The payload's bytes."""
        return self._payload(request)

    def _payload(self, request: Request) -> HttpResponse:
        accept = request.headers.get("Accept", "")
        if payload_type(accept) is None:
            raise NotAcceptable
        if "trans_wrapped_session_key" in request.query_params:
            raise InvalidInput(NO_TRANSPORT_KEYS.format("trans_wrapped_session_key"))
        plaintext = services.read_payload(self.secret, actor=self.principal)
        content_type = answer_type(accept, ContentType(str(self.secret.content_type)), plaintext)
        return HttpResponse(
            plaintext.reveal(), content_type=content_type, headers={"Cache-Control": "no-store"}
        )

    def _asks_for_payload(self) -> bool:
        if self.action == "payload":
            return True
        accept = self.request.headers.get("Accept", "")
        return self.action == "retrieve" and not accepts_json(accept) and payload_type(accept) is not None


def find_secret(secret_id: str, *, caller: Principal, with_payload: bool = False) -> Secret:
    """The live secret with this id, with project, ACL and whether that names the caller.

    Raises:
        NotFound: malformed, unknown, deleted or expired.
    """
    if not is_id(secret_id):
        raise NotFound("Not Found. Provided secret id is invalid.")
    look_up = LIVE_SECRET_WITH_PAYLOAD if with_payload else LIVE_SECRET
    secret = look_up.first(id=secret_id, user_id=caller.user_id or "", now=timezone.now())
    if secret is None:
        raise NotFound("Secret not found.")
    return secret
