import os

from django.core.wsgi import get_wsgi_application

from keepsite.identity.gate import guarded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "keepsite.settings")
application = guarded(get_wsgi_application())
