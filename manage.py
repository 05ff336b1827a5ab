#!/usr/bin/env python
"""Django's command line for the Gatebook server."""

import os
import sys

from django.core.management import execute_from_command_line
from django.db import OperationalError

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        sys.exit(f"The database broke off: {error}\nIs it running? `make demo` and `make run` start the embedded one.")
