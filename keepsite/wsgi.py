import os

from django.core.wsgi import get_wsgi_application

from keepsite.api.charset import in_utf8
from keepsite.identity.gate import guarded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "keepsite.settings")
application = guarded(in_utf8(get_wsgi_application()))
