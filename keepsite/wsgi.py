import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from keepsite.api.charset import in_utf8
from keepsite.forwarded import behind_proxies
from keepsite.identity.gate import guarded
from keepsite.nodes.guard import guarded_by_colour
from keepsite.nodes.in_flight import InFlight

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "keepsite.settings")
_api = in_utf8(get_wsgi_application())  # settings can be read from here on
application = guarded_by_colour(
    behind_proxies(guarded(_api)), settings.NODE_STATE_FILE, InFlight(settings.NODE_IN_FLIGHT)
)
