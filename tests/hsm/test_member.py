"""Each fault, provoked through the shim, and what the member does about it."""

import threading

import pytest

from hsm.errors import (
    CallRefused,
    CanaryMismatch,
    IntegrityFailed,
    KeyNotFound,
    LoginRefused,
    MechanismUnsupported,
    MemberUnavailable,
    MKEKNotFound,
    PoolExhausted,
    SessionLost,
    TokenNotFound,
)
from hsm.stats import calls_made
from tests.hsm.conftest import create_key, member_of
from tests.support.waiting import wait_until

AAD = b"whose it is"


@pytest.fixture
def sealed(hsm, key):
    return hsm.encrypt(key, b"secret", aad=AAD)


def state(hsm):
    return hsm.status()[0].state


class TestDataFaults:
    @pytest.mark.parametrize("rv", [0x20, 0x21, 0x40, 0x41, 0x110, 0x112, 0xC0, 0xC1])
    def test_fail_this_object_keep_the_session_and_trip_nobody(self, hsm, key, sealed, shim, rv):
        shim.answer(rv, "C_Decrypt", times=1)

        with shim.counting() as calls, pytest.raises(IntegrityFailed):
            hsm.decrypt(key, sealed, aad=AAD)

        assert calls == {"C_DecryptInit": 1, "C_Decrypt": 1}
        assert state(hsm) == "up"


class TestAmbiguousFaults:
    @pytest.mark.parametrize("rv", [0x05, 0x06, 0x81000071, 0x12345])
    def test_on_reading_the_canary_clears_the_token(self, hsm, key, sealed, shim, rv):
        hsm.expect([key])
        shim.answer(rv, "C_Decrypt", times=1)

        with shim.counting() as calls, pytest.raises(IntegrityFailed):
            hsm.decrypt(key, sealed, aad=AAD)

        assert calls["C_OpenSession"] == 1
        assert calls["C_UnwrapKey"] == 1
        assert state(hsm) == "up"
        assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"

    @pytest.mark.parametrize("with_canary", [True, False])
    def test_on_reading_a_canary_that_fails_takes_the_member_down(self, hsm, key, sealed, shim, with_canary):
        if with_canary:
            hsm.expect([key])
        shim.answer(0x05, "C_Decrypt")

        with pytest.raises(MemberUnavailable):
            hsm.decrypt(key, sealed, aad=AAD)

        assert state(hsm) == "down"
        shim.clear()
        wait_until(lambda: state(hsm) == "up")
        assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"

    def test_elsewhere_only_the_third_in_a_row_trips(self, hsm, key, shim):
        shim.answer(0x05, "C_GenerateRandom")
        for expected in ("up", "up", "down"):
            with pytest.raises(MemberUnavailable):
                hsm.random(8)
            assert state(hsm) == expected

    def test_an_unwrap_that_fails_is_judged_too(self, hsm, key, sealed, shim):
        hsm.forget(key.key_id)
        shim.answer(0x05, "C_UnwrapKey", times=1)

        with pytest.raises(IntegrityFailed):
            hsm.decrypt(key, sealed, aad=AAD)

        assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"

    def test_a_canary_of_another_key_quarantines(self, hsm, mkek, key, sealed, shim):
        hsm.expect([key])
        member_of(hsm)._canaries = {
            "x": type(key)(
                key_id="x", mkek_id=key.mkek_id, wrapped=create_key(hsm, mkek).wrapped, canary=key.canary
            )
        }
        shim.answer(0x05, "C_Decrypt", times=1)

        with pytest.raises(MemberUnavailable):
            hsm.decrypt(key, sealed, aad=AAD)

        assert state(hsm) == "down"
        wait_until(lambda: state(hsm) == "quarantined")  # the probe saw it a second time
        with pytest.raises(CanaryMismatch):
            hsm.decrypt(key, sealed, aad=AAD)


class TestHandleFaults:
    @pytest.mark.parametrize("rv", [0x60, 0x82])
    def test_the_key_is_unwrapped_again_and_the_call_repeated_once(self, hsm, key, sealed, shim, rv):
        shim.answer(rv, "C_DecryptInit", times=1)

        with shim.counting() as calls:
            assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"

        assert calls["C_UnwrapKey"] == 1
        assert calls["C_DecryptInit"] == 2
        assert "C_DestroyObject" not in calls  # its number may be another key's by now

    def test_a_key_really_gone_from_the_token_comes_back(self, hsm, key, sealed):
        connection = member_of(hsm)._connection
        connection._native.destroy(connection.owner, connection.handles.pin(key.key_id).handle)

        assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"

    def test_twice_is_a_key_that_cannot_be_found(self, hsm, key, sealed, shim):
        shim.answer(0x60, "C_DecryptInit")

        with pytest.raises(KeyNotFound):
            hsm.decrypt(key, sealed, aad=AAD)

        assert shim.calls()["C_UnwrapKey"] == 2
        assert state(hsm) == "up"

    @pytest.mark.parametrize("rv", [0xF0, 0x113])
    def test_an_mkek_is_searched_again(self, hsm, key, sealed, shim, rv):
        hsm.forget(key.key_id)
        shim.answer(rv, "C_UnwrapKey", times=1)

        with shim.counting() as calls:
            assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"

        assert calls["C_FindObjectsInit"] == 1

    def test_an_mkek_that_is_gone_quarantines_the_member_that_proved_it(self, hsm, key, sealed):
        hsm.expect([key])
        connection = member_of(hsm)._connection
        connection._native.destroy(connection.owner, connection._mkek(key.mkek_id))
        hsm.forget(key.key_id)

        with pytest.raises(MKEKNotFound):
            hsm.decrypt(key, sealed, aad=AAD)

        assert state(hsm) == "quarantined"


class TestSessionFaults:
    @pytest.mark.parametrize("rv", [0xB0, 0xB3, 0x90, 0x91])
    def test_the_call_is_repeated_once_on_a_new_session(self, hsm, key, sealed, shim, rv):
        shim.answer(rv, "C_Decrypt", times=1)

        with shim.counting() as calls:
            assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"

        assert calls["C_CloseSession"] == 1
        assert calls["C_OpenSession"] == 1
        assert "C_Login" not in calls

    def test_twice_is_a_lost_session(self, hsm, key, sealed, shim):
        shim.answer(0xB3, "C_DecryptInit")

        with pytest.raises(SessionLost):
            hsm.decrypt(key, sealed, aad=AAD)

        shim.clear()
        assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"

    def test_all_sessions_gone_means_one_new_login(self, hsm, key, sealed, shim):
        connection = member_of(hsm)._connection
        connection._native.close_all_sessions(connection.slot)

        with shim.counting() as calls:
            assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"

        assert calls["C_Login"] == 1
        assert state(hsm) == "up"

    def test_a_keeper_that_died_takes_its_keys_with_it_and_leads_to_a_new_login(self, hsm, key, sealed, shim):
        hsm.forget(key.key_id)
        shim.answer(0xB3, "C_UnwrapKey", times=1)

        with shim.counting() as calls:
            assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"

        assert calls["C_Login"] == 1


class TestLoginFaults:
    def test_a_lost_login_is_repaired_once_for_all_threads(self, hsm, key, sealed, shim):
        connection = member_of(hsm)._connection
        connection._native.close_all_sessions(connection.slot)
        opened, together = [], threading.Barrier(8)
        shim.delay(3000)

        def read():
            together.wait()
            opened.append(hsm.decrypt(key, sealed, aad=AAD))

        with shim.counting() as calls:
            run_all([read] * 8)

        assert opened == [b"secret"] * 8
        assert calls["C_Login"] == 1

    def test_0x101_logs_in_anew(self, hsm, key, sealed, shim):
        shim.answer(0x101, "C_DecryptInit", times=1)

        with shim.counting() as calls:
            assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"

        assert calls["C_Login"] == 1

    def test_a_handle_number_given_out_twice_drops_every_handle(self, hsm, mkek, key, sealed, shim):
        other = create_key(hsm, mkek)
        hsm.forget(other.key_id)
        handles = member_of(hsm)._connection.handles
        handles._numbers.update(range(1000))

        with shim.counting() as calls:
            hsm.encrypt(other, b"x", aad=AAD)

        assert calls["C_Login"] == 1
        assert member_of(hsm)._connection.handles is not handles


class TestResourceFaults:
    @pytest.mark.parametrize("rv", [0x02, 0x31])
    def test_room_is_made_and_the_call_repeated(self, hsm, mkek, key, sealed, shim, rv):
        for _ in range(7):
            create_key(hsm, mkek)
        hsm.forget(key.key_id)
        shim.answer(rv, "C_UnwrapKey", times=1)

        with shim.counting() as calls:
            assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"

        assert calls["C_DestroyObject"] == 2
        assert state(hsm) == "up"

    def test_no_room_twice_is_exhaustion(self, hsm, key, sealed, shim):
        hsm.forget(key.key_id)
        shim.answer(0x31, "C_UnwrapKey")

        with pytest.raises(PoolExhausted):
            hsm.decrypt(key, sealed, aad=AAD)

        assert state(hsm) == "up"


class TestMemberFaults:
    @pytest.mark.parametrize("rv", [0x30, 0x32, 0xE0, 0xE1, 0x03, 0x190, 0x200])
    def test_the_member_goes_down_at_once_and_comes_back_by_itself(self, hsm, key, sealed, shim, rv):
        shim.answer(rv, "C_DecryptInit", times=1)

        with shim.counting() as calls, pytest.raises(MemberUnavailable) as failure:
            hsm.decrypt(key, sealed, aad=AAD)

        assert calls == {"C_DecryptInit": 1}
        assert failure.value.retry_after_s >= 1
        wait_until(lambda: state(hsm) == "up")
        assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"

    def test_while_down_requests_fail_without_a_call(self, hsm, key, sealed, shim):
        shim.answer(0x30)
        with pytest.raises(MemberUnavailable):
            hsm.decrypt(key, sealed, aad=AAD)

        before = calls_made()
        for _ in range(100):
            with pytest.raises(MemberUnavailable):
                hsm.decrypt(key, sealed, aad=AAD)

        assert calls_made() == before
        assert hsm.status()[0].last_error == "MemberUnavailable"

    def test_a_member_comes_back_only_after_its_canary(self, hsm, mkek, key, sealed, shim):
        hsm.expect([key])
        shim.answer(0x30, "C_DecryptInit", times=1)
        with pytest.raises(MemberUnavailable):
            hsm.decrypt(key, sealed, aad=AAD)

        with shim.counting() as calls:
            wait_until(lambda: state(hsm) == "up")

        assert calls["C_Finalize"] == 1
        assert calls["C_Initialize"] == 1
        assert calls["C_UnwrapKey"] == 1
        assert calls["C_Decrypt"] == 1

    def test_nothing_is_finalised_while_a_call_is_in_flight(self, make_hsm, shim):
        hsm = make_hsm(wait_s=0.2)
        key = create_key(hsm, hsm.generate_mkek(label="m"))
        sealed = hsm.encrypt(key, b"secret", aad=AAD)
        with shim.holding("C_Decrypt"):
            stuck = threading.Thread(target=hsm.decrypt, args=(key, sealed), kwargs={"aad": AAD})
            stuck.start()
            wait_until(lambda: shim.held == 1)
            member = member_of(hsm)
            member._trip(member._connection, type("Fault", (Exception,), {})())

            assert not member.probe()
            assert "C_Finalize" not in shim.calls()
        stuck.join()
        wait_until(lambda: state(hsm) == "up")

    def test_a_token_that_is_missing_at_start_is_named_and_looked_for_again(self, make_hsm, token):
        token.label = "elsewhere"
        hsm = make_hsm()

        with pytest.raises(TokenNotFound, match="label elsewhere"):
            hsm.start()

        assert state(hsm) == "down"
        token.util("--init-token", "--free", "--label", "elsewhere", "--pin", "1234", "--so-pin", "5678")
        wait_until(lambda: state(hsm) == "up")


class TestCredentialFaults:
    def test_a_wrong_pin_is_tried_exactly_once_whoever_asks(self, make_hsm, token, shim):
        token.pin_file.write_text("9999")
        hsm = make_hsm()

        for attempt in (hsm.start, lambda: hsm.random(1), hsm.mkeks, make_hsm().start):
            with pytest.raises(LoginRefused, match="login-refused-a"):
                attempt()

        assert shim.calls()["C_Login"] == 1
        assert state(hsm) == "quarantined"

    def test_the_marker_holds_no_pin_and_only_this_user_reads_it(self, make_hsm, token):
        token.pin_file.write_text("wrong")
        with pytest.raises(LoginRefused):
            make_hsm().start()

        marker = token.folder / "login-refused-a"
        assert "wrong" not in marker.read_text()
        assert marker.stat().st_mode & 0o777 == 0o600

    def test_another_pin_is_tried_and_clears_the_marker(self, make_hsm, token):
        token.pin_file.write_text("9999")
        with pytest.raises(LoginRefused):
            make_hsm().start()
        token.pin_file.write_text("1234")

        hsm = make_hsm()
        hsm.start()

        assert state(hsm) == "up"
        assert not (token.folder / "login-refused-a").exists()

    def test_a_damaged_marker_stops_everybody(self, make_hsm, token, shim):
        (token.folder / "login-refused-a").write_text("?")

        with pytest.raises(LoginRefused):
            make_hsm().start()

        assert "C_Login" not in shim.calls()

    @pytest.mark.parametrize("rv", [0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0x102, 0x103])
    def test_each_refusal_quarantines(self, make_hsm, shim, rv):
        shim.answer(rv, "C_Login")
        hsm = make_hsm()

        with pytest.raises(LoginRefused):
            hsm.start()

        assert state(hsm) == "quarantined"

    def test_a_second_login_of_the_process_counts_as_success(self, hsm, make_hsm, mkek):
        assert make_hsm().mkeks() == (mkek,)


class TestProgrammingFaults:
    @pytest.mark.parametrize("rv", [0x07, 0xD0, 0xD1, 0x63, 0x68, 0x69, 0x6A, 0x115])
    def test_fail_loudly_and_trip_nobody(self, hsm, key, sealed, shim, rv):
        shim.answer(rv, "C_DecryptInit", times=1)

        with pytest.raises(CallRefused):
            hsm.decrypt(key, sealed, aad=AAD)

        assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"

    @pytest.mark.parametrize("rv", [0x54, 0x70, 0x71])
    def test_a_missing_mechanism_is_named_as_such(self, hsm, key, sealed, shim, rv):
        shim.answer(rv, "C_DecryptInit", times=1)

        with pytest.raises(MechanismUnsupported):
            hsm.decrypt(key, sealed, aad=AAD)

    def test_a_token_without_a_needed_mechanism_does_not_start(self, make_hsm):
        hsm = make_hsm(extra="wrap_mechanism = 0x210B")

        with pytest.raises(MechanismUnsupported, match=r"0x210b\) to wrap and unwrap"):
            hsm.start()

        assert state(hsm) == "quarantined"


def run_all(jobs):
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
