"""Whether an answer is as the API's document says: status, media type, headers and body."""

import json
import re
from functools import cache
from urllib.parse import unquote

from openapi_schema_validator import OAS31Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from keepsite.api.openapi.document import document
from keepsite.identity.paths import normalised

DOCUMENT = "urn:keepsite:openapi"


def assert_conforms(method, url, response):
    """The answer to a request that a test made is one that the document describes.

    Methods and paths that it does not describe are 404 or 405 (403 to a suspended project), and
    OPTIONS 200; pages are not the API.
    """
    path = normalised(unquote(url.partition("?")[0]))
    if method == "OPTIONS" or not (path in {"/", "/healthcheck"} or path.startswith("/v1")):
        return
    operation = operation_of(method, path)
    if operation is None:
        assert response.status_code in {400, 401, 403, 404, 405, 406, 429, 503}, response.content
        return
    said = operation["responses"].get(str(response.status_code))
    assert said is not None, (
        f"{method} {path}: {response.status_code} is not in the document: {response.content}"
    )
    _assert_as_said(_resolved(said), response, f"{method} {path}")


def operation_of(method, path):
    """The operation that answers a request, or None; a path with arguments of its own comes first."""
    for template, pattern in _patterns():
        if template == path or pattern.fullmatch(path):
            return document()["paths"][template].get(method.lower())
    return None


@cache
def _patterns():
    found = [(template, re.compile(re.sub(r"{\w+}", "[^/]+", template))) for template in document()["paths"]]
    return sorted(found, key=lambda entry: entry[0].count("{"))


def _assert_as_said(said, response, where):
    for name, header in said["headers"].items():
        rule = _resolved(header)
        assert name in response or not rule["required"], f"{where}: {response.status_code} without {name}"
        if name in response:
            validator(json.dumps(rule["schema"])).validate(response[name])
    if "content" not in said:
        assert response.content == b"", f"{where}: a body that the document does not know"
        return
    media_type = response["Content-Type"].partition(";")[0]
    assert media_type in said["content"], f"{where}: {media_type} is not in the document"
    if media_type == "application/json":
        validator(json.dumps(said["content"][media_type]["schema"])).validate(response.json())


def _resolved(item):
    """An object of the document, or what its reference leads to."""
    if "$ref" not in item:
        return item
    found = document()
    for part in item["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found


@cache
def validator(schema):
    """A validator of one schema of the document, given as JSON."""
    registry = Registry().with_resource(DOCUMENT, Resource(contents=document(), specification=DRAFT202012))
    return OAS31Validator(json.loads(schema.replace('"#/', f'"{DOCUMENT}#/')), registry=registry)
