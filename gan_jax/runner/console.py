"""What a training program tells the person who started it."""

import contextlib
import math
import pathlib
import sys
import time
from typing import Any, Callable, Iterator, Mapping, Sequence

import jax
import numpy as np
from rich import console, progress

from gan_jax.distributed import multihost
from gan_jax.evaluation import results
from gan_jax.io import files
from gan_jax.report import tables
from gan_jax.runner.meters import MetricMeter


def _short(x: float) -> str:
  return f'{x:.3f}' if abs(x) < 1e6 else f'{x:.3g}'


class _Console(console.Console):
  """Falls silent where nothing can be printed: a run does not end for it."""

  def on_broken_pipe(self) -> None:
    with contextlib.suppress(SystemExit):
      super().on_broken_pipe()

  def print(self, *objects: Any, **options: Any) -> None:
    try:
      super().print(*objects, **options)
    except OSError as error:  # its output goes to a file on a full disk
      self.on_broken_pipe()
      with contextlib.suppress(OSError):
        print(f'nothing more is printed: {error}', file=sys.stderr)


class ConsoleReporter:
  """Prints a run: what it is, how it goes, how it ended."""

  def __init__(self, *, quiet: bool = False):
    """Opens the console.

    Args:
      quiet: prints nothing, as but the first of several processes.
    """
    self._console = _Console(
      highlight=False, markup=False, soft_wrap=True, quiet=quiet
    )

  def header(self, experiment, state, workdir: pathlib.Path, note: str) -> None:
    """Says what will run."""
    config = experiment.config
    size = lambda params: sum(x.size for x in jax.tree.leaves(params))
    out = self._console.print
    kind = experiment.devices[0].device_kind
    names = ' '.join(str(d) for d in experiment.devices)
    image = len(experiment.shape) == 3
    what = 'images' if image else 'points'
    shape = ' x '.join(map(str, experiment.shape))
    out(
      f'data     {config.data["name"]}: {len(experiment.train)} {what} of {shape}, '
      f'{len(experiment.test)} held out'
    )
    out(
      f'players  G {config.generator["name"]} '
      f'{size(state.generator.params):,} parameters, D '
      f'{config.discriminator["name"]} '
      f'{size(state.discriminator.params):,}; loss {config.loss}'
    )
    several = (
      f', {count} processes' if (count := multihost.process_count()) > 1 else ''
    )
    out(
      f'devices  {len(experiment.devices)} x {kind} ({names}){several}, '
      f'{config.parallel}, batch {config.batch_size}'
    )
    out(f'workdir  {workdir}: {note}')

  def bar(self, total: int, done: int) -> '_Bar':
    """A progress bar, on a terminal; nothing elsewhere."""
    return _Bar(self._console, total, done)

  def compiled(self, seconds: float) -> None:
    """Says how long the first step took."""
    self._console.print(f'first step after {seconds:.1f} s, compilation in it')

  def line(self, step: int, means: Mapping[str, float]) -> None:
    """One line of the log."""
    hidden = ['steps_per_second', 'examples_per_second']
    if means.get('data_wait', 0) < 0.01:
      hidden.append('data_wait')
    if not means.get('skipped'):
      hidden.append('skipped')
    shown = {k: v for k, v in means.items() if k not in hidden}
    text = '  '.join(f'{name} {value:.3f}' for name, value in shown.items())
    self._console.print(
      f'step {step:>7}  {text}  {means["steps_per_second"]:.1f} steps/s  '
      f'{means["examples_per_second"]:.0f} examples/s'
    )

  def ensemble(self, team, workdir: pathlib.Path, note: str) -> None:
    """Says which runs will be trained together.

    Args:
      team: a experiment.EnsembleExperiment.
      workdir: its directory.
      note: where its state comes from.
    """
    config, out = team.config, self._console.print
    kind = team.devices[0].device_kind
    count, seeds = len(team.members), config.ensemble['seeds']
    what = 'images' if len(team.base.shape) == 3 else 'points'
    out(f'data     {config.data["name"]}: {len(team.base.train)} {what}')
    swept = config.ensemble['sweep'] or 'nothing swept'
    out(f'members  {count}: {seeds} seeds from {config.seed}; {swept}')
    used = len(team.devices)
    idle = (config.num_devices or jax.local_device_count()) - used
    rest = (
      f'; {idle} idle: {count} members do not divide by more' if idle else ''
    )
    out(f'devices  {used} x {kind}, {count // used} members on each{rest}')
    out(f'workdir  {workdir}: {note}')

  def members_line(
    self, step: int, means: Mapping[str, Any], lost: list[int], rate: float
  ) -> None:
    """One line of the log of an ensemble.

    Args:
      step: train steps done.
      means: name -> one value per member.
      lost: members that diverged.
      rate: train steps per second, of all members together.
    """
    count = len(next(iter(means.values())))
    live = [i for i in range(count) if i not in set(lost)]
    text = '  '.join(
      f'{name} {_short(np.mean(values[live]))}'
      for name, values in means.items()
    )
    gone = f'  {len(lost)} of {count} diverged' if lost else ''
    self._console.print(
      f'step {step:>7}  {text}{gone}  {rate:.1f} steps/s of {count} members'
      if live
      else f'step {step:>7}  all {count} members have diverged'
    )

  def ensemble_end(
    self,
    points: Any,
    rates: Sequence[float],
    members: int,
    picture: pathlib.Path | None,
    workdir: pathlib.Path,
  ) -> None:
    """The end of an ensemble: speed, scores by point, where to look.

    Args:
      points: a table of scores.
      rates: steps per second of every window.
      members: how many.
      picture: of the scores, or None.
      workdir: of the ensemble.
    """
    out = self._console.print
    if rates:
      rate = float(np.median(rates))
      out(
        f'speed    {rate:.1f} steps/s of each member, {rate * members:.0f} of '
        'all together (median)'
      )
    out(points)
    if picture is None:
      out(
        'picture  none: it takes matplotlib, one swept setting or two, and a '
        'member that did not diverge'
      )
    else:
      out(f'picture  {picture}')
    out(
      f'members  {workdir / "summary.json"}; one as a run of its own: python '
      f'-m gan_jax.experiment.extract_member {workdir} NUMBER OUT'
    )

  def warning(self, step: int, text: str) -> None:
    """Something goes wrong in the game."""
    self._console.print(f'step {step:>7}  warning: {text}')

  def rolled_back(self, reason: str, start: Any) -> None:
    """The run goes back to a checkpoint.

    Args:
      reason: why.
      start: the resume.ResumePoint that it goes on from.
    """
    self._console.print(
      f'{reason} Back to step {start.step} (rollback {start.rollbacks}), with '
      'other batches and latents from there'
    )

  def set_aside(self, damaged: Sequence[str]) -> None:
    """Says which best checkpoints are damaged."""
    for text in damaged:
      self._console.print(f'warning  {text}')

  def interrupted(self, step: int, workdir: pathlib.Path) -> None:
    """Says that the run was stopped and how to go on."""
    self._console.print(
      f'stopped at step {step}, saved in {workdir}; the same command continues'
    )

  def summary(
    self,
    window: MetricMeter,
    rows: list,
    notes: list[str],
    warnings: list[dict[str, Any]],
    workdir: pathlib.Path,
  ) -> None:
    """The end of a run: losses, speed, score, where the pictures are.

    Args:
      window: of the last lines.
      rows: scores.
      notes: that go with them.
      warnings: of all of the run, lines of warnings.jsonl.
      workdir: of the run.
    """
    speed = float(np.median(window.rates)) if window.rates else math.nan
    path = workdir / 'summary.json'
    result = {
      'scores': results.as_json(rows),
      'notes': notes,
      'warnings': warnings,
    }
    if window.means:  # else it was trained before, and keeps what it had
      result |= {'losses': window.means, 'median_steps_per_second': speed}
    files.update_json(path, result)
    out = self._console.print
    if window.means:
      losses = ', '.join(
        f'{name} {window.means[name]:.3f}' for name in ('d_loss', 'g_loss')
      )
      out(f'losses   {losses} (mean since the last line)')
    if window.rates:
      out(
        f'speed    {speed:.1f} steps/s, '
        f'{speed * window.examples_per_step:.0f} examples/s (median)'
      )
    self.scores(rows, notes)
    if warnings:
      out(f'warnings see {workdir / "warnings.jsonl"}')
    out(f'pictures {workdir / "samples.png"} (beside it: real.png)')

  def evaluation(
    self, facts: Mapping[str, Any], data: Mapping[str, Any], evaluator: Any
  ) -> None:
    """Says what will be scored, and how.

    Args:
      facts: of the samples.
      data: facts of the real data.
      judge: a scoring.Judge.
    """
    out = self._console.print
    out('samples  ' + ', '.join(f'{k} {v}' for k, v in facts.items()))
    of = data['data']
    if isinstance(of, Mapping):
      of = ', '.join(f'{k} {v}' for k, v in of.items() if v not in ('', 0))
    out(f'data     {of}')
    of = evaluator.extractor
    hashed = f', weights {of.sha256[:12]}' if of.sha256 else ''
    prepared = f', protocol {of.protocol}' if of.protocol else ''
    out(f'features {of.name}{hashed}{prepared}')

  def recorded(self, path: pathlib.Path, seconds: float) -> None:
    """Where the record is."""
    self._console.print(f'record   {path} ({seconds:.0f} s)')

  def scores(self, rows: Sequence[Any], notes: Sequence[str]) -> None:
    """A table of scores beside their baselines.

    Args:
      rows: of results.MetricResult.
      notes: sentences that go with them.
    """
    self._console.print(tables.score_table(rows))
    for note in notes:
      self._console.print(f'note     {note}')

  def scored(self, step: int, rows: Sequence[Any], best: bool) -> None:
    """One line of scores in the course of training."""
    text = '  '.join(
      f'{row.name} {tables.format_score(row.value, row.error, row.p_value)}'
      for row in rows
    )
    last = '  the best so far' if best else ''
    self._console.print(f'step {step:>7}  {text}{last}')

  @contextlib.contextmanager
  def tracks(self) -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """Bars of how far features are, on a terminal; a few lines elsewhere.

    Yields:
      (name, total) -> what is called with each number done.
    """
    if not self._console.is_terminal:
      yield self.track
      return
    with progress.Progress(
      progress.TextColumn('{task.description}'),
      progress.BarColumn(),
      progress.MofNCompleteColumn(),
      progress.TimeRemainingColumn(),
      console=self._console,
      transient=True,
    ) as bars:

      def track(name, total):
        task = bars.add_task(name, total=total)
        return lambda done: bars.advance(task, done)

      yield track

  def track(self, name: str, total: int) -> Callable[[int], None]:
    """A line for each tenth of what takes more than a minute.

    Args:
      name: what is counted.
      total: how many there are.

    Returns:
      What is called with each number done.
    """
    start, done, next_line = time.perf_counter(), 0, 0.0

    def advance(more):
      nonlocal done, next_line
      done += more
      seconds = time.perf_counter() - start
      if seconds > 60 and done >= next_line:
        self._console.print(f'{name}: {done:,} of {total:,}, {seconds:.0f} s')
        next_line = done + total / 10

    return advance


class _Bar:
  """A rich progress bar with the numbers that one wants of training."""

  def __init__(self, out: console.Console, total: int, done: int):
    self._bar = progress.Progress(
      progress.BarColumn(),
      progress.MofNCompleteColumn(),
      progress.TextColumn('{task.fields[rate]}'),
      progress.TimeRemainingColumn(),
      console=out,
      disable=not out.is_terminal,
    )
    self._task = self._bar.add_task('', total=total, completed=done, rate='')

  def update(self, step: int, rate: float) -> None:
    """Moves the bar."""
    shown = f'{rate:.1f} steps/s' if rate else ''
    self._bar.update(self._task, completed=step, rate=shown)

  def __enter__(self):
    self._bar.start()
    return self

  def __exit__(self, *unused):
    self._bar.stop()
