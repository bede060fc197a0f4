"""A learning-rate schedule as long as the training: `scheduler_conf: max_steps: auto`."""

from __future__ import annotations

import argparse
import logging

from espnet2.samplers.build_batch_sampler import build_batch_sampler
from espnet2.train.distributed_utils import get_world_size

from legonn.errors import ConfigError

__all__ = ["AUTO", "count_batches", "fit_schedule"]

AUTO = "auto"
FAR = 1.3  # a schedule that ends so much earlier or later than the training is told


def fit_schedule(args: argparse.Namespace) -> None:
    """Put the number of updates in the place of `max_steps: auto`; warn where a given number is far from it.

    Parameters
    ----------
    args : Namespace
        Of `legonn train`; its `scheduler_conf` is replaced.

    Raises
    ------
    ConfigError
        If the number of updates isn't known before training.
    """
    given = args.scheduler_conf.get("max_steps")
    if given is None:
        return
    automatic = given == AUTO
    if args.collect_stats:  # a schedule is built, and never used
        args.scheduler_conf = {**args.scheduler_conf, **({"max_steps": 1000} if automatic else {})}
        return
    batches = count_batches(args)
    if automatic and not batches:
        raise ConfigError(
            "scheduler_conf: max_steps=auto needs --train_shape_file, of stage 10, and --iterator_type sequence: "
            "give the number of updates, batches an epoch times --max_epoch"
        )
    if not batches:
        return
    updates = max(1, batches // args.accum_grad) * args.max_epoch
    if automatic:
        args.scheduler_conf = {**args.scheduler_conf, "max_steps": updates}
        logging.info("scheduler_conf: max_steps is %d: %s", updates, _how_many(args, batches))
    elif isinstance(given, (int, float)) and not updates / FAR <= given <= updates * FAR:
        logging.warning(
            "scheduler_conf: max_steps is %g, and this training makes %d updates (%s): its learning rate %s. "
            "Give max_steps=%d, or max_steps=auto",
            given,
            updates,
            _how_many(args, batches),
            "doesn't come to its end" if given > updates else "is at its end before",
            updates,
        )


def count_batches(args: argparse.Namespace) -> int:
    """Of an epoch; 0 if that can't be known from the options and the shape files."""
    if args.num_iters_per_epoch:
        return int(args.num_iters_per_epoch)
    if args.iterator_type != "sequence" or args.multiple_iterator or not args.train_shape_file:
        return 0
    sampler = build_batch_sampler(
        type=args.batch_type,
        shape_files=args.train_shape_file,
        fold_lengths=args.fold_length,
        batch_size=args.batch_size,
        batch_bins=args.batch_bins,
        sort_in_batch=args.sort_in_batch,
        sort_batch=args.sort_batch,
        drop_last=args.drop_last_iter,
        min_batch_size=(  # as ESPnet: each process gets its share of each batch
            get_world_size(args.dist_world_size, args.dist_launcher)
            if args.distributed
            else args.min_batch_size
        ),
    )
    return len(sampler)


def _how_many(args: argparse.Namespace, batches: int) -> str:
    joined = f", {args.accum_grad} an update" if args.accum_grad > 1 else ""
    return f"{args.max_epoch} epochs of {batches} batches{joined}"
