"""`python -m barnabas` is the command `barnabas`."""

import sys

from .cli.main import main

sys.exit(main())
