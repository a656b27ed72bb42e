"""A workspace: the folder in which a campaign lives, with its database."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from frugalseg.annotator import Annotation
from frugalseg.data.label import SemanticLabel
from frugalseg.data.pool import Labels, Pool
from frugalseg.data.splits import Split
from frugalseg.data.unit import Unit
from frugalseg.errors import DataError
from frugalseg.workspace import rounds, runs
from frugalseg.workspace.creation import fill, find_database, is_workspace, new_database, new_folder
from frugalseg.workspace.database import Database
from frugalseg.workspace.healing import heal
from frugalseg.workspace.labels import WorkspaceLabels, locked_case
from frugalseg.workspace.records import Drawn, Round, Run
from frugalseg.workspace.tables import FORMAT, CaseRow, MetaRow, RaterRow


class Workspace:
    """A folder with ``frugalseg.db``, ``labels/RATER/CASE.nii.gz|.png``, ``models/``, ``runs/`` and ``cache/``.

    Each method is one transaction, and several processes may work in a workspace at once. `repairs` says what was
    found and mended at opening (see `frugalseg.workspace.healing`).
    """

    def __init__(self, folder: Path, database: Database, meta: MetaRow, *, pool: Pool | None = None) -> None:
        self.folder = folder
        self.data = meta.data
        self.classes = tuple(meta.classes)
        self.settings: Mapping[str, Any] = meta.settings
        self.split = Split(**{name: tuple(ids) for name, ids in meta.split.items()})
        self.labels = WorkspaceLabels(folder, database, self.classes)
        self.repairs: tuple[str, ...] = ()
        self._labels_are = meta.labels_are
        self._database = database
        self._given = pool

    @classmethod
    def create(
        cls,
        folder: str | Path,
        pool: Pool,
        *,
        data: str,
        split: Split,
        settings: Mapping[str, Any],
        labels_are: Literal["drawn", "truth"] = "truth",
        database: str | None = None,
    ) -> "Workspace":
        """Makes a workspace for the pool; labels that were drawn already are copied into it.

        `data` and `labels_are` say how the pool is opened again (`frugalseg.data.spec`); `database` is a SQLAlchemy
        URL if the records shall not lie in the folder. Raises `DataError`, and leaves nothing, when the folder is
        not empty or anything else is wrong.
        """
        target = Path(folder)
        with new_folder(target) as part:
            for name in ("labels", "models", "runs", "cache"):
                (part / name).mkdir()
            base = new_database(part, database)
            with base.writing() as session:
                fill(session, pool, data=data, labels_are=labels_are, split=split, settings=settings)
                _copy(pool.labels, (c.id for c in pool.cases), WorkspaceLabels(part, base, pool.classes), session)
        return cls.open(target, pool=pool)

    @classmethod
    def open(cls, folder: str | Path, *, pool: Pool | None = None) -> "Workspace":
        """Opens a workspace; a pool that is open already may be handed in. Raises `DataError` where there is none."""
        place = Path(folder)
        database = find_database(place)
        workspace = cls(place, database, _meta(place, database), pool=pool)
        workspace.repairs = heal(workspace.labels, database)
        return workspace

    @staticmethod
    def exists(folder: str | Path) -> bool:
        """True when the folder holds a workspace."""
        return is_workspace(Path(folder))

    @property
    def models(self) -> Path:
        """The folder of trained models."""
        return self.folder / "models"

    @property
    def cache(self) -> Path:
        """The folder of what can be computed again."""
        return self.folder / "cache"

    def run_folder(self, run: Run) -> Path:
        """Where a training leaves its checkpoint and log."""
        return self.folder / "runs" / f"{run.id:04d}"

    @cached_property
    def pool(self) -> Pool:
        """The cases with the labels drawn in this workspace; raises `DataError` when one has left the data."""
        source = self._given or self._reopened()
        known = {case.id: case for case in source.cases}
        ids = sorted(self._fingerprints())
        if missing := [i for i in ids if i not in known]:
            raise DataError(
                f"{self.folder}: {len(missing)} of {len(ids)} cases are no longer in the data '{self.data}', "
                f"first '{missing[0]}'; put the files back, or make a new workspace"
            )
        return Pool([known[i] for i in ids], self.classes, labels=self.labels, truth=source.truth)

    def changed_cases(self) -> tuple[str, ...]:
        """The ids of the cases whose image is not the one the workspace was made with."""
        known = self._fingerprints()
        return tuple(c.id for c in self.pool.cases if c.source.fingerprint() != known[c.id])

    def import_labels(self, labels: Labels, cases: Iterable[str] | None = None) -> int:
        """Writes labels from elsewhere over what the same raters have drawn here; returns how many.

        All of them or none: they are checked before the first is written. No cost is noted. Raises `DataError`.
        """
        ids = sorted(self._fingerprints() if cases is None else cases)
        with self._database.writing() as session:
            return _copy(labels, ids, self.labels, session)

    def select(
        self, number: int, units: Sequence[Unit], strategy: str, *, settings: Mapping[str, Any] | None = None
    ) -> None:
        """Opens round `number` with these units, the most wanted first; raises `DataError` when it exists."""
        with self._database.writing() as session:
            rounds.open_round(session, number, units, strategy, settings=settings or {})

    def selected(self, number: int) -> list[Unit]:
        """All units of the round, the most wanted first; planes stand where they were placed."""
        with self._database.reading() as session:
            return rounds.units_of(session, number)

    def pending(self, number: int, rater: str | None = None) -> list[Unit]:
        """The round's units that nobody, or not this rater, has drawn yet, the most wanted first."""
        with self._database.reading() as session:
            return rounds.pending_of(session, number, rater)

    def record_annotation(self, annotation: Annotation) -> None:
        """Keeps one act of annotation: the label is written over what the rater had drawn, cost and unit are noted.

        One transaction: after a crash the act is whole, or its unit is still pending.
        """
        unit, rater = annotation.unit, annotation.rater
        with self._database.writing() as session:
            rounds.add_annotation(session, unit, rater, annotation.seconds)
            self.labels.add(session, locked_case(session, unit.case), rater, annotation.label)

    def drawn(self, rater: str | None = None, up_to_round: int | None = None) -> tuple[Drawn, ...]:
        """The acts of annotation in the order in which they happened."""
        with self._database.reading() as session:
            return rounds.all_drawn(session, rater, up_to_round)

    def seconds_spent(self, rater: str | None = None, up_to_round: int | None = None) -> float:
        """What annotation has cost: by all raters or one, until now or until the end of a round."""
        return sum(act.seconds for act in self.drawn(rater, up_to_round))

    def raters(self) -> tuple[str, ...]:
        """Everybody who has drawn in this workspace, in alphabetical order."""
        with self._database.reading() as session:
            return tuple(sorted(session.scalars(select(RaterRow.name))))

    def rounds(self) -> tuple[Round, ...]:
        """The rounds so far, in order."""
        with self._database.reading() as session:
            return rounds.all_rounds(session)

    def close_round(self, number: int) -> None:
        """Notes that nothing more will be drawn or trained in this round."""
        with self._database.writing() as session:
            rounds.close(session, number)

    def start_run(self, number: int | None, method: str, *, settings: Mapping[str, Any], seed: int) -> Run:
        """The run asked for in these very words, which may be done already; a new one when there is none.

        `number` is the round. So a campaign that was killed goes on by asking for its runs again.
        """
        with self._database.writing() as session:
            return runs.start(session, number, method, settings=settings, seed=seed)

    def finish_run(self, run: Run, *, model: Path | None, metrics: Mapping[str, float], seconds: float) -> Run:
        """Notes what came of a run: its model's file and fingerprint, finite metrics, seconds of training."""
        with self._database.writing() as session:
            done = replace(run, metrics=metrics, seconds=seconds, is_done=True)
            return runs.finish(session, done, folder=self.folder, model=model)

    def runs(self, number: int | None = None) -> tuple[Run, ...]:
        """The runs in the order in which they were started: all, or those of one round."""
        with self._database.reading() as session:
            return runs.all_runs(session, number)

    def _reopened(self) -> Pool:
        from frugalseg.data.spec import open_data, parse_data_spec

        # Images that cannot be read are none of the workspace's, or their absence is reported by `pool`.
        labels_are = cast(Literal["drawn", "truth"], self._labels_are)
        return open_data(parse_data_spec(self.data), labels_are=labels_are, unreadable={})

    def _fingerprints(self) -> dict[str, str]:
        with self._database.reading() as session:
            return {case: fingerprint for case, fingerprint in session.execute(select(CaseRow.id, CaseRow.fingerprint))}


def _meta(folder: Path, database: Database) -> MetaRow:
    with database.reading() as session:
        if not inspect(session.connection()).has_table(MetaRow.__tablename__):
            raise DataError(f"{folder}: its database holds no workspace; make one with `frugalseg init`")
        version = session.scalar(select(MetaRow.version))
        if version is None or version > FORMAT:
            raise DataError(
                f"{folder}: written by a newer frugalseg (workspace format {version}, this one reads {FORMAT}); "
                "update frugalseg"
            )
        return session.scalars(select(MetaRow)).one()


def _copy(source: Labels, cases: Iterable[str], target: WorkspaceLabels, session: Session) -> int:
    wanted = [(locked_case(session, case), rater) for case in cases for rater in source.raters(case)]
    for case, rater in wanted:
        target.check(case, _drawn(source, case.id, rater))
    for case, rater in wanted:
        target.add(session, case, rater, _drawn(source, case.id, rater))
    return len(wanted)


def _drawn(source: Labels, case: str, rater: str) -> SemanticLabel:
    label = source.get(case, rater)
    if label is None:
        raise DataError(f"{case}: the label of '{rater}' vanished while it was read")
    return label
