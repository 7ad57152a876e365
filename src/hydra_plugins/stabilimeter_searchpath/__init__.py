"""Puts stabilimeter's packaged config groups on the search path of every Hydra app.

Hydra imports this module each time an app starts: standard library and Hydra only.
"""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


class StabilimeterSearchPath(SearchPathPlugin):
    """Appended, so that an app's own groups of the same name come first."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Adds ``pkg://stabilimeter.conf``."""
        search_path.append(provider="stabilimeter", path="pkg://stabilimeter.conf")
