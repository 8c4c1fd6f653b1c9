"""Console output of training and evaluation."""

import contextlib
import pathlib
import sys
import time
from typing import Any, Callable, Iterator, Mapping, Sequence

import jax
import numpy as np
from rich import console, progress

from gan_jax.distributed import multihost
from gan_jax.report import tables
from gan_jax.runner.meters import MetricMeter


def _short(x: float) -> str:
  return f'{x:.3f}' if abs(x) < 1e6 else f'{x:.3g}'


class _Console(console.Console):
  """Stops printing if the output is closed or full; the run goes on."""

  def on_broken_pipe(self) -> None:
    with contextlib.suppress(SystemExit):
      super().on_broken_pipe()

  def print(self, *objects: Any, **options: Any) -> None:
    try:
      super().print(*objects, **options)
    except OSError as error:  # such as output to a file on a full disk
      self.on_broken_pipe()
      with contextlib.suppress(OSError):
        print(f'nothing more is printed: {error}', file=sys.stderr)


class ConsoleReporter:
  """Prints the beginning, the progress and the end of a run."""

  def __init__(self, *, quiet: bool = False):
    """Opens the console.

    Args:
      quiet: whether to print nothing.
    """
    self._console = _Console(
      highlight=False, markup=False, soft_wrap=True, quiet=quiet
    )

  def header(
    self,
    experiment: Any,
    state: Any,
    workdir: pathlib.Path | None,
    note: str,
  ) -> None:
    """Prints what will run."""
    config = experiment.config
    size = lambda params: sum(x.size for x in jax.tree.leaves(params))
    out = self._console.print
    kind = experiment.devices[0].device_kind
    names = ' '.join(str(d) for d in experiment.devices)
    image = len(experiment.shape) == 3
    what = 'images' if image else 'points'
    shape = ' x '.join(map(str, experiment.shape))
    out(
      f'data     {config.data.name}: {len(experiment.train)} {what} of {shape}, '
      f'{len(experiment.test)} held out'
    )
    self.files(experiment.train)
    out(
      f'players  G {config.generator.name} '
      f'{size(state.generator.params):,} parameters, D '
      f'{config.discriminator.name} '
      f'{size(state.discriminator.params):,}; loss {config.loss}'
    )
    several = (
      f', {count} processes' if (count := multihost.process_count()) > 1 else ''
    )
    out(
      f'devices  {len(experiment.devices)} x {kind} ({names}){several}, '
      f'{config.parallel}, batch {config.batch_size}'
    )
    out(f'workdir  {workdir or "none"}: {note}')

  def checking(self, description: str) -> None:
    """Prints which examples will be checked."""
    self._console.print(f'data     {description}')

  def problem(self, text: str) -> None:
    """Prints what is wrong with an example."""
    self._console.print(text)

  def checked(self, name: str, total: int, problems: int) -> None:
    """Prints the result of a check of all data.

    Args:
      name: name of the data source.
      total: number of examples.
      problems: how many of them cannot be used.
    """
    result = f'{problems:,} cannot be used' if problems else 'all are good'
    self._console.print(f'checked  {name}: {total:,} examples, {result}')

  def bar(self, total: int, done: int) -> '_Bar':
    """Returns a progress bar, which shows on a terminal only."""
    return _Bar(self._console, total, done)

  def compiled(self, seconds: float) -> None:
    """Prints how long the first step took."""
    self._console.print(f'first step after {seconds:.1f} s, with compilation')

  def line(self, step: int, means: Mapping[str, float]) -> None:
    """Prints one line of the log."""
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

  def ensemble_header(
    self, ensemble: Any, workdir: pathlib.Path | None, note: str
  ) -> None:
    """Prints which runs will be trained together.

    Args:
      ensemble: an experiment.EnsembleExperiment.
      workdir: its directory, or None.
      note: where its state comes from.
    """
    config, out = ensemble.config, self._console.print
    kind = ensemble.devices[0].device_kind
    count, seeds = len(ensemble.members), config.ensemble.seeds
    what = 'images' if len(ensemble.base.shape) == 3 else 'points'
    out(f'data     {config.data.name}: {len(ensemble.base.train)} {what}')
    swept = config.ensemble.sweep or 'nothing swept'
    out(f'members  {count}: {seeds} seeds from {config.seed}; {swept}')
    used = len(ensemble.devices)
    idle = (config.num_devices or jax.local_device_count()) - used
    idle_note = (
      f'; {idle} idle: {count} members do not divide by more' if idle else ''
    )
    out(f'devices  {used} x {kind}, {count // used} members on each{idle_note}')
    out(f'workdir  {workdir or "none"}: {note}')

  def members_line(
    self, step: int, means: Mapping[str, Any], lost: list[int], rate: float
  ) -> None:
    """Prints one line of the log of an ensemble.

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

  def ensemble_summary(
    self,
    points: Any,
    rates: Sequence[float],
    members: int,
    plot: pathlib.Path | None,
    workdir: pathlib.Path | None,
  ) -> None:
    """Prints the speed, the scores and the files of an ensemble.

    Args:
      points: table of scores by point of the sweep.
      rates: steps per second in every window.
      members: number of members.
      plot: path of the plot of the scores, or None.
      workdir: directory of the ensemble, or None.
    """
    out = self._console.print
    if rates:
      rate = float(np.median(rates))
      out(
        f'speed    {rate:.1f} steps/s of each member, {rate * members:.0f} of '
        'all together (median)'
      )
    out(points)
    if workdir is None:
      return
    if plot is None:
      out(
        'plot     none: it needs matplotlib, one or two swept fields, and a '
        'member that did not diverge'
      )
    else:
      out(f'plot     {plot}')
    out(
      f'members  {workdir / "summary.json"}; one as a run of its own: python '
      f'-m gan_jax.experiment.extract_member {workdir} NUMBER OUT'
    )

  def warning(self, step: int, text: str) -> None:
    """Prints a warning about a failure mode."""
    self._console.print(f'step {step:>7}  warning: {text}')

  def rolled_back(self, reason: str, start: Any) -> None:
    """Prints that the run goes back to a checkpoint.

    Args:
      reason: the error.
      start: resume.ResumePoint to go on from.
    """
    self._console.print(
      f'{reason} Back to step {start.step} (rollback {start.rollbacks}), with '
      'other batches and latents from there'
    )

  def quarantined(self, damaged: Sequence[str]) -> None:
    """Prints which best checkpoints are damaged."""
    for text in damaged:
      self._console.print(f'warning  {text}')

  def interrupted(self, step: int, workdir: pathlib.Path | None) -> None:
    """Prints that the run was stopped, and how to continue it."""
    saved = f', saved in {workdir}; the same command continues'
    self._console.print(f'stopped at step {step}{saved if workdir else ""}')

  def summary(
    self,
    meter: MetricMeter,
    scores: Sequence[Any],
    notes: Sequence[str],
    warned: bool,
    workdir: pathlib.Path | None,
  ) -> None:
    """Prints the losses, the speed, the scores and the files of a run.

    Args:
      meter: metrics and speed of the run.
      scores: results.MetricResult of each metric.
      notes: notes on the scores.
      warned: whether there were warnings.
      workdir: directory of the run, or None.
    """
    out = self._console.print
    if meter.last_means:
      losses = ', '.join(
        f'{name} {meter.last_means[name]:.3f}' for name in ('d_loss', 'g_loss')
      )
      out(f'losses   {losses} (mean since the last line)')
    if meter.rates:
      speed = float(np.median(meter.rates))
      out(
        f'speed    {speed:.1f} steps/s, '
        f'{speed * meter.examples_per_step:.0f} examples/s (median)'
      )
    self.scores(scores, notes)
    if workdir is None:
      return
    if warned:
      out(f'warnings see {workdir / "warnings.jsonl"}')
    out(f'pictures {workdir / "samples.png"} (beside it: real.png)')

  def evaluation(
    self, samples: Mapping[str, Any], data: Mapping[str, Any], evaluator: Any
  ) -> None:
    """Prints what will be scored, and how.

    Args:
      samples: facts about the samples.
      data: facts about the real data.
      evaluator: an evaluation.Evaluator.
    """
    out = self._console.print
    out('samples  ' + ', '.join(f'{k} {v}' for k, v in samples.items()))
    facts = data['data']
    if isinstance(facts, Mapping):
      shown = {k: v for k, v in facts.items() if v not in ('', 0)}
      facts = ', '.join(f'{k} {v}' for k, v in shown.items())
    out(f'data     {facts}')
    extractor = evaluator.extractor
    weights = f', weights {extractor.sha256[:12]}' if extractor.sha256 else ''
    protocol = f', protocol {extractor.protocol}' if extractor.protocol else ''
    out(f'features {extractor.name}{weights}{protocol}')

  def files(self, *sources: Any) -> None:
    """Prints which files were taken and left out.

    Args:
      *sources: data sources, of which those of directories say so.
    """
    for source in sources:
      if description := getattr(source, 'description', ''):
        self._console.print(f'files    {description}')

  def recorded(self, path: pathlib.Path, seconds: float) -> None:
    """Prints where the record is."""
    self._console.print(f'record   {path} ({seconds:.0f} s)')

  def scores(self, rows: Sequence[Any], notes: Sequence[str]) -> None:
    """Prints a table of scores beside their baselines.

    Args:
      rows: results.MetricResult of each metric.
      notes: notes on the scores.
    """
    self._console.print(tables.score_table(rows))
    for note in notes:
      self._console.print(f'note     {note}')

  def scored(self, step: int, rows: Sequence[Any], best: bool) -> None:
    """Prints one line of scores in the course of training."""
    text = '  '.join(
      f'{row.name} {tables.format_score(row.value, row.error, row.p_value)}'
      for row in rows
    )
    last = '  the best so far' if best else ''
    self._console.print(f'step {step:>7}  {text}{last}')

  @contextlib.contextmanager
  def feature_bars(
    self,
  ) -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """Shows bars of feature computation on a terminal, lines elsewhere.

    Yields:
      Function (name, total) -> advance, where advance(n) adds n to what is
      done.
    """
    if not self._console.is_terminal:
      yield self.feature_progress
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

  def feature_progress(self, name: str, total: int) -> Callable[[int], None]:
    """Prints a line for each tenth of what takes more than a minute.

    Args:
      name: what is counted.
      total: how many there are.

    Returns:
      Function advance(n), which adds n to what is done.
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
  """A progress bar of train steps with their rate."""

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
