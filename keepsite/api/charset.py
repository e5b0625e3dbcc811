"""Requests are read as UTF-8, whatever charset their Content-Type claims.

Django decodes the query string in the claimed charset, and fails on the name of one that
is no charset of texts (``hex``), or that it cannot parse, before any code of ours runs.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

# The one parameter that anything here reads: where the parts of a console's form begin.
_BOUNDARY = re.compile(
    r"""multipart/form-data\s*;(?:.*;)?\s*(boundary=(?:"[^";]+"|[^\s";]+))""", re.IGNORECASE
)


def in_utf8(application: "WSGIApplication") -> "WSGIApplication":
    """``application``, which sees of a Content-Type the media type and a form's boundary."""

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        content_type: str = environ.get("CONTENT_TYPE", "")
        if ";" in content_type:
            media_type = content_type.partition(";")[0].strip()
            boundary = _BOUNDARY.match(content_type)
            environ["CONTENT_TYPE"] = f"{media_type}; {boundary[1]}" if boundary else media_type
        return application(environ, start_response)

    return answer
