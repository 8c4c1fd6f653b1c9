"""Console output of training and evaluation."""

import contextlib
import pathlib
import shlex
import threading
import time
from typing import Any, Callable, Iterator, Mapping, Sequence

import jax
import numpy as np
from rich import console, measure, progress
from rich import text as rich_text

from gan_jax import config as config_lib
from gan_jax.distributed import multihost
from gan_jax.experiment import freezing
from gan_jax.io import files, terminal
from gan_jax.report import score_text, tables
from gan_jax.runner.meters import MetricMeter

_BAR_WIDTH = 60  # columns that a progress bar and its numbers need


def _short(x: float) -> str:
  return f'{x:.3f}' if abs(x) < 1e6 else f'{x:.3g}'


class ConsoleReporter:
  """Prints the beginning, the progress and the end of a run.

  Nothing that it prints can end the run, see terminal.SafeOutput.

  Attributes:
    is_program: whether a program prints, whose user types commands.
  """

  def __init__(self, *, quiet: bool = False, program: bool = False):
    """Opens the console.

    Args:
      quiet: whether to print nothing.
      program: whether a program prints, whose user types commands; False for a
        call of a function.
    """
    self._console = console.Console(
      highlight=False,
      markup=False,
      soft_wrap=True,
      quiet=quiet,
      file=terminal.SafeOutput(),
    )
    self.is_program = program

  def _line(self, text: str) -> None:
    """Prints one line; names of files in it may have newlines and escapes."""
    self._console.print(files.printable(text))

  def _table(self, shown: Any) -> None:
    """Prints a table, whole even where the terminal is narrower than its words.

    The terminal then wraps its lines, whereas rich would leave out letters.
    """
    out = self._console
    size = measure.Measurement.get(out, out.options.update(width=1000), shown)
    if size.minimum <= out.width:
      out.print(shown)
      return
    options = out.options.update(width=size.maximum)
    for line in out.render_lines(shown, options, pad=False):
      cells = [(segment.text, segment.style or '') for segment in line]
      out.print(rich_text.Text.assemble(*cells))

  @property
  def _shows_bars(self) -> bool:
    """Whether progress is shown by bars, which lines take the place of."""
    return self._console.is_terminal and self._console.width >= _BAR_WIDTH

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
    out = self._line
    kind = experiment.devices[0].device_kind
    names = ' '.join(str(d) for d in experiment.devices)
    what = experiment.example_kind
    shape = ' x '.join(map(str, experiment.shape))
    apart = experiment.test is not experiment.train
    held_out = len(experiment.test) if apart else 'none'
    out(
      f'data     {config.data.name}: {len(experiment.train)} {what} of {shape}, '
      f'{held_out} held out{", and mirror images" * config.data.flip}'
    )
    self.files(experiment.train)
    out(
      f'players  G {config.generator.name} '
      f'{size(state.generator.params):,} parameters, D '
      f'{config.discriminator.name} '
      f'{size(state.discriminator.params):,}; loss {config.loss}'
    )
    if count := experiment.gan.classes:
      heads = ', '.join(config_lib.class_heads(config))
      out(
        f'classes  {count}; those of generated examples: '
        f'{experiment.gan.fake_labels}; D has {heads}'
      )
    for text in freezing.describe_frozen(experiment):
      out(f'frozen   {text}')
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
    """Returns a progress bar, which shows on a wide terminal only."""
    return _Bar(self._console, total, done, self._shows_bars)

  def compiled(self, seconds: float) -> None:
    """Prints how long the first step took."""
    self._line(f'first step after {seconds:.1f} s, with compilation')

  def line(self, step: int, means: Mapping[str, float]) -> None:
    """Prints one line of the log."""
    hidden = ['steps_per_second', 'examples_per_second']
    if means.get('data_wait', 0) < 0.01:
      hidden.append('data_wait')
    if not means.get('skipped'):
      hidden.append('skipped')
    shown = {k: v for k, v in means.items() if k not in hidden}
    text = '  '.join(f'{name} {value:.3f}' for name, value in shown.items())
    self._line(
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
    config, out = ensemble.config, self._line
    kind = ensemble.devices[0].device_kind
    count, seeds = len(ensemble.members), config.ensemble.seeds
    what = ensemble.base.example_kind
    out(f'data     {config.data.name}: {len(ensemble.base.train)} {what}')
    swept = config.ensemble.sweep or 'nothing swept'
    if config.ensemble.points:
      names = ', '.join(config_lib.varied_names(config.ensemble))
      swept = f'{len(config.ensemble.points)} points of {names}'
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
    self._line(
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
    out = self._line
    if rates:
      rate = float(np.median(rates))
      out(
        f'speed    {rate:.1f} steps/s of each member, {rate * members:.0f} of '
        'all together (median)'
      )
    self._table(points)
    if workdir is None:
      return
    if plot is None:
      out(
        'plot     none: it needs matplotlib, one or two swept fields (of '
        'points any number), and a member that did not diverge'
      )
    else:
      out(f'plot     {plot}')
    one = f'gan_jax.load({str(workdir)!r}, member=NUMBER)'
    if self.is_program:
      one = (
        'python -m gan_jax.experiment.extract_member '
        f'{shlex.quote(str(workdir))} NUMBER OUT'
      )
    out(f'members  {workdir / "summary.json"}; one as a run of its own: {one}')
    self.page(workdir)

  def warning(self, step: int, text: str) -> None:
    """Prints a warning about a failure mode."""
    self._line(f'step {step:>7}  warning: {text}')

  def rolled_back(self, reason: str, start: Any) -> None:
    """Prints that the run goes back to a checkpoint.

    Args:
      reason: the error.
      start: resume.ResumePoint to go on from.
    """
    self._line(
      f'{reason} Back to step {start.step} (rollback {start.rollbacks}), with '
      'other batches and latents from there'
    )

  def quarantined(self, damaged: Sequence[str]) -> None:
    """Prints which best checkpoints are damaged."""
    for text in damaged:
      self._line(f'warning  {text}')

  def nonfatal(self, text: str) -> None:
    """Prints an error that does not end the run."""
    self._line(f'warning  {text}')

  def interrupted(self, step: int, workdir: pathlib.Path | None) -> None:
    """Prints that the run was stopped, and how to continue it."""
    again = 'command' if self.is_program else 'call'
    saved = f', saved in {workdir}; the same {again} continues'
    self._line(f'stopped at step {step}{saved if workdir else ""}')

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
    out = self._line
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
    wavs = ', samples.wav, real.wav'
    wavs *= (workdir / 'samples.wav').exists()
    out(f'pictures {workdir / "samples.png"} (beside it: real.png{wavs})')
    self.page(workdir)

  def page(self, workdir: pathlib.Path) -> None:
    """Prints where the page of a run is, if there is one."""
    if (workdir / 'report.html').exists():
      self._line(f'report   {workdir / "report.html"}')

  def evaluation(
    self, samples: Mapping[str, Any], data: Mapping[str, Any], evaluator: Any
  ) -> None:
    """Prints what will be scored, and how.

    Args:
      samples: facts about the samples.
      data: facts about the real data.
      evaluator: an evaluation.Evaluator.
    """
    out = self._line
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

  def sampling(
    self, facts: Mapping[str, Any], count: int, size: str, free: int
  ) -> None:
    """Prints what will be sampled, and the room that it takes.

    Args:
      facts: facts that all samples share.
      count: number of samples.
      size: about how much they take, as text.
      free: free bytes of the disk.
    """
    shown = ', '.join(f'{k} {v}' for k, v in facts.items())
    self._line(
      f'samples  {count:,}, at most {size} ({free / 1e9:,.1f} GB free)'
    )
    self._line(f'weights  {shown}')

  def written(self, path: pathlib.Path, size: int, seconds: float) -> None:
    """Prints what was written, its size and the time that it took."""
    self._line(f'written  {path} ({size:,} bytes, {seconds:.1f} s)')

  def recorded(self, path: pathlib.Path, seconds: float) -> None:
    """Prints where the record is."""
    self._line(f'record   {path} ({seconds:.0f} s)')

  def scores(self, rows: Sequence[Any], notes: Sequence[str]) -> None:
    """Prints a table of scores beside their baselines.

    Args:
      rows: results.MetricResult of each metric.
      notes: notes on the scores.
    """
    self._table(tables.score_table(rows))
    for note in notes:
      self._line(f'note     {note}')

  def scored(self, step: int, rows: Sequence[Any], best: bool) -> None:
    """Prints one line of scores in the course of training."""
    text = '  '.join(
      f'{row.name} {score_text.format_score(row.value, row.error, row.p_value)}'
      for row in rows
    )
    last = '  the best so far' if best else ''
    self._line(f'step {step:>7}  {text}{last}')

  @contextlib.contextmanager
  def feature_bars(
    self,
  ) -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """Shows the progress of an evaluation: bars on a terminal, else lines.

    Yields:
      Function (name, total) -> advance, where advance(n) adds n to what is
      done.
    """
    if not self._shows_bars:
      lines = ProgressLines(self._line)
      with lines.at_intervals():
        yield lines.track
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
    """Prints lines on the progress of an evaluation in the course of training.

    Args:
      name: what is counted.
      total: how many there are.

    Returns:
      Function advance(n), which adds n to what is done.
    """
    return ProgressLines(self._line, every=30).track(name, total)


class ProgressLines:
  """Prints now and then what an evaluation does, and how long it still takes.

  At most one line in `every` seconds, so that short evaluations print none.
  """

  def __init__(
    self,
    out: Callable[[str], None],
    *,
    every: float = 10.0,
    clock: Callable[[], float] = time.perf_counter,
  ):
    """Initializes the lines; none is printed yet.

    Args:
      out: prints a line.
      every: seconds between two lines.
      clock: returns seconds.
    """
    self._out, self._every, self._clock = out, every, clock
    self._lock, self._last = threading.Lock(), clock()
    # Parts that have begun: a score, and the features that it needs.
    self._parts: list[dict[str, Any]] = []

  def track(self, name: str, total: int) -> Callable[[int], None]:
    """Begins a part of the evaluation.

    Args:
      name: what is counted.
      total: how many there are.

    Returns:
      Function advance(n), which adds n to what is done.
    """
    part = {'name': name, 'total': total, 'done': 0, 'start': self._clock()}
    self._parts.append(part)

    def advance(more: int) -> None:
      part['done'] += more
      if part['done'] >= total and part in self._parts:
        self._parts.remove(part)
      self.tick()

    return advance

  def tick(self) -> None:
    """Prints a line, unless nothing is going on or the last one is recent."""
    with self._lock:
      parts, seconds = list(self._parts), self._clock()
      if not parts or seconds - self._last < self._every:
        return
      self._last = seconds
    part = parts[-1]
    done, total, spent = part['done'], part['total'], seconds - part['start']
    count = f'{done:,} of {total:,}, ' if total > 1 else ''
    left = f', about {spent / done * (total - done):.0f} s left' if done else ''
    self._out(f'{part["name"]}: {count}{spent:.0f} s{left}')

  @contextlib.contextmanager
  def at_intervals(self) -> Iterator[None]:
    """Prints lines while nothing advances, too, as in a compilation."""
    ended = threading.Event()

    def watch():
      while not ended.wait(self._every):
        self.tick()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
      yield
    finally:
      ended.set()
      thread.join()


class _Bar:
  """A progress bar of train steps with their rate."""

  def __init__(self, out: console.Console, total: int, done: int, shows: bool):
    self._bar = progress.Progress(
      progress.BarColumn(),
      progress.MofNCompleteColumn(),
      progress.TextColumn('{task.fields[rate]}'),
      progress.TimeRemainingColumn(),
      console=out,
      disable=not shows,
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
