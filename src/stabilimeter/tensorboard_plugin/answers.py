"""What the tab can ask for, and the JSON it gets."""

from collections.abc import Callable, Mapping
from typing import Any

from stabilimeter.records import strict_json
from stabilimeter.tensorboard_plugin import checkpoints, compared, curves, incident_lanes, layer_map, overview
from stabilimeter.tensorboard_plugin.live_sweep import LiveSweep
from stabilimeter.tensorboard_plugin.question import QuestionError
from stabilimeter.tensorboard_plugin.snapshot import Snapshot, State

VIEWS: Mapping[str, Callable[[Snapshot, Mapping[str, str]], dict[str, Any]]] = {
    "summary": lambda snapshot, _: snapshot.summary.to_dict(),
    "overview": overview.answer,
    "curves": curves.answer,
    "incidents": incident_lanes.answer,
    "window": incident_lanes.window_answer,
    "layers": layer_map.answer,
    "checkpoints": checkpoints.answer,
    "compare": compared.answer,
}


def answer(live: LiveSweep, name: str, arguments: Mapping[str, str]) -> tuple[int, str]:
    """HTTP status code and strict JSON for a request of the tab.

    Args:
        live: The log folder.
        name: ``"status"`` or one of `VIEWS`.
        arguments: The arguments of the request.
    """
    state = live.state()
    if name == "status":
        return 200, strict_json.dumps(_status(live, state))
    if state.snapshot is None:
        return 503, strict_json.dumps({"error": state.error or "the runs are still being read"})
    try:
        return 200, strict_json.dumps(VIEWS[name](state.snapshot, arguments))
    except QuestionError as error:
        return 400, strict_json.dumps({"error": str(error)})


def _status(live: LiveSweep, state: State) -> dict[str, Any]:
    return {
        "folder": live.folder,
        "version": state.snapshot.version if state.snapshot is not None else 0,
        "is_scored": state.snapshot is not None and state.snapshot.is_scored,
        "doing": state.doing,
        "done": state.done,
        "total": state.total,
        "error": state.error,
    }
