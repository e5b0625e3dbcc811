"""An application that does what none may: it uses the HSM while it is imported, before the fork."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "keepsite.settings")

from hsm.provider import hsm
from keepsite.wsgi import application

hsm().random(1)

__all__ = ["application"]
