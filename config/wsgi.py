"""The WSGI application, served by granian: `granian --interface wsgi config.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings_web"  # also where a parent process names the plain settings
application = get_wsgi_application()
