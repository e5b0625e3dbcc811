from hypothesis import given
from hypothesis import strategies as st

from keepsite.keyring.canonical import canonical_bytes
from keepsite.keyring.sealed import SealContext

texts = st.text(max_size=6)
contexts = st.builds(SealContext, project_id=texts, secret_id=texts, version=st.integers(0, 20))


class TestCanonicalBytes:
    def test_the_layout_is_domain_then_lengths_and_parts(self):
        assert canonical_bytes("d:v1", "é", "") == b"d:v1" + b"\0\0\0\2\xc3\xa9" + b"\0\0\0\0"

    @given(st.lists(texts, max_size=5), st.lists(texts, max_size=5))
    def test_equal_bytes_come_from_equal_parts_only(self, one, other):
        assert (canonical_bytes("d", *one) == canonical_bytes("d", *other)) == (one == other)

    @given(st.lists(texts, min_size=2, max_size=5), st.integers(1, 4))
    def test_moving_a_border_between_parts_changes_the_bytes(self, parts, at):
        joined = "".join(parts)
        moved = [joined[: at % (len(joined) + 1)], joined[at % (len(joined) + 1) :]]

        assert (canonical_bytes("d", *parts) == canonical_bytes("d", *moved)) == (parts == moved)


class TestSealContext:
    @given(contexts, contexts, texts, texts)
    def test_no_two_contexts_share_an_aad(self, one, other, pkek_id, other_pkek_id):
        same = (one, pkek_id) == (other, other_pkek_id)

        assert (one.aad(pkek_id) == other.aad(other_pkek_id)) == same

    def test_the_stored_layout_never_changes(self):
        context = SealContext(project_id="p", secret_id="s", version=1)

        assert (
            context.aad("k")
            == b"keepsite:secret:v1" + b"\0\0\0\1p" + b"\0\0\0\1s" + b"\0\0\0\0011" + b"\0\0\0\1k"
        )
