"""The query parameters of ``GET /v1/secrets``, as the contract reads them."""

from datetime import datetime

from django.http import QueryDict

from keepsite.api.fields import parse_moment
from keepsite.api.openapi import Parameter
from keepsite.errors import InvalidInput
from secrets_app.querysets import SecretQuerySet

SORTS = {
    "algorithm": "algorithm",
    "bit_length": "bit_length",
    "created": "created_at",
    "expiration": "expires_at",
    "mode": "mode",
    "name": "name",
    "secret_type": "secret_type",
    "status": "",  # always ACTIVE, so it sorts nothing
    "updated": "updated_at",
}
UNCHANGING = ("name", "alg", "mode", "secret_type", "bits", "created", "expiration")  # all but updated
PATTERNS = {"name": "name", "alg": "algorithm", "mode": "mode"}
MOMENTS = {"created": "created_at", "updated": "updated_at", "expiration": "expires_at"}
BITS_MAX_DIGITS = 18  # of a number of 64 bits
BOUNDS = {"gt": "lower", "gte": "lower", "lt": "upper", "lte": "upper", "exact": "equality"}

FILTERS = (
    *(
        Parameter(name=name, schema={"type": "string"}, description=f"the {column}; `%` stands for anything")
        for name, column in PATTERNS.items()
    ),
    Parameter(
        name="secret_type", schema={"type": "string"}, description="the type; no such type, no secrets"
    ),
    Parameter(
        name="bits",
        schema={"type": ["integer", "string"]},
        description="the length in bits; what is no number above 0 counts as not given",
    ),
    *(
        Parameter(
            name=name,
            schema={"type": "string", "format": "date-filter"},
            description=(
                "dates such as `gte:2030-01-31T12:00:00,lt:2031`: with commas between them, each with `gt:`,"
                " `gte:`, `lt:`, `lte:` or, for exactly this moment, nothing before it; at most one of each"
                " bound, and no exact one with `gte:` or `lte:`"
            ),
        )
        for name in MOMENTS
    ),
    Parameter(
        name="sort",
        schema={"type": "string", "format": "sort-keys"},
        description=(
            f"{', '.join(f'`{key}`' for key in SORTS)}, with commas between them, none twice, each with"
            " `:asc`, `:desc` or nothing after it"
        ),
    ),
    Parameter(
        name="acl_only",
        schema={"type": "string"},
        description="`true`: instead, the secrets of any project whose ACL names the caller",
    ),
)


def filtered(secrets: SecretQuerySet, query: QueryDict) -> SecretQuerySet:
    """The secrets that ``query`` asks for, sorted; empty values count as not given.

    Raises:
        InvalidInput: a malformed date filter or sort.
    """
    for parameter, column in PATTERNS.items():
        if text := query.get(parameter):
            secrets = secrets.filter(**{f"{column}__like": text})
    if secret_type := query.get("secret_type"):
        secrets = secrets.filter(secret_type=secret_type)
    if bits := _positive(query.get("bits", "")):
        secrets = secrets.filter(bit_length=bits)
    for parameter, column in MOMENTS.items():
        if text := query.get(parameter):
            secrets = secrets.filter(**_moments(parameter, column, text))
    return secrets.in_stable_order(*_sort_fields(query.get("sort", "")))


def _positive(text: str) -> int:
    """The number that ``text`` writes, or one that no secret has if it is longer; zero for what is none."""
    digits = text.lstrip("0") if text.isascii() and text.isdigit() else ""
    return int(digits[:BITS_MAX_DIGITS] or 0)


def _moments(parameter: str, column: str, text: str) -> dict[str, datetime]:
    conditions: dict[str, datetime] = {}
    seen: dict[str, str] = {}
    for term in text.split(","):
        prefix, colon, rest = term.partition(":")
        comparison, moment = (
            (prefix, rest) if colon and prefix in BOUNDS and prefix != "exact" else ("exact", term)
        )
        if BOUNDS[comparison] in seen:
            raise InvalidInput(f"{parameter} may hold one {BOUNDS[comparison]} only: {text!r}.")
        seen[BOUNDS[comparison]] = comparison
        try:
            conditions[f"{column}__{comparison}"] = parse_moment(moment.strip())
        except ValueError as error:
            raise InvalidInput(
                f"{parameter} takes dates such as 2030-01-31T12:00:00 with commas between them, "
                f"each with gt:, gte:, lt:, lte: or nothing before it; not {term!r}."
            ) from error
    if "equality" in seen and {"gte", "lte"} & {*seen.values()}:
        raise InvalidInput(f"{parameter} cannot combine an exact date with gte: or lte:.")
    return conditions


def _sort_fields(text: str) -> list[str]:
    fields: dict[str, str] = {}
    for term in text.split(",") if text else []:
        key, _, direction = term.partition(":")
        if key not in SORTS or direction not in {"", "asc", "desc"} or term.endswith(":"):
            raise InvalidInput(
                f"sort takes {', '.join(SORTS)}, each with :asc or :desc or nothing after it; not {term!r}."
            )
        if key in fields:
            raise InvalidInput(f"sort names {key} twice.")
        fields[key] = f"-{SORTS[key]}" if direction == "desc" else SORTS[key]
    return [field for field in fields.values() if field.strip("-")]
