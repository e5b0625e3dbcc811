"""What ``make run`` prints when Keepsite is up: addresses, examples that work as they are, the way out."""

import json
import shlex
from textwrap import indent

from state import CHECKOUT, StateFolder

BANNER = """
Keepsite is running.

  API       {url}/v1/
  Console   {url}/admin/   {operator}
  Health    {url}/healthcheck
  State     {state}   (keys, database, logs; only you can read it)

Store a secret and read it back, with curl:

{curl}

The same in Python, with python-barbicanclient:

{python}

Keepsite's own commands, on the same state:

{commands}

Stop: Ctrl-C. Start again with the same state: make run. Delete the state: make clean-state.
"""

CURL = """\
KEY="X-Auth-Token: $(cat {api_key})"
REF=$(curl -sS {url}/v1/secrets -H "$KEY" -H 'Content-Type: application/json' \\
  -d '{{"name": "first", "payload": "my first secret", "payload_content_type": "text/plain"}}' |
  sed 's/.*"secret_ref": *"\\([^"]*\\)".*/\\1/')
curl -sS "$REF/payload" -H "$KEY" -H 'Accept: text/plain'; echo
"""

PYTHON = """\
{python} - <<'END'
from pathlib import Path
from barbicanclient.client import Client
from keystoneauth1.session import Session
from keystoneauth1.token_endpoint import Token

url = "{url}"
api_key = Path({api_key}).read_text().strip()
barbican = Client(session=Session(auth=Token(url, api_key)), endpoint=url)
ref = barbican.secrets.create(name="first", payload="my first secret").store()
print(barbican.secrets.get(ref).payload)
END
"""

COMMANDS = """\
set -a; . {environment}; set +a
{python} {manage} help
"""


def curl_example(state: StateFolder, url: str) -> str:
    """Shell lines that store a secret and print its payload."""
    return CURL.format(url=url, api_key=shlex.quote(str(state.api_key)))


def python_example(state: StateFolder, url: str) -> str:
    """Shell lines that do the same through the unmodified Barbican client."""
    return PYTHON.format(python=_venv_python(), url=url, api_key=json.dumps(str(state.api_key)))


def banner(state: StateFolder, url: str, *, operator: dict[str, str]) -> str:
    """The whole text; ``operator`` holds the user name and the one-time password if they were just made."""
    commands = COMMANDS.format(
        environment=shlex.quote(str(state.environment)),
        python=_venv_python(),
        manage=shlex.quote(str(CHECKOUT / "manage.py")),
    )
    return BANNER.format(
        url=url,
        state=state.path,
        operator=_operator_line(operator),
        curl=indent(curl_example(state, url), "  ").rstrip(),
        python=python_example(state, url).rstrip(),  # not indented: a heredoc ends at the left margin
        commands=indent(commands, "  ").rstrip(),
    )


def _operator_line(operator: dict[str, str]) -> str:
    if not operator:
        return "(operators as before)"
    return f"user {operator['username']}, one-time password {operator['password']}   (shown only now)"


def _venv_python() -> str:
    return shlex.quote(str(CHECKOUT / ".venv/bin/python"))
