"""Schemathesis reads the document and attacks a running Keepsite with what it makes of it, all checks on."""

import subprocess

import pytest

from tests.openapi.attack import command
from tests.support.product import CHECKOUT

EXAMPLES = 5  # of each operation; ``make schemathesis`` takes more
TIMEOUT_S = 600  # on a machine that is very busy

pytestmark = pytest.mark.processes


class TestSchemathesis:
    def test_finds_nothing_that_the_document_does_not_say(self, product):
        arguments, environment = command(
            product, "--max-examples", str(EXAMPLES), "--seed", "1", "--no-color"
        )

        done = subprocess.run(
            arguments, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False,
            timeout=TIMEOUT_S,
        )  # fmt: skip

        assert done.returncode == 0, done.stdout
        assert "Selected: 60/60" in done.stdout
        assert "Tested: 60" in done.stdout
