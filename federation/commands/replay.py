"""`trifed study replay|checkpoint` and `trifed node replay`: compute it once more and compare."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation import settings
from federation.commands.homes import AtNode as NodeHomeOption
from federation.commands.output import Json, emit, help_text, say, t
from federation.wording import Text

if TYPE_CHECKING:
    from federation.domain.ids import Sha256
    from federation.domain.replay import Finding, Replayed
    from federation.operations.replaying.centre import Retrain
    from federation.operations.replaying.kept import KeptReply, KeptRound
    from federation.operations.replaying.stored import StoredRun
    from federation.wire.messages import FlatModel

REPLAY_RUN = Text(
    en="Compute a run once more from what was kept, and compare every digest.",
    zh="依保存的內容重新計算一次執行,並比對每個摘要。",
)
CHECKPOINT = Text(
    en="Write the model after a round to a file (0: before the first).",
    zh="將某輪之後的模型寫入檔案(0 為第一輪之前)。",
)
REPLAY_ROUNDS = Text(
    en="Compute this hospital's rounds once more and compare; nothing leaves.",
    zh="重新計算本院的各輪並比對;不會送出任何內容。",
)
BEGINNING = Text(en="Before the first round: {said}", zh="第一輪之前:{said}")
ROUND = Text(en="Round {round}: {said}", zh="第 {round} 輪:{said}")
SAME = Text(en="same ({things})", zh="相同({things})")
DIFFERENT = Text(en="different: {things}", zh="不同:{things}")
MISSING = Text(en="no longer kept: {things}", zh="已不再保存:{things}")
UNCHECKED = Text(en="not compared: {thing}{why}", zh="未比對:{thing}{why}")
ALL_SAME = Text(
    en="{run}: {rounds} rounds computed once more; everything that was compared is the same.",
    zh="{run}:已重新計算 {rounds} 輪;所有比對項目皆相同。",
)
CHANGED = Text(en="Since then: {changes}", zh="之後的變更:{changes}")
WRITTEN = Text(
    en="Wrote the model of round {round} to {file}: {digest}",
    zh="已將第 {round} 輪的模型寫入 {file}:{digest}",
)

Run = Annotated[
    str, typer.Argument(help=help_text("a run, for example cxr-2026.1", "執行名稱,例如 cxr-2026.1"))
]
CentreHomeOption = Annotated[
    Path,
    typer.Option(
        "--home",
        help=help_text("centre home", "中心的工作目錄"),
        default_factory=settings.centre_home,
    ),
]


def replay_run(
    run: Run,
    home: CentreHomeOption,
    with_node: Annotated[
        list[Path] | None,
        typer.Option(
            help=help_text(
                "home of a node on this machine: train there again where no noise was added; "
                "repeat for each",
                "本機的節點工作目錄:未加雜訊者於該處重新訓練;可重複",
            )
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Replay a run at the centre; exit 0 only if nothing differs and nothing is missing."""
    from federation.coordinator.home import CentreHome
    from federation.domain.ids import RunId
    from federation.operations.replaying.centre import Replay
    from federation.operations.replaying.evaluation import replay_evaluation
    from federation.operations.replaying.stored import StoredRun, key_in

    centre, lines = CentreHome.open(home), _Lines(quiet=json_)
    evaluated = replay_evaluation(centre, RunId(run), tell=lines.hear)
    if evaluated is not None:
        _conclude(evaluated, lines)
        return
    with StoredRun.open(centre, RunId(run)) as kept:
        retrain = _retrain(with_node or [], kept)
        replay = Replay(kept, key_of=key_in(centre), retrain=retrain)
        _conclude(replay.run(tell=lines.hear), lines)


def checkpoint(
    run: Run,
    round_: Annotated[int, typer.Argument(metavar="ROUND", min=0)],
    home: CentreHomeOption,
    out: Annotated[Path, typer.Option(help=help_text("file to write", "要寫入的檔案"))],
    json_: Json = False,
) -> None:
    """Write a round's model as safetensors."""
    from federation.coordinator.home import CentreHome
    from federation.domain.ids import RunId
    from federation.operations.replaying.stored import StoredRun

    with StoredRun.open(CentreHome.open(home), RunId(run)) as kept:
        digest = kept.export_model(round_, out)
    told = {"run": run, "round": round_, "file": out, "sha256": digest}
    emit(told) if json_ else say(WRITTEN, round=round_, file=out, digest=digest)


def replay_rounds(
    study: str,
    run: Run,
    home: NodeHomeOption,
    round_: Annotated[
        int | None,
        typer.Option("--round", min=1, help=help_text("this round only", "僅此輪")),
    ] = None,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            help=help_text(
                "a model from `trifed study checkpoint` that a round started from; repeat for each",
                "`trifed study checkpoint` 寫出的起始模型;可重複",
            )
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Replay rounds at a hospital; exit 0 only if nothing differs."""
    from clients.home import NodeHome
    from clients.replaying import replay
    from federation.domain.ids import RunId, StudyId

    node, lines = NodeHome.open(home), _Lines(quiet=json_)
    found = replay(
        node, StudyId(study), RunId(run), number=round_, models=model or [], tell=lines.hear
    )
    _conclude(found, lines)


class _Lines:
    """Prints one line a round as soon as its findings are complete."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self._round: list[Finding] = []

    def hear(self, finding: "Finding") -> None:
        if self._round and self._round[0].round != finding.round:
            self.flush()
        self._round.append(finding)

    def flush(self) -> None:
        """Print the round that was heard of, and forget it."""
        from federation.domain.replay import Outcome

        found, self._round = self._round, []
        if not found or self.quiet:
            return
        parts = [
            t(text, things=_named(there))
            for outcome, text in (
                (Outcome.DIFFERENT, DIFFERENT),
                (Outcome.MISSING, MISSING),
                (Outcome.SAME, SAME),
            )
            if (there := [one for one in found if one.outcome is outcome])
        ]
        number = found[0].round
        say(ROUND if number else BEGINNING, round=number, said="; ".join(parts) or "-")
        for one in found:
            if one.outcome is Outcome.UNCHECKED:
                typer.echo("  " + t(UNCHECKED, thing=one.said, why=_why(one.code)))


def _named(findings: "list[Finding]") -> str:
    names = dict.fromkeys(t(one.said) for one in findings)
    return ", ".join(names)


def _why(code: str | None) -> str:
    from federation.errors import error_of_code

    error = None if code is None else error_of_code(code)
    return "" if error is None else f" [{code}] {error.in_general(settings.language())}"


def _conclude(found: "Replayed", lines: _Lines) -> None:
    """Print the result; raise what makes the command fail."""
    from federation.domain.replay import listed

    lines.flush()
    if lines.quiet:
        emit(found.as_json())
    elif found.changes:
        say(CHANGED, changes=listed(found.changes))
    found.check()
    if not lines.quiet:
        say(ALL_SAME, run=found.run, rounds=found.rounds)


def _retrain(homes: list[Path], kept: "StoredRun") -> "Retrain | None":
    """Return how to train again at the nodes on this machine; None without any."""
    from clients.home import NodeHome

    if not homes:
        return None
    nodes = {node.settings().site: node for node in map(NodeHome.open, homes)}

    def retrain(played: "KeptRound", reply: "KeptReply", model: "FlatModel") -> "Sha256 | None":
        from clients.replaying import trained_again
        from clients.standing import Asked

        node = nodes.get(reply.site)
        if node is None:
            return None
        asked = Asked(kept.study.id, kept.study.digest, kept.run, played.number)
        return trained_again(node, asked, model)

    return retrain
