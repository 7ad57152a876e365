"""Small models are slower on several threads than on one; subprocesses inherit it."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
