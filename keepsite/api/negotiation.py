"""Accept headers, as the contract reads them."""

from collections.abc import Iterable

from rest_framework.exceptions import NotAcceptable as NotAcceptableHere
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

JSON = "application/json"
_JSON_RANGES = frozenset({"*/*", "application/*", JSON})


def accepts_json(header: str) -> bool:
    """Whether JSON satisfies an Accept header; an absent or empty one takes everything."""
    return not header.strip() or any(media_type in _JSON_RANGES for media_type in media_types(header))


def media_types(header: str) -> Iterable[str]:
    """The media types of an Accept header without parameters, those with ``q=0`` left out."""
    for entry in header.split(","):
        media_type, *parameters = (part.strip().lower() for part in entry.split(";"))
        if not any(parameter in {"q=0", "q=0.0", "q=0.00", "q=0.000"} for parameter in parameters):
            yield media_type


class ContractNegotiation(BaseContentNegotiation):
    """JSON, or 406 where the view has not said that it reads the Accept header itself.

    The renderer is always JSON, so errors are JSON whatever was asked for.
    """

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> None:
        """None: ``keepsite.api.bodies`` reads bodies, after the checks that come before them."""

    def select_renderer(
        self,
        request: Request,  # noqa: ARG002
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,  # noqa: ARG002
    ) -> tuple[BaseRenderer, str]:
        """JSON; never a 406 here, because the contract has 404 and 405 come first."""
        return next(iter(renderers)), JSON


def require_json(request: Request) -> None:
    """Answer 406 unless the client takes JSON.

    Raises:
        rest_framework.exceptions.NotAcceptable: it does not.
    """
    if not accepts_json(request.headers.get("Accept", "")):
        raise NotAcceptableHere
