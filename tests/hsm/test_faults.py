import pkcs11
import pytest
from pkcs11 import exceptions

from hsm.faults import CallFailed, Kind, kind_of, rv_of, translating


class TestKindOf:
    @pytest.mark.parametrize(
        ("kind", "codes"),
        [
            (Kind.DATA, [0x20, 0x21, 0x40, 0x41, 0x110, 0x112, 0xC0, 0xC1]),
            (Kind.AMBIGUOUS, [0x05, 0x06, 0x150, 0x81000071, 0xDEADBEEF]),
            (Kind.HANDLE, [0x60, 0x82]),
            (Kind.MKEK_HANDLE, [0xF0, 0x113]),
            (Kind.SESSION, [0xB0, 0xB3, 0x90, 0x91]),
            (Kind.LOGIN, [0x101]),
            (Kind.RESOURCE, [0x02, 0x31, 0xB1]),
            (Kind.MEMBER, [0x30, 0x32, 0xE0, 0xE1, 0x03, 0x190, 0x200]),
            (Kind.CREDENTIALS, [0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0x102, 0x103]),
            (Kind.PROGRAMMING, [0x07, 0x70, 0x71, 0xD0, 0xD1, 0x54, 0x63, 0x68, 0x69, 0x6A, 0x115]),
        ],
        ids=lambda value: value.name if isinstance(value, Kind) else "",
    )
    def test_is_what_the_specification_says(self, kind, codes):
        assert {kind_of(code) for code in codes} == {kind}


class TestTranslating:
    @pytest.mark.parametrize(
        ("error", "rv"),
        [
            (exceptions.DeviceError(), 0x30),
            (exceptions.PinLocked(), 0xA4),
            (pkcs11.PKCS11Error("Unmapped error code 0x81000071"), 0x81000071),
            (pkcs11.PKCS11Error("Initialisation error (not initialized). Should never see this."), 0x190),
            (pkcs11.PKCS11Error("something else"), 0x05),
        ],
    )
    def test_the_number_is_found_again(self, error, rv):
        assert rv_of(error) == rv
        with pytest.raises(CallFailed) as failure, translating("C_OpenSession"):
            raise error
        assert failure.value.rv == rv
        assert failure.value.function == "C_OpenSession"

    def test_every_code_that_reaches_python_pkcs11_arrives_as_itself(self, hsm, shim):
        hsm.start()
        connection = hsm._group.members[0]._connection
        for rv in (0x02, 0x05, 0x06, 0x30, 0x31, 0x32, 0xB1, 0xE0, 0xE1, 0x190, 0x80000123):
            shim.answer(rv, "C_OpenSession", times=1)

            with pytest.raises(CallFailed) as failure:
                connection._open(rw=True)
            assert failure.value.rv == rv
