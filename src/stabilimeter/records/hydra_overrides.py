"""What Hydra noted about a run: the overrides it was started with."""

from pathlib import Path

from stabilimeter.records.overrides import Overrides
from stabilimeter.records.record_error import RecordError

OVERRIDES_FILE = Path(".hydra") / "overrides.yaml"


def overrides_of(run: Path, root: Path) -> Overrides | None:
    """The overrides of the job that made ``run``: noted in its folder or the nearest one above, up to ``root``.

    Raises:
        RecordError: if the file is there but holds no list of overrides.
    """
    for folder in (run, *run.parents):
        path = folder / OVERRIDES_FILE
        if path.is_file():
            return _read(path)
        if folder == root:
            break
    return None


def _read(path: Path) -> Overrides:
    import yaml

    try:
        items = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecordError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise RecordError(f"{path}: a list of overrides was expected")
    others = []
    seed = None
    for item in items:
        key, _, value = item.lstrip("+~").partition("=")
        if key.rpartition(".")[2] in ("seed", "seed_everything"):
            seed = int(value) if value.lstrip("-").isdigit() else seed
        else:
            others.append(item)
    return Overrides(tuple(sorted(others)), seed)
