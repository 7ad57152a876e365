"""The records of other seeds of the same group, followed while they are written."""

import glob
import os
import re
import time
from collections.abc import Collection
from pathlib import Path

from stabilimeter.records import keys
from stabilimeter.records.manifest import MANIFEST_FILE, RECORD_DIR, Manifest, RunStatus, read_manifest
from stabilimeter.records.points import Points
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.run import status_of
from stabilimeter.records.run_tail import RunTail
from stabilimeter.stats.failure import ends_nonfinite, is_worse_at_the_end

MAX_SIBLINGS = 64
"""The runs that started last are followed."""

_PIECE_BYTES = 1 << 22
_ENDED_BADLY = (RunStatus.FAILED, RunStatus.DIVERGED, RunStatus.DIED)
_SEED_PART = re.compile(r"(.*,)?seed[=_-]?\d+")
_VERSION_PART = re.compile(r"version_\d+")


def folder_of_siblings(run: Path, job: Path | None = None) -> Path:
    """The folder that holds the runs of all seeds.

    Above the part of the path that names the seed (``.../seed=3/...``), inside a Hydra job above the folder of the job,
    else above the run (``lightning_logs`` above ``version_3``).

    Args:
        run: Folder of one run.
        job: Output folder of its Hydra job; None outside Hydra.

    >>> folder_of_siblings(Path("sweep/lr=0.1/seed=3/version_0")).as_posix()
    'sweep/lr=0.1'
    """
    if job is not None and run.resolve().is_relative_to(job.resolve()):
        return job.resolve().parent
    named = next((folder for folder in (run, *run.parents) if _SEED_PART.fullmatch(folder.name)), run)
    return named.parent


class Sibling:
    """One other run, as far as it has been read.

    Attributes:
        path: Folder of the run.
        manifest: What it says about itself, when it was read last.
        status: How it stood then.
    """

    def __init__(self, path: Path, manifest: Manifest, tags: Collection[str]) -> None:
        self.path = path
        self._tail = RunTail(path / RECORD_DIR, tags)
        self._told = -1
        self._failed: bool | None = None
        self._stand(manifest)

    def _stand(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.status = status_of(manifest)

    @property
    def has_finished(self) -> bool:
        """Whether its end is known: it neither goes on nor was cancelled."""
        return self.status not in (RunStatus.RUNNING, RunStatus.CANCELLED)

    def read(self, deadline: float) -> bool:
        """Read what is new; False if the time was not enough for all of it.

        Args:
            deadline: Of ``time.monotonic()``. One piece of some 4 MB may still be read after it.

        Raises:
            RecordError: if it cannot be read now. What was read before still holds.
        """
        changed = (self.path / RECORD_DIR / MANIFEST_FILE).stat().st_mtime_ns
        if changed == self._told and self.has_finished:
            return True
        self._stand(read_manifest(self.path / RECORD_DIR / MANIFEST_FILE))
        while True:
            if self._tail.read(_PIECE_BYTES):
                self._failed = None
            if not self._tail.is_behind:
                self._told = changed
                return True
            if time.monotonic() >= deadline:
                return False

    def points(self, tag: str) -> Points | None:
        """What it has logged under a tag; None if nothing."""
        return self._tail.log().scalars.get(tag)

    @property
    def failed(self) -> bool:
        """Whether it failed: it ended badly, or its training loss ends non-finite or above its start.

        The rules of ``stats.failure`` that one run alone can tell.
        """
        if self.status in _ENDED_BADLY:
            return True
        if self._failed is None:
            loss = self.points(keys.LOSS)
            self._failed = loss is not None and (ends_nonfinite(loss.values) or is_worse_at_the_end(loss.values))
        return self._failed


class Siblings:
    """The runs beside one run that differ from it in the seed only.

    They lie in folders of the same depth and form (``<root>/<anything>/<the rest of its path>``), have its group key
    (or one of both has none) and another seed; of several runs with one seed the latest counts. Each look reads only
    what is new. A sibling that cannot be read is passed over until it can.

    Args:
        root: Folder that holds the runs of all seeds, see `folder_of_siblings`.
        own: Folder of the run whose siblings are wanted.
    """

    def __init__(self, root: Path, own: Path) -> None:
        self._root, self._own = root.resolve(), own.resolve()
        parts = self._own.relative_to(self._root).parts[1:] if self._own.is_relative_to(self._root) else ()
        form = ["version_*" if _VERSION_PART.fullmatch(part) else glob.escape(part) for part in parts]
        self._pattern = "/".join(["*", *form, RECORD_DIR, MANIFEST_FILE])
        self._others: set[Path] = set()
        self._known: dict[Path, Sibling] = {}
        self._tags: frozenset[str] = frozenset()
        self._turn = 0

    def read(self, tags: Collection[str], deadline: float) -> list[Sibling]:
        """The siblings, read as far as the time allows; what was left out now comes first at the next look.

        Args:
            tags: What to read of them; more than before makes them be read anew.
            deadline: Of ``time.monotonic()``.

        Raises:
            RecordError: if the record of the run itself cannot be read.
        """
        if not self._tags >= frozenset(tags):
            self._tags |= frozenset(tags)
            self._known = {path: Sibling(path, sibling.manifest, self._tags) for path, sibling in self._known.items()}
        self._search(deadline)
        followed = self._followed()
        for number in range(len(followed)):
            sibling = followed[(self._turn + number) % len(followed)]
            try:
                done = sibling.read(deadline)
            except (RecordError, OSError):  # torn, just replaced, gone: perhaps next time
                done = True
            if not done or time.monotonic() >= deadline:
                self._turn += number if not done else number + 1
                break
        return followed

    def _search(self, deadline: float) -> None:
        try:
            manifests = sorted(self._root.glob(self._pattern))
        except OSError:
            return
        present = {manifest.parent.parent for manifest in manifests}
        self._known = {path: sibling for path, sibling in self._known.items() if path in present}
        unseen = present - self._known.keys() - self._others - {self._own}
        own = read_manifest(self._own / RECORD_DIR / MANIFEST_FILE) if unseen else Manifest()
        for path in unseen:
            if time.monotonic() >= deadline:
                return
            try:
                manifest = read_manifest(path / RECORD_DIR / MANIFEST_FILE)
            except RecordError:
                continue
            same_seed = own.seed is not None and manifest.seed == own.seed
            other_group = None not in (own.group, manifest.group) and manifest.group != own.group
            if same_seed or other_group:
                self._others.add(path)
            else:
                self._known[path] = Sibling(path, manifest, self._tags)

    def _followed(self) -> list[Sibling]:
        latest: dict[int | str, Sibling] = {}
        for sibling in sorted(self._known.values(), key=lambda sibling: sibling.manifest.started or 0.0):
            seed = sibling.manifest.seed
            latest[os.fspath(sibling.path) if seed is None else seed] = sibling
        return list(latest.values())[-MAX_SIBLINGS:]
