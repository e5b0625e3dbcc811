"""Differences that are wanted: each with the id under which docs/api/differences.md lists it."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.compare.differing import ABSENT, Difference
from tests.compare.replay import Outcome

Side = Callable[[object], bool]


def anything(_: object) -> bool:
    """Whatever this side answered."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """At which requests a difference is wanted, in which place, between which two values."""

    at: str = ""  # searched for in "scenario: label"; all requests when empty
    where: str = "status"  # matched in full
    barbican: object = anything  # a value, or a function that says whether it is such a one
    keepsite: object = anything

    def covers(self, outcome: Outcome, difference: Difference) -> bool:
        """Whether this is what is seen there."""
        return (
            re.search(self.at, f"{outcome.scenario}: {outcome.step.label}") is not None
            and re.fullmatch(self.where, difference.where) is not None
            and _is(self.barbican, difference.barbican)
            and _is(self.keepsite, difference.keepsite)
        )


class Known:
    """A wanted difference, and all the cases in which it shows."""

    def __init__(self, difference_id: str, reason: str, *cases: Case) -> None:
        self.id = difference_id
        self.reason = reason
        self._cases = cases

    def explains(self, outcome: Outcome, difference: Difference) -> bool:
        """Whether one of its cases is what is seen there."""
        return any(case.covers(outcome, difference) for case in self._cases)


def explained(outcome: Outcome, known: Iterable[Known]) -> tuple[set[str], list[Difference]]:
    """The ids that explain an outcome, and the differences that none explains."""
    ids, rest = set(), []
    for difference in outcome.differences:
        found = [wanted.id for wanted in known if wanted.explains(outcome, difference)]
        ids |= {*found[:1]}
        if not found:
            rest.append(difference)
    return ids, rest


def _is(wanted: object, seen: object) -> bool:
    if callable(wanted):
        return wanted(seen)
    return wanted is seen or (type(wanted) is type(seen) and wanted == seen)


def _starting(*beginnings: str) -> Side:
    return lambda value: isinstance(value, str) and value.startswith(beginnings)


def _one_of(*values: object) -> Side:
    return lambda value: any(_is(wanted, value) for wanted in values)


def _client_error_or_success(status: object) -> bool:
    return isinstance(status, int) and status < INTERNAL_SERVER_ERROR


def _plain(text: object) -> bool:
    """An error page, or none to HEAD: never JSON."""
    return isinstance(text, bytes) and text[:1] not in {b"{", b"["}


INTERNAL_SERVER_ERROR = 500
BROWSER_HEADERS = (
    r"content-security-policy|cross-origin-opener-policy|referrer-policy|x-(content-type|frame)-options"
)
JSON_OR_TEXT = "application/json;q=0.9|application/json, text/plain"

ON_EVERY_ANSWER = "browser-headers"

KNOWN = [
    Known(
        ON_EVERY_ANSWER,
        "browsers are told to run, frame and guess nothing",
        Case(where=f"header ({BROWSER_HEADERS})", barbican=ABSENT),
    ),
    Known(
        "no-store",
        "no cache keeps a payload",
        Case(where="header cache-control", barbican=ABSENT, keepsite="no-store"),
    ),
    Known(
        "request-id",
        "every answer names its request, of OPTIONS and the health check too",
        Case(at="OPTIONS|^health:", where="header x-openstack-request-id", barbican=ABSENT),
    ),
    Known(
        "allow",
        "every 405 says which methods there are",
        Case(where="header allow", barbican=ABSENT),
    ),
    # Errors met before Barbican's API proper, which answers them as a page of text or HTML.
    Known(
        "json-errors",
        "errors are the API's JSON everywhere",
        Case(
            at="^(versions|versions of lists|accept|methods|identity): ",
            where="header content-type",
            barbican=_starting("text/"),
            keepsite="application/json",
        ),
        Case(at="^(versions|versions of lists|accept|methods|identity): ", where="body", barbican=_plain),
        Case(at="/nothing", where="header (openstack-api-version|vary)", keepsite=ABSENT),
        Case(at="^identity: ", where=r"body\.(code|title|description)", barbican=ABSENT),
    ),
    Known(
        "negative-version",
        "a version is two numbers; a minus is malformed",
        Case(at=r"'-1\.0'", barbican=406, keepsite=400),
    ),
    Known(
        "accept",
        "Accept is read as HTTP defines it",
        Case(at=r"Accept: 'application/json;q=0'", keepsite=406),
        Case(
            at=r"^accept: .*'application/json-home'", barbican=_one_of(200, 302), keepsite=_one_of(300, 406)
        ),
        Case(
            at=rf"GET (text|octets|empty) secret, Accept: '({JSON_OR_TEXT}|)'$",
            barbican=_one_of(404, 406),
            keepsite=200,
        ),
        Case(
            at=r"GET (text|octets) secret, Accept: ''$",
            where="header content-type",
            barbican="application/octet-stream",
            keepsite="application/json",
        ),
        Case(at=r"GET (text|octets) secret, Accept: ''$", where="body"),
        Case(at=r"charset=UTF-8'$", barbican=400, keepsite=_one_of(200, 406)),
    ),
    Known(
        "payload-type",
        "the stored type, text always in one spelling",
        Case(
            where="header content-type",
            barbican="*/*",
            keepsite=_one_of("text/plain; charset=UTF-8", "text/plain", "application/octet-stream"),
        ),
        Case(
            where="header content-type",
            barbican=_one_of("text/plain;charset=utf-8", "text/plain; charset=utf-8"),
            keepsite="text/plain; charset=UTF-8",
        ),
    ),
    Known(
        "other-charsets",
        "text that is not UTF-8 is bytes to whoever takes anything",
        Case(at=r"text not in UTF-8 as \*/\*$", barbican=406, keepsite=200),
    ),
    Known(
        "accept-first",
        "what cannot be served is 406 before it is known whether there is a payload",
        Case(at=r"empty( secret)?, Accept", barbican=404, keepsite=406),
    ),
    Known(
        "accept-ignored",
        "Accept does not matter where no body is answered",
        Case(at="Accept: made/up$", barbican=406, keepsite=204),
        Case(at="its payload after PUT Accept: made/up", barbican=404, keepsite=200),
        Case(at="its object after PUT Accept: made/up", where=r"body\.content_types", barbican=ABSENT),
    ),
    Known(
        "media-types",
        "media types are compared without case",
        Case(
            at="Content-Type 'application/JSON'|PUT a type in capitals",
            barbican=415,
            keepsite=_one_of(201, 204),
        ),
        Case(at="its payload after PUT a type in capitals", barbican=404, keepsite=200),
        Case(at="its object after PUT a type in capitals", where=r"body\.content_types", barbican=ABSENT),
        Case(at="bodies: those that were taken", where=r"body\.(secrets|total)"),
    ),
    Known(
        "descriptions",
        "plain 404 and 405 describe nothing, others say what to mend",
        Case(where=r"body\.description", keepsite=_one_of(None, "")),
        Case(where=r"body\.description", barbican=_one_of(None, "")),
    ),
    Known(
        "health",
        "text or JSON for machines, no page",
        Case(at="^health: ", where="header content-type|body"),
    ),
    Known(
        "orders-put",
        "there is no such method, whoever asks",
        Case(at="PUT /v1/orders", barbican=403, keepsite=405),
        Case(
            at="(HEAD|PATCH|DELETE) /v1/orders$",
            where="header allow",
            barbican="GET, POST, PUT",
            keepsite="GET, POST",
        ),
    ),
    Known(
        "order-delete",
        "creators delete their own orders",
        Case(at="DELETE /v1/orders/{order} as owner", barbican=403, keepsite=204),
    ),
    Known(
        "secret-stores",
        "the one store is shown",
        Case(at="/v1/secret-stores(/global-default)?$", barbican=404, keepsite=200),
        Case(at="/v1/secret-stores/(global-default|preferred)$", barbican=404, keepsite=405),
    ),
    Known(
        "body-limit",
        "a body above the limit is called too large",
        Case(at="longer than a request|blanks beyond the limit", barbican=_one_of(400, 201), keepsite=413),
    ),
    Known(
        "white-space",
        "text payloads are kept exactly",
        Case(
            at="blanks around the text|a PEM file|a certificate as text",
            where="body",
            barbican=lambda text: isinstance(text, bytes) and text == text.strip(),
        ),
    ),
    Known(
        "base64",
        "base64 is read strictly",
        Case(
            at="base64 with a foreign character|nothing but foreign characters|base64 of the URL alphabet",
            barbican=_one_of(201, 204),
            keepsite=400,
        ),
        Case(at="its payload after PUT base64 with a foreign character", barbican=200, keepsite=404),
        Case(
            at="its object after PUT base64 with a foreign character",
            where=r"body\.content_types",
            keepsite=ABSENT,
        ),
    ),
    Known(
        "binary",
        "binary, as terraform sends it, means no encoding",
        Case(at="PUT binary", barbican=_one_of(400, 404), keepsite=_one_of(204, 200)),
        Case(at="PUT binary", where=r"body\.content_types", barbican=ABSENT),
    ),
    Known(
        "marker",
        "openstacksdk ends its lists with it",
        Case(at="marker=", where=r"body\.(secrets|previous)"),
    ),
    Known(
        "name-filter",
        "names are decoded once; only % is a wildcard",
        Case(at="^names with signs: ", where=r"body\.(secrets|total|secrets\.0\.name)"),
    ),
    Known(
        "links",
        "filters and the right path stay in next and previous; an empty page has none",
        Case(
            where=r"body\.(next|previous)",
            barbican=_starting("<url>/v1/containers?", "<url>/v1/orders?", "<url>/v1/project_quotas?"),
        ),
    ),
    Known(
        "consumer-location",
        "Location leads to the consumers",
        Case(where="header location", barbican=_starting("<url>/v1/consumers/")),
    ),
    Known(
        "one-consumer",
        "no answer shows such an id",
        Case(at="an unknown consumer", barbican=403, keepsite=404),
    ),
    Known(
        "consumer-names",
        "names may have 255 characters",
        Case(at="POST a consumer with a name of 37", barbican=400, keepsite=200),
    ),
    Known(
        "consumer-order",
        "every list is in order of creation",
        Case(at="consumers of a container: ", where=r"body\.consumers\.\d+\.(name|URL)"),
    ),
    Known(
        "consumer-quota",
        "a repeated registration needs no room",
        Case(at="the same (container )?consumer at the quota", barbican=403, keepsite=200),
    ),
    Known(
        "metadata-keys",
        "keys are checked, and compared without case",
        Case(at=r"PUT metadata|POST item \{'key': ''", barbican=201, keepsite=400),
        Case(
            at=r"after PUT metadata|metadata after the POSTs|metadata at the end",
            where=r"body\.metadata\.(|k+|foo|colour)",
        ),
        Case(at="an item by a key with capitals", barbican=404, keepsite=200),
    ),
    Known(
        "metadata-post",
        "python-barbicanclient posts there",
        Case(at="POST on an item", barbican=405, keepsite=201),
    ),
    Known(
        "acl-users",
        "every user id is checked",
        Case(at=r"ACL \{'read': \{'users': \[('a', 1|'')\]", barbican=_one_of(200, 500), keepsite=400),
        Case(
            at=r"after (PUT|PATCH) \w+ ACL \{'read': \{'users': \[('a', 1|'')\]", where=r"body\.read\.users.*"
        ),
    ),
    Known(
        "refs",
        "a ref counts by its last segment, whatever its host",
        Case(
            at="a bare id|another host|with a slash after it", barbican=_one_of(400, 404, 500), keepsite=201
        ),
    ),
    Known(
        "empty-names",
        "a nameless secret of a container is null",
        Case(where=r"body\.secret_refs\.\d+\.name", barbican="", keepsite=None),
    ),
    Known(
        "adding-again",
        "what was taken out of a container may be added again",
        Case(at="add what was taken out", barbican=500, keepsite=201),
    ),
    Known(
        "order-meta",
        "meta shows what python-barbicanclient can read, in JSON's integers",
        Case(
            where=r"body\.meta\.(payload_content_encoding|secret_type|foo|bit_length)",
            keepsite=_one_of(ABSENT, 256),
        ),
    ),
    Known(
        "pass-phrase",
        "both spellings are taken, neither is shown",
        Case(where=r"body\.meta\.pass_?phrase", keepsite=ABSENT),
        Case(at="'pass_phrase'", where=r"body\.secret_refs"),
        Case(
            at="'pass_phrase'", where="body", barbican="PEM PRIVATE KEY", keepsite="PEM ENCRYPTED PRIVATE KEY"
        ),
    ),
    Known(
        "dsa-container",
        "python-barbicanclient cannot read the type dsa",
        Case(where=r"body\.type", barbican="dsa", keepsite="generic"),
    ),
    Known(
        "impossible-orders",
        "what can never work is refused when ordered",
        Case(at="^orders that Barbican never does: ", barbican=202, keepsite=400),
    ),
    Known(
        "more-orders",
        "volume encryption orders 512-bit keys; rsa-3072 and EC pairs are in use",
        Case(
            at="^orders that only Keepsite does: done",
            where=r"body\.(status|secret_ref|container_ref|sub_status.*|error_.*|meta\..*)",
        ),
    ),
    Known(
        "project-ids",
        "a project's id is taken as it is",
        Case(
            where=r"body\.project_quotas\.\d+\.project_id", barbican="never-seen", keepsite="never-seen.json"
        ),
    ),
    Known(
        "week-dates",
        "ISO 8601 has them",
        Case(at="2030-W01-1", barbican=400, keepsite=201),
    ),
    Known(
        "crashes",
        "the client is told what to mend",
        Case(barbican=500, keepsite=_client_error_or_success),
    ),
]
