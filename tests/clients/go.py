"""What gophercloud does to the wire: how it sends, and how strictly Go decodes what comes back.

encoding/json takes null for any type and ignores names it does not know, compares names
without regard to case, and fails on every other difference of type.
Source: Go's encoding/json; gophercloud v2, openstack/keymanager/v1 (structs and accepted statuses).
"""

import contextlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPConnection
from urllib.parse import urlsplit

LAYOUT = "%Y-%m-%dT%H:%M:%S"  # RFC3339NoZ: no zone; Go takes a fraction behind the seconds by itself


class WrongType(AssertionError):
    """Go's json.Unmarshal would return an error."""


def string(value, where):
    """A Go ``string``."""
    if not isinstance(value, str):
        raise WrongType(f"{where}: {value!r} into a Go string")
    return value


def integer(value, where):
    """A Go ``int``: a number without fraction or exponent."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise WrongType(f"{where}: {value!r} into a Go int")
    return value


def boolean(value, where):
    """A Go ``bool``."""
    if not isinstance(value, bool):
        raise WrongType(f"{where}: {value!r} into a Go bool")
    return value


def moment(value, where):
    """gophercloud's time without a zone; empty text is no time."""
    text = string(value, where)
    if text and not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?", text):
        raise WrongType(f"{where}: {text!r} is not {LAYOUT}")
    return datetime.fromisoformat(text) if text else None


@dataclass(frozen=True, slots=True)
class List:
    """A Go slice."""

    of: object

    def __call__(self, value, where):
        if not isinstance(value, list):
            raise WrongType(f"{where}: {value!r} into a Go slice")
        return [_decoded(self.of, item, f"{where}[]") for item in value]


@dataclass(frozen=True, slots=True)
class Map:
    """A Go map with string keys."""

    of: object

    def __call__(self, value, where):
        if not isinstance(value, dict):
            raise WrongType(f"{where}: {value!r} into a Go map")
        return {name: _decoded(self.of, item, f"{where}.{name}") for name, item in value.items()}


class Struct:
    """A Go struct: field names as its tags have them."""

    def __init__(self, **fields):
        self._fields = {name.replace("_dash_", "-"): kind for name, kind in fields.items()}

    def __call__(self, value, where):
        if not isinstance(value, dict):
            raise WrongType(f"{where}: {value!r} into a Go struct")
        known = {name.lower(): name for name in self._fields}
        found = dict.fromkeys(self._fields)
        for name, item in value.items():
            field = known.get(name.lower())
            if field is not None:
                found[field] = _decoded(self._fields[field], item, f"{where}.{field}")
        return found


def _decoded(kind, value, where):
    return None if value is None else kind(value, where)


SECRET = Struct(
    bit_length=integer,
    algorithm=string,
    expiration=moment,
    content_types=Map(string),
    created=moment,
    creator_id=string,
    mode=string,
    name=string,
    secret_ref=string,
    secret_type=string,
    status=string,
    updated=moment,
)
SECRET_PAGE = Struct(secrets=List(SECRET), next=string, previous=string)
METADATA = Struct(metadata=Map(string))
METADATA_REF = Map(string)
METADATUM = Struct(key=string, value=string)
PLACE = Struct(secret_ref=string, name=string)
CONTAINER = Struct(
    consumers=List(Struct(name=string, url=string)),
    container_ref=string,
    created=moment,
    creator_id=string,
    name=string,
    secret_refs=List(PLACE),
    status=string,
    type=string,
    updated=moment,
)
CONTAINER_PAGE = Struct(containers=List(CONTAINER), next=string, previous=string)
CONSUMER = Struct(created=moment, name=string, status=string, updated=moment, url=string)
CONSUMER_PAGE = Struct(consumers=List(CONSUMER), next=string, previous=string)
ORDER = Struct(
    container_ref=string,
    created=moment,
    creator_id=string,
    error_reason=string,
    error_status_code=string,
    order_ref=string,
    meta=Struct(
        algorithm=string,
        bit_length=integer,
        expiration=moment,
        mode=string,
        name=string,
        payload_content_type=string,
    ),
    secret_ref=string,
    status=string,
    sub_status=string,
    sub_status_message=string,
    type=string,
    updated=moment,
)
ORDER_PAGE = Struct(orders=List(ORDER), next=string, previous=string)
ACL = Map(Struct(created=moment, project_dash_access=boolean, updated=moment, users=List(string)))
ACL_REF = Struct(acl_ref=string)
LIMITS = Struct(secrets=integer, orders=integer, containers=integer, consumers=integer, cas=integer)
QUOTAS = Struct(quotas=LIMITS)
PROJECT_QUOTAS = Struct(project_quotas=LIMITS)
PROJECT_QUOTA_PAGE = Struct(
    project_quotas=List(Struct(project_id=string, project_quotas=LIMITS)), next=string, previous=string
)


class Unexpected(Exception):
    """gophercloud's ErrUnexpectedResponseCode: a status that the call does not take."""

    def __init__(self, status, body):
        super().__init__(f"{status}: {body[:300]}")
        self.status = status
        self.body = body


class Gophercloud:
    """A service client: the catalog's address with ``v1/``, JSON headers, accepted statuses by method."""

    def __init__(self, url, token):
        self._base = f"{url}/v1/"
        self._token = token

    def call(self, method, path, *, into=None, ok, body=None, raw=None, headers=None):
        """The answer decoded as ``into`` says, or its bytes.

        Raises:
            Unexpected: a status other than ``ok``.
            WrongType: Go could not decode it.
        """
        sent = {"Accept": "application/json", "User-Agent": "gophercloud/v2", "X-Auth-Token": self._token}
        sent["Accept-Encoding"] = "gzip"  # Go's transport asks for it by itself
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        if raw is not None:
            data = raw
        sent |= headers or {}
        url = urlsplit(path if path.startswith("http") else self._base + path)
        with contextlib.closing(HTTPConnection(url.hostname, url.port, timeout=60)) as connection:
            target = f"{url.path}?{url.query}" if url.query else url.path
            connection.request(method, target, body=data, headers=sent)
            response = connection.getresponse()
            status, got = response.status, response.read()
        if status not in ok:
            raise Unexpected(status, got)
        return got if into is None else _decoded(into, json.loads(got), "answer")

    def pages(self, path, into, plural):
        """Every item of a list, following ``next`` as it stands in the answers."""
        items, seen = [], set()
        while path:
            assert path not in seen, "next leads in a circle"
            seen.add(path)
            page = self.call("GET", path, into=into, ok={200, 204, 300})
            items += page[plural]
            path = page["next"]
        return items
