"""What a token does with an MKEK's unwrap template, and what is said about it at start."""

import pytest

from hsm.keys import UnwrapTemplate
from tests.hsm.conftest import create_key


@pytest.fixture
def warnings_of_a_start(make_hsm, caplog):
    """The warnings that an HSM logs which has to prove a key of this MKEK before it serves."""

    def warnings(template):
        first = make_hsm()
        canary = create_key(first, first.generate_mkek(label="mkek-1", template=template))
        first.close()
        caplog.clear()
        second = make_hsm()
        second.start()
        second.expect([canary])
        return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]

    return warnings


class TestStart:
    @pytest.mark.parametrize("template", [UnwrapTemplate.STRICT, UnwrapTemplate.ROTATABLE])
    def test_says_nothing_of_a_template_that_the_token_enforces(self, warnings_of_a_start, template):
        assert warnings_of_a_start(template) == []

    def test_says_which_template_the_token_does_not_enforce(self, warnings_of_a_start, shim):
        shim.speak(lax=True)

        (said,) = warnings_of_a_start(UnwrapTemplate.STRICT)

        assert said == (
            "a: the token does not enforce template strict of MKEK mkek-1: "
            "whoever has the PIN can read the keys it wraps"
        )

    def test_says_which_mkek_has_none(self, warnings_of_a_start):
        (said,) = warnings_of_a_start(UnwrapTemplate.NONE)

        assert said == (
            "a: MKEK mkek-1 has no unwrap template: whoever has the PIN can read the keys it wraps"
        )
