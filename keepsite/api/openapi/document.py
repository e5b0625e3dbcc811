"""The OpenAPI document: routes and what their views say, with what holds of all of them added.

Statuses that say no come from how a request is handled: who calls and in which microversion
is asked of everything under ``/v1``, an object in the path may be missing, a rule may forbid,
a body may be of the wrong kind.  So nobody can forget to write them down.

Source: OpenAPI Specification 3.1.1.
"""

from collections.abc import Iterable
from functools import cache
from http import HTTPStatus
from typing import Any

from keepsite.api import microversions
from keepsite.api.exceptions import TITLES
from keepsite.api.openapi.operations import Answer, Parameter, RawBody
from keepsite.api.openapi.routes import Route, routes
from keepsite.api.openapi.schemas import JSON, Component, Schema, nullable, record

SECURITY = "authToken"
DESCRIPTION = """\
The OpenStack Key Manager API (Barbican), version 1, as Keepsite answers it.

Paths work with and without a slash at their end. Strings in a JSON body are stripped of surrounding white \
space, payloads and pass phrases excepted; names that a body is not described with are ignored, unless its \
description says that there are no others.

A method that a path does not have is answered with 405, and `Allow` says which it has; HEAD is known at \
`/healthcheck` alone. OPTIONS is answered with 200 and nothing else, on every path. A path that is not \
described here is answered with 404.
"""
REFUSALS = {
    HTTPStatus.BAD_REQUEST: "The request says something that is not accepted; `description` says what is.",
    HTTPStatus.UNAUTHORIZED: "No credential, or one that no longer holds.",
    HTTPStatus.FORBIDDEN: "The caller's roles, or an ACL, do not allow it.",
    HTTPStatus.NOT_FOUND: "There is no such object, or it has expired.",
    HTTPStatus.NOT_ACCEPTABLE: "The answer cannot be given in the media type that `Accept` names, or this"
    " release does not speak the microversion asked for.",
    HTTPStatus.CONFLICT: "The object is in a state that does not permit it.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too long; `description` says how many bytes are taken.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is of a media type that is not taken here.",
    HTTPStatus.TOO_MANY_REQUESTS: "A rate limit is used up.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "The server failed; its log says how.",
    HTTPStatus.SERVICE_UNAVAILABLE: "A part is away; nothing was changed.",
}
# Answered before the microversion is known, if that is what is wrong.
_BEFORE_THE_VERSION = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.NOT_ACCEPTABLE,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
}
_HEADERS: JSON = {
    "RequestId": {
        "description": "names this request in the service's logs",
        "required": True,
        "schema": {"type": "string", "pattern": "^req-"},
    },
    "Microversion": {
        "description": "the version that was spoken",
        "required": True,
        "schema": {"type": "string", "pattern": rf"^{microversions.SERVICE} \d+\.\d+$"},
    },
    "Vary": {
        "description": f"names {microversions.HEADER}: the answer depends on it",
        "required": True,
        "schema": {"type": "string"},
    },
    "RetryAfter": {
        "description": "seconds after which another try is welcome",
        "required": True,
        "schema": {"type": "string", "pattern": r"^\d+$"},
    },
    "Challenge": {
        "description": "what kind of credential is wanted",
        "required": True,
        "schema": {"type": "string"},
    },
}
_VERSION_PARAMETER: JSON = {
    "name": microversions.HEADER,
    "in": "header",
    "description": (
        f"`{microversions.SERVICE} X.Y`, from {microversions.MINIMUM} to {microversions.MAXIMUM}, or "
        f"`{microversions.SERVICE} latest`. Without it, {microversions.MINIMUM} is spoken; entries for"
        " other services, with commas between them, are ignored."
    ),
    "schema": {"type": "string"},
    "examples": {
        str(named): {"value": f"{microversions.SERVICE} {named}"}
        for named in (microversions.MINIMUM, microversions.CONSUMERS_SHOWN, microversions.MAXIMUM, "latest")
    },
}


def error_component(status: HTTPStatus) -> Component:
    """The error body of one status."""
    title = TITLES.get(status, status.phrase)
    description: JSON = {"type": "string", "description": "what is wrong, and what is accepted"}
    more: JSON = {}
    if status is HTTPStatus.NOT_ACCEPTABLE:
        description = nullable(description)
    if status is HTTPStatus.UNAUTHORIZED:
        own: JSON = {
            "code": {"const": status.value},
            "title": {"const": title},
            "message": {"type": "string"},
        }
        more = {"error": record(own, description="the same in the shape of Keystone's middleware")}
    body: JSON = {"code": {"const": status.value}, "title": {"const": title}, "description": description}
    return Component(f"{title.removesuffix('Error').replace(' ', '')}Error", record(body | more))


@cache
def document() -> JSON:
    """The whole document but for ``servers``, which depend on how it is asked for."""
    writer = _Writer()
    paths: JSON = {}
    for route in routes():
        paths.setdefault(route.path, {})[route.method.lower()] = writer.operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Keepsite Key Manager API",
            "version": f"{microversions.MAXIMUM}",
            "summary": f"Barbican API v1, microversions {microversions.MINIMUM} to {microversions.MAXIMUM}",
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{SECURITY: []}],
        "tags": [{"name": name} for name in dict.fromkeys(_tag(route) for route in routes())],
        "paths": paths,
        "components": {
            "securitySchemes": {
                SECURITY: {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Auth-Token",
                    "description": "an API key of this service, or a token of the Keystone it stands behind",
                }
            },
            "parameters": {"Microversion": _VERSION_PARAMETER},
            "headers": _HEADERS,
            "responses": writer.responses,
            "schemas": dict(sorted(writer.schemas.items())),
        },
    }


class _Writer:
    """Writes operations, and collects what they refer to."""

    def __init__(self) -> None:
        self.schemas: JSON = {}
        self.responses: JSON = {}

    def operation(self, route: Route) -> JSON:
        """The Operation Object of a route."""
        said = route.operation
        written: JSON = {
            "operationId": _operation_id(route),
            "tags": [_tag(route)],
            "summary": said.summary,
        }
        if said.description:
            written["description"] = said.description
        if not route.asks_who_calls:
            written["security"] = []
        written["parameters"] = [*self._path_parameters(route), *map(self._parameter, said.parameters)]
        if _speaks_versions(route):
            written["parameters"].append({"$ref": "#/components/parameters/Microversion"})
        if said.body is not None:
            written["requestBody"] = {"required": True, "content": self._content(_content_of(said.body))}
        written["responses"] = {
            str(said.answer.status.value): self._answer(said.answer, route),
            **{str(status.value): self._refusal(route, status) for status in sorted(_refusals(route))},
        }
        return written

    def _path_parameters(self, route: Route) -> Iterable[JSON]:
        for name in route.arguments:
            schema, description = route.viewset.path_parameters[name]
            yield {
                "name": name,
                "in": "path",
                "required": True,
                "description": description,
                "schema": self._resolved(schema),
            }

    def _parameter(self, parameter: Parameter) -> JSON:
        return {
            "name": parameter.name,
            "in": parameter.location,
            "description": parameter.description,
            "schema": self._resolved(parameter.schema),
        }

    def _answer(self, answer: Answer, route: Route) -> JSON:
        headers = _common_headers(route, answer.status) | {
            name: {"description": text, "required": True, "schema": {"type": "string"}}
            for name, text in answer.headers.items()
        }
        written: JSON = {"description": answer.description, "headers": headers}
        if answer.content:
            written["content"] = self._content(answer.content)
        return written

    def _refusal(self, route: Route, status: HTTPStatus) -> JSON:
        """A reference to the response that all routes share, or one of this route's own."""
        said = route.operation.refusals.get(status)
        if isinstance(said, Answer):
            return self._answer(said, route)
        headers = _common_headers(route, status)
        if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
            headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
        if status is HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = {"$ref": "#/components/headers/Challenge"}
        response: JSON = {
            "description": said or REFUSALS[status],
            "headers": headers,
            "content": self._content({"application/json": error_component(status)}),
        }
        if said or not route.asks_who_calls:
            return response
        name = error_component(status).name.removesuffix("Error")
        self.responses[name] = response
        return {"$ref": f"#/components/responses/{name}"}

    def _content(self, content: Any) -> JSON:  # Any: media types to schemas
        return {media_type: {"schema": self._resolved(schema)} for media_type, schema in content.items()}

    def _resolved(self, schema: Any) -> Any:  # Any: JSON values with components among them
        """``schema`` with a reference in place of every component, which is written down once."""
        if isinstance(schema, Component):
            if schema.name not in self.schemas:
                self.schemas[schema.name] = {}  # its place, should it refer to itself
                self.schemas[schema.name] = self._resolved(schema.schema)
            return {"$ref": f"#/components/schemas/{schema.name}"}
        if isinstance(schema, dict):
            return {name: self._resolved(value) for name, value in schema.items()}
        if isinstance(schema, list | tuple):
            return [self._resolved(value) for value in schema]
        return schema


def _refusals(route: Route) -> set[HTTPStatus]:
    """The statuses that say no to requests for this route."""
    known = {HTTPStatus.BAD_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR, *route.operation.refusals}
    if _speaks_versions(route):
        known.add(HTTPStatus.NOT_ACCEPTABLE)
    if route.asks_who_calls:
        known |= {
            HTTPStatus.UNAUTHORIZED,
            HTTPStatus.TOO_MANY_REQUESTS,
            HTTPStatus.SERVICE_UNAVAILABLE,
        }
    if route.has_rule:
        known.add(HTTPStatus.FORBIDDEN)
    if route.arguments:
        known.add(HTTPStatus.NOT_FOUND)
    if route.operation.body is not None:
        known |= {HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE}
    return known


def _common_headers(route: Route, status: HTTPStatus) -> JSON:
    headers: JSON = {"x-openstack-request-id": {"$ref": "#/components/headers/RequestId"}}
    if _speaks_versions(route) and status not in _BEFORE_THE_VERSION:
        headers[microversions.HEADER] = {"$ref": "#/components/headers/Microversion"}
        headers["Vary"] = {"$ref": "#/components/headers/Vary"}
    return headers


def _content_of(body: Schema | RawBody) -> Any:  # Any: media types to schemas
    return body.content if isinstance(body, RawBody) else {"application/json": body}


def _speaks_versions(route: Route) -> bool:
    return route.asks_who_calls or route.path == "/"


def _tag(route: Route) -> str:
    """What the page groups by: the collection that the route belongs to."""
    parts = route.path.strip("/").split("/")
    return parts[1] if parts[0] == "v1" and len(parts) > 1 else "service"


def _operation_id(route: Route) -> str:
    """Such as ``get_v1_secrets_secret_id_payload``; no two routes have the same."""
    parts = [part.strip("{}").replace("-", "_") for part in route.path.strip("/").split("/")]
    return "_".join([route.method.lower(), *filter(None, parts)])
