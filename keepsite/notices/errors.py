from keepsite.errors import KeepsiteError


class NotSent(KeepsiteError):
    """A message did not arrive; it is tried again later.  ``public`` says why, without address or secret."""
