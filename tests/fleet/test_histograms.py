import pytest

from keepsite.fleet.histograms import added, grown, percentile_s

BOUNDS_S = (0.1, 0.2, 0.4)


class TestPercentile:
    @pytest.mark.parametrize(
        ("counts", "percent", "expected"),
        [
            ((0, 0, 0, 0), 50, None),
            ((10, 0, 0, 0), 50, 0.05),
            ((0, 10, 0, 0), 50, 0.15),
            ((50, 49, 1, 0), 99, 0.2),
            ((0, 0, 0, 5), 50, 0.4),
        ],
    )
    def test_lies_within_its_bucket(self, counts, percent, expected):
        assert percentile_s(counts, BOUNDS_S, percent) == pytest.approx(expected)


class TestCounts:
    def test_add_up(self):
        assert added([(1, 2), (3, 4)]) == (4, 6)

    def test_grow(self):
        assert grown((5, 2), (3, 2)) == (2, 0)

    def test_that_began_anew_are_all_new(self):
        assert grown((1, 2), (3, 2)) == (1, 2)
