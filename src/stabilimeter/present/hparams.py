"""What the HPARAMS tab of TensorBoard shows of a sweep: one row per group, its overrides against its scores.

The tab reads each metric from the last point of a scalar of the group's run. The mean of the primary metric is there
already; the scores are single points under ``~score``, which the tilde sorts behind everything else.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from stabilimeter.analysis.summary import GroupSummary, Summary

if TYPE_CHECKING:
    from tensorboard.plugins.hparams.api_pb2 import HParamInfo

Value = bool | float | str

SCORE = "~score/stability"
FAILURE_RATE = "~score/failure_rate"
POINTS_LOST = "~score/lost_to_"


def swept(labels: Sequence[str]) -> list[dict[str, Value]] | None:
    """The overrides that differ between groups, by group; None if the labels are not overrides, or nothing differs.

    >>> swept(["model.lr=0.1,data=a", "model.lr=1e-2,data=a"])
    [{'model.lr': 0.1}, {'model.lr': 0.01}]
    >>> swept(["base", "tuned"]), swept(["model.lr=0.1"])
    (None, None)
    """
    parts = [[part.strip() for part in label.split(",")] for label in labels]
    if len(parts) < 2 or not all("=" in part for label in parts for part in label):
        return None
    own = [dict(part.split("=", 1) for part in label) for label in parts]
    keys = [key for key in dict.fromkeys(key for group in own for key in group) if len({g.get(key) for g in own}) > 1]
    texts = {key: [group[key] for group in own if key in group] for key in keys}
    read = {key: _reader(texts[key]) for key in keys}
    return [{key: read[key](group[key]) for key in keys if key in group} for group in own]


def score_points(group: GroupSummary) -> dict[str, float]:
    """The single points that the tab reads: the scores of a group that are known."""
    stability = group.stability
    points = {SCORE: stability.score, FAILURE_RATE: stability.failure_rate}
    if stability.score is not None:
        points |= {f"{POINTS_LOST}{part}": lost for part, lost in stability.points_lost.items()}
    return {tag: value for tag, value in points.items() if value is not None}


def experiment(summary: Summary, overrides: Sequence[dict[str, Value]]) -> bytes:
    """A ``Summary`` message that names the columns of the tab."""
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    columns = [_column(key, [group[key] for group in overrides if key in group]) for key in _keys(overrides)]
    points = dict.fromkeys(tag for group in summary.groups for tag in score_points(group))
    names = {tag: tag.partition("/")[2].replace("_", " ") for tag in points}
    primaries = dict.fromkeys(group.primary_metric for group in summary.groups if group.primary_metric in group.bands)
    names |= {tag: f"{tag} (mean)" for tag in primaries if tag is not None}
    metrics = [
        api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), display_name=name)
        for tag, name in sorted(names.items(), key=lambda item: (item[0] != SCORE, item[0].startswith("~")))
    ]
    content = plugin_data_pb2.HParamsPluginData(
        version=metadata.PLUGIN_DATA_VERSION,
        experiment=api_pb2.Experiment(hparam_infos=columns, metric_infos=metrics),
    )
    return _message(metadata.EXPERIMENT_TAG, content.SerializeToString())


def session(overrides: dict[str, Value]) -> bytes:
    """A ``Summary`` message that makes a run a row of the tab.

    The row takes the name of the run: with a name of our own, groups of two sweeps that happen to be called the same
    would be averaged into one row.
    """
    from google.protobuf.struct_pb2 import Value as Field
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    start = plugin_data_pb2.SessionStartInfo()
    for key, value in overrides.items():
        if isinstance(value, bool):
            start.hparams[key].CopyFrom(Field(bool_value=value))
        elif isinstance(value, float):
            start.hparams[key].CopyFrom(Field(number_value=value))
        else:
            start.hparams[key].CopyFrom(Field(string_value=value))
    content = plugin_data_pb2.HParamsPluginData(version=metadata.PLUGIN_DATA_VERSION, session_start_info=start)
    return _message(metadata.SESSION_START_INFO_TAG, content.SerializeToString())


def _keys(overrides: Sequence[dict[str, Value]]) -> list[str]:
    return list(dict.fromkeys(key for group in overrides for key in group))


def _column(key: str, values: Sequence[Value]) -> "HParamInfo":
    from google.protobuf.struct_pb2 import ListValue
    from tensorboard.plugins.hparams import api_pb2

    kinds = {bool: api_pb2.DATA_TYPE_BOOL, float: api_pb2.DATA_TYPE_FLOAT64, str: api_pb2.DATA_TYPE_STRING}
    domain = ListValue()
    domain.extend(dict.fromkeys(values))
    return api_pb2.HParamInfo(name=key, type=kinds[type(values[0])], domain_discrete=domain)


def _message(tag: str, content: bytes) -> bytes:
    from tensorboard.compat.proto.summary_pb2 import Summary as SummaryMessage
    from tensorboard.compat.proto.summary_pb2 import SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.plugins.hparams.metadata import PLUGIN_NAME

    data = SummaryMetadata.PluginData(plugin_name=PLUGIN_NAME, content=content)
    value = SummaryMessage.Value(
        tag=tag,
        metadata=SummaryMetadata(plugin_data=data),
        tensor=TensorProto(dtype="DT_FLOAT", float_val=[0.0], tensor_shape=TensorShapeProto()),
    )
    message: bytes = SummaryMessage(value=[value]).SerializeToString()
    return message


def _reader(texts: Sequence[str]) -> Callable[[str], Value]:
    """How to read the values of a column: as truth values or numbers if all of them are, else as they are."""
    if all(text in ("true", "false") for text in texts):
        return lambda text: text == "true"
    return float if all(map(_is_number, texts)) else str


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
