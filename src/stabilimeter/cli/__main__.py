"""``python -m stabilimeter.cli``."""

import sys

from stabilimeter.cli.program import main

if __name__ == "__main__":
    sys.exit(main())
