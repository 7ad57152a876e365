"""The command line: arguments in, exit status out; everything else happens in the layers below.

Layers are imported by the command that needs them, so that ``--help`` is instant.
"""

from stabilimeter.cli.program import main as main
