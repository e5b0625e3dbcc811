from hypothesis import strategies as st


def chosen(values):
    """One of ``values``, the first where it does not matter.

    ``st.sampled_from`` writes them all out again and again in its own description; ours are long.
    """
    found = list(values)
    return st.integers(0, len(found) - 1).map(lambda index: found[index])
