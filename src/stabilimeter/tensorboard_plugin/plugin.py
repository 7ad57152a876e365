"""What TensorBoard loads: the tab, its files and its data.

TensorBoard imports this module whenever it starts, in every environment that has the package installed, and a plugin
that cannot be imported takes the whole server down. Hence only the standard library and tensorboard (and werkzeug, on
which it is built) are imported here; everything else is imported when the tab first asks for data, and what goes wrong
then is told in the tab.
"""

import importlib
import json
import logging
import threading
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from tensorboard.backend import http_util
from tensorboard.plugins import base_plugin
from werkzeug import wrappers

if TYPE_CHECKING:
    from stabilimeter.tensorboard_plugin.live_sweep import LiveSweep

logger = logging.getLogger(__name__)

CONTENT_TYPES = {".js": "text/javascript", ".css": "text/css"}
ANSWERS = ("status", "summary", "overview", "curves", "incidents", "window", "layers", "checkpoints", "compare")
"""Names of the data requests; see the module ``answers``."""


class StabilityPlugin(base_plugin.TBPlugin):  # type: ignore[misc]
    """The Stability tab."""

    plugin_name = "stability"

    def __init__(self, context: base_plugin.TBContext) -> None:
        flags = getattr(context, "flags", None)
        self._log_folder: str = getattr(flags, "logdir", None) or getattr(context, "logdir", None) or ""
        self._live: LiveSweep | None = None
        self._making = threading.Lock()
        self._warm_up: threading.Thread | None = None

    def get_plugin_apps(self) -> Mapping[str, Callable[..., Any]]:
        """The routes below ``/data/plugin/stability``: the files of the tab, and its data."""
        static = resources.files("stabilimeter.tensorboard_plugin") / "static"
        files = [entry for entry in static.iterdir() if PurePosixPath(entry.name).suffix in CONTENT_TYPES]
        apps = {f"/{entry.name}": _file_app(entry.name, entry.read_bytes()) for entry in files}
        apps["/index.js"] = self._starting(apps["/index.js"])
        return {**apps, **{f"/data/{name}": self._data_app(name) for name in ANSWERS}}

    def is_active(self) -> bool:
        """Whether there are runs that TensorBoard itself does not read, such as CSV logs.

        It asks only while it has found no scalars, see `data_plugin_names`.
        """
        from stabilimeter.records.discovery import find_runs
        from stabilimeter.records.record_error import RecordError

        folder = Path(self._log_folder)
        try:
            return bool(self._log_folder) and folder.is_dir() and bool(find_runs(folder))
        except RecordError:
            return False

    def data_plugin_names(self) -> tuple[str, ...]:
        """The tab shows scalars, whoever logged them."""
        return ("scalars",)

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        """Name of the tab, and its module.

        TensorBoard asks for it when somebody opens its page: time to import what the tab needs, beside the seconds that
        the page takes to load.
        """
        if self._warm_up is None:
            self._warm_up = threading.Thread(target=_import_the_rest, name="stability-warm-up", daemon=True)
            self._warm_up.start()
        return base_plugin.FrontendMetadata(es_module_path="/index.js", tab_name="Stability", disable_reload=True)

    def _starting(self, app: Callable[..., Any]) -> Callable[..., Any]:
        """An app that also starts the reading: somebody opens the tab, and will ask as soon as its files are there."""

        def start(*arguments: Any) -> Any:
            threading.Thread(target=self._answer, args=("status", {}), name="stability-start", daemon=True).start()
            return app(*arguments)

        return start

    def _data_app(self, name: str) -> Callable[..., Any]:
        @wrappers.Request.application
        def app(request: wrappers.Request) -> wrappers.Response:
            code, text = self._answer(name, request.args)
            response: wrappers.Response = http_util.Respond(request, text, "application/json", code=code)
            return response

        return app

    def _answer(self, name: str, arguments: Mapping[str, str]) -> tuple[int, str]:
        """Status code and JSON text; whatever goes wrong is one line for the tab, the rest is in TensorBoard's log."""
        if self._warm_up is not None:
            self._warm_up.join()  # an import that fails in another thread would give this one half a module
        try:
            from stabilimeter.tensorboard_plugin.answers import answer
            from stabilimeter.tensorboard_plugin.live_sweep import LiveSweep

            with self._making:
                if self._live is None:
                    self._live = LiveSweep(self._log_folder)
            return answer(self._live, name, arguments)
        except Exception as error:
            logger.exception("the Stability tab cannot answer %s", name)
            return 500, json.dumps({"error": f"{type(error).__name__}: {error}".replace("\n", " ")})


def _import_the_rest() -> None:
    try:
        importlib.import_module("stabilimeter.tensorboard_plugin.answers")
    except ImportError as error:  # the tab will say so to whoever opens it
        logger.info("the Stability tab cannot be imported: %s", error)


def _file_app(name: str, content: bytes) -> Callable[..., Any]:
    content_type = CONTENT_TYPES[PurePosixPath(name).suffix]

    @wrappers.Request.application
    def app(request: wrappers.Request) -> wrappers.Response:
        response: wrappers.Response = http_util.Respond(request, content, content_type)
        return response

    return app
