"""What is checked of a training before it writes anything: optimisation, losses, criteria, data."""

from __future__ import annotations

import argparse
import difflib
import inspect
import os
from collections.abc import Collection, Mapping, Sequence
from operator import contains
from pathlib import Path
from typing import Any

import torch
from espnet2.schedulers.abs_scheduler import AbsValEpochStepScheduler
from espnet2.tasks.abs_task import optim_classes, scheduler_classes

from legonn.audio.recordings import Utterance
from legonn.chain import Chain
from legonn.data.check import check_file
from legonn.data.folder import read_lines
from legonn.errors import ConfigError, DataError
from legonn.finetuning import parameter_groups
from legonn.ingestor import BeamConv
from legonn.schedule import AUTO

__all__ = ["check_training"]

PHASES = ("train", "valid")


def check_training(args: argparse.Namespace, chain: Chain) -> None:
    """Check all of it.

    Parameters
    ----------
    args : Namespace
        Of `legonn train`.
    chain : Chain
        What they build; it may be without memory.

    Raises
    ------
    ConfigError, DataError
        Naming the option and what is legal, or all faults of the data.
    """
    _check_losses(args, chain)
    _check_criteria(args, chain)
    for name in ("batch_size", "batch_bins", "accum_grad"):
        if getattr(args, name) < 1:
            raise ConfigError(f"--{name} is {getattr(args, name)}; it must be at least 1")
    if args.use_deepspeed:
        raise ConfigError(
            "--use_deepspeed: its checkpoints are of another kind than modules are packed from; several "
            "GPUs are for --multiprocessing_distributed true, with --ngpu"
        )
    _check_optimisation(args)
    if args.lr_factors:
        parameter_groups(chain, args.lr_factors, 1.0)
    _check_data(args)


def _check_losses(args: argparse.Namespace, chain: Chain) -> None:
    weights = {name: getattr(args, name) for name in ("ctc_weight", "ce_weight")}
    for name, weight in weights.items():
        if not 0 <= weight < float("inf"):
            raise ConfigError(f"--{name} is {weight}; it must be 0 or more")
    if not any(weights.values()):
        raise ConfigError("--ctc_weight and --ce_weight are both 0: nothing would be learned")
    if not args.ctc_weight and dict(args.chain_conf or {}).get("ctc_first"):
        raise ConfigError("ctc_first waits for CTC, which is not learned with --ctc_weight 0")
    learns = "encoder" not in args.freeze and any(True for _ in chain.encoder.parameters())
    if isinstance(chain.ingestor, BeamConv) and not (args.ctc_weight or chain.early_ctc) and learns:
        raise ConfigError(
            "--ctc_weight is 0, and ingestor beamconv passes no gradient on: the encoder would learn nothing. Give a "
            "--ctc_weight, or --freeze encoder with a --pretrained_encoder"
        )


def _check_criteria(args: argparse.Namespace, chain: Chain) -> None:
    """ESPnet ignores a criterion that nothing reports, and would keep no best checkpoint."""
    reported = ["loss", "loss_ce", "acc"]
    if chain.early_ctc:
        reported.append("loss_early_ctc")
    if chain.counter is not None:
        reported.append("loss_length")
    for name in chain.interface_targets():
        suffix = "" if name == "text" else f"_{name}"
        reported += [f"loss_ctc{suffix}", f"infeasible{suffix}"]
    for criterion in args.best_model_criterion:
        _check_criterion("best_model_criterion", criterion, reported)
    if args.patience is not None:
        _check_criterion("early_stopping_criterion", args.early_stopping_criterion, reported)
    if args.scheduler is not None and issubclass(
        scheduler_classes[args.scheduler.lower()], AbsValEpochStepScheduler
    ):
        _check_criterion(
            "val_scheduler_criterion", args.val_scheduler_criterion, reported, modes=()
        )


def _check_criterion(
    option: str,
    criterion: Sequence[str],
    reported: Sequence[str],
    *,
    modes: Sequence[str] = ("min", "max"),
) -> None:
    legal = [PHASES, reported, *([modes] if modes else [])]
    if len(criterion) == len(legal) and all(map(contains, legal, criterion)):
        return
    near = "." if len(criterion) < 2 or criterion[1] in reported else _near(criterion[1], reported)
    raise ConfigError(
        f"{option} is {' '.join(map(str, criterion))}{near} Legal are train or valid, one of "
        f"{', '.join(reported)}{', and ' + ' or '.join(modes) if modes else ''}"
    )


def _check_optimisation(args: argparse.Namespace) -> None:
    """Build optimiser and scheduler for one number: what they refuse now they would refuse later."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimiser = _build("optim", args.optim, args.optim_conf, optim_classes, [weight])
    if args.scheduler is not None:
        conf = dict(args.scheduler_conf)
        if conf.get("max_steps") == AUTO:  # counted later, from files that are checked first
            conf["max_steps"] = 1000
        _build("scheduler", args.scheduler, conf, scheduler_classes, optimiser)


def _build(
    option: str, name: str, conf: Mapping[str, Any], classes: Mapping[str, Any], subject: Any
) -> Any:
    kind = classes[name.lower()]
    first, *legal = inspect.signature(kind).parameters.values()
    names = [parameter.name for parameter in legal]
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in legal)
    for key in conf:
        if key not in names and not takes_any:
            raise ConfigError(
                f"{option}_conf has no option {key!r} for {option} {name}{_near(key, names)} "
                f"Legal are: {', '.join(names)}"
            )
    try:
        return kind(subject, **conf)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{option} {name} can't be built from {dict(conf)}: {error}") from error


def _near(key: str, legal: Collection[str]) -> str:
    near = difflib.get_close_matches(key, legal, 1)
    return f"; did you mean {near[0]!r}?" if near else "."


def _check_data(args: argparse.Namespace) -> None:
    """Text files as `legonn validate` checks them; that recordings are there, which ESPnet sees when it comes to them;
    and that each file holds all utterances of the shape file.
    """
    faults: list[str] = []
    for phase in PHASES:
        entries = getattr(args, f"{phase}_data_path_and_name_and_type")
        reports = [
            check_file(Path(path), max_length=0) for path, _, kind in entries if kind == "text"
        ]
        faults += [fault for report in reports for fault in report.faults]
        ids: dict[Path, Collection[str]] = {report.path: report.ids for report in reports}
        for path, _, kind in entries:
            if kind == "sound":
                ids[Path(path)], absent = _listed(Path(path))
                faults += absent
        for shape in getattr(args, f"{phase}_shape_file")[:1]:  # it says which utterances there are
            faults += _lacking(ids, Path(shape))
    if faults:
        faults = list(dict.fromkeys(faults))
        raise DataError(f"{len(faults)} faults in the data of the training:", faults)


def _listed(scp: Path) -> tuple[set[str], list[str]]:
    """Ids of a list of recordings, and a fault for each that it names and nobody finds."""
    if not scp.is_file():
        return set(), [f"{scp}: no such file; run stages 1 to 4, or mend the name"]
    ids, faults = set(), []
    for number, line in read_lines(scp):
        utt_id, *rest = line.split(maxsplit=1) or [b""]
        ids.add(os.fsdecode(utt_id))
        source = os.fsdecode(rest[0].strip()) if rest else ""
        path = Utterance("", source, f"{scp}:{number}").path
        if source and (path is None or not os.path.isfile(path)):
            faults.append(
                f"{scp}:{number}: {source!r}: no such file; put it back, or run stage 3 again"
            )
    return ids, faults


def _lacking(ids: Mapping[Path, Collection[str]], shape: Path) -> list[str]:
    if not shape.is_file():
        return [f"{shape}: no such file; run the statistics stage (10), or mend the name"]
    with shape.open(encoding="utf-8", errors="replace") as file:
        wanted = [line.split(maxsplit=1)[0] for line in file if line.strip()]
    return [
        f"{path}: lacks {uid} of {shape}; add it, or take it out of all files"
        for path, there in ids.items()
        if there
        for uid in wanted
        if uid not in there
    ]
