"""Optional trackers of experiments, beside the files of a run.

A tracker is an object that takes what a run writes. It is made at each start
of a run by `factory(workdir, name, config, run_id)`, where `config` has the
options by dotted name, and `run_id` is the same for every start of the same
run. Steps may be lower than before: a run that is started again goes back to
its last checkpoint.

  class Printer:
    def __init__(self, workdir, name, config, run_id): ...
    def write(self, step, scalars): print(step, scalars)
    def image(self, step, name, path): ...
    def flush(self): ...
    def close(self): ...

A tracker that raises is named once and gets nothing more: it never ends a run.
"""

import contextlib
import importlib.util
import netrc
import os
import pathlib
import runpy
import urllib.parse
import uuid
from typing import Any, Callable, Mapping, Protocol, Sequence

from gan_jax.io import files, terminal

_ID_FILE = 'trackers.json'


class Tracker(Protocol):
  """What a tracker does."""

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    """Writes metrics or scores of a step; they may be NaN."""

  def image(self, step: int, name: str, path: pathlib.Path) -> None:
    """Writes a picture, a PNG, of a step."""

  def flush(self) -> None:
    """Writes what is still in memory."""

  def close(self) -> None:
    """Ends the tracker."""


Factory = Callable[[pathlib.Path, str, Mapping[str, Any], str], Tracker]


class WandbTracker:
  """Weights & Biases; offline without an account, see docs/report.md.

  `WANDB_MODE`, `WANDB_PROJECT` and the other variables of wandb are respected.
  """

  def __init__(
    self,
    workdir: pathlib.Path,
    name: str,
    config: Mapping[str, Any],
    run_id: str,
  ):
    """Starts a run, or continues that of an earlier start.

    Args:
      workdir: directory of the run; wandb writes to `wandb` in it.
      name: name of the run.
      config: options by dotted name.
      run_id: identifier of the run.
    """
    import wandb

    self._image = wandb.Image
    self._run = wandb.init(
      project=os.environ.get('WANDB_PROJECT', 'gan_jax'),
      name=name,
      id=run_id,
      resume='allow',
      dir=str(workdir),
      config=dict(config),
      mode=os.environ.get('WANDB_MODE') or _default_wandb_mode(),
      settings=wandb.Settings(silent=True, console='off'),
    )
    # Steps may go back, which those of wandb's own must not.
    self._run.define_metric('step')
    self._run.define_metric('*', step_metric='step')

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    """Logs metrics or scores."""
    self._run.log({**scalars, 'step': step})

  def image(self, step: int, name: str, path: pathlib.Path) -> None:
    """Logs a picture."""
    self._run.log({name: self._image(str(path)), 'step': step})

  def flush(self) -> None:
    """Does nothing: wandb writes by itself."""

  def close(self) -> None:
    """Ends the run."""
    self._run.finish()


def _default_wandb_mode() -> str:
  """Returns 'online' if there is a key, so that nobody is asked for one."""
  if os.environ.get('WANDB_API_KEY'):
    return 'online'
  server = os.environ.get('WANDB_BASE_URL', 'https://api.wandb.ai')
  path = os.environ.get('NETRC', os.path.expanduser('~/.netrc'))
  with contextlib.suppress(OSError, netrc.NetrcParseError):
    host = urllib.parse.urlsplit(server).hostname or ''
    if netrc.netrc(path).authenticators(host):
      return 'online'
  return 'offline'


TRACKERS: dict[str, Factory] = {'wandb': WandbTracker}
_INSTALL = {'wandb': 'pip install wandb'}


def find_factory(name: str) -> Factory:
  """Returns what makes a tracker.

  Args:
    name: a name in TRACKERS, or a class of a file, 'FILE.py:CLASS'.

  Returns:
    The class.

  Raises:
    FileNotFoundError: if there is no such file.
    ModuleNotFoundError: if a library is not installed; the message has the
      command.
    ValueError: if the file does not load or has no such class.
  """
  if name in TRACKERS:
    spec = importlib.util.find_spec(name)
    # A directory of this name, as wandb makes, is found without an origin.
    if spec is None or spec.origin is None:
      raise ModuleNotFoundError(
        f'writers: {name} is not installed: {_INSTALL[name]}'
      )
    return TRACKERS[name]
  path, _, function = name.rpartition(':')
  shown = f'writers: {files.printable(name)}'
  if not pathlib.Path(path).is_file():
    raise FileNotFoundError(f'{shown}: there is no file {path}')
  try:
    found = runpy.run_path(path)
  except Exception as error:
    message = terminal.error_message(error)
    raise ValueError(f'{shown}: the file does not load: {message}') from error
  if not callable(found.get(function)):
    raise ValueError(f'{shown}: the file has no class {function!r}')
  return found[function]


class Trackers:
  """All trackers of a run; none of them can end it."""

  def __init__(
    self,
    names: Sequence[str],
    warn: Callable[[str], None],
  ):
    """Finds the trackers; none is started yet.

    Args:
      names: see `find_factory`.
      warn: prints which tracker failed, and why.

    Raises:
      OSError: as `find_factory`.
      ValueError: as `find_factory`.
    """
    self._factories = {name: find_factory(name) for name in names}
    self._warn = warn
    self._open: dict[str, Tracker] = {}
    self._failed: set[str] = set()

  def open(
    self, workdir: pathlib.Path, config: Mapping[str, Any], *, start: int = 0
  ) -> None:
    """Starts the trackers.

    Args:
      workdir: directory of the run.
      config: options by dotted name.
      start: number of steps already done; at 0 a run with another identifier
        begins.

    Raises:
      OSError: if the identifier cannot be written.
    """
    if not self._factories:
      return
    run_id = _run_id(workdir, start)
    name = workdir.absolute().name
    for tracker, factory in self._factories.items():
      if tracker not in self._failed:
        made = self._call(tracker, factory, workdir, name, config, run_id)
        if made is not None:
          self._open[tracker] = made

  def _call(self, name: str, function: Callable[..., Any], *args) -> Any:
    """Calls a tracker, and drops it if it raises."""
    try:
      return function(*args)
    except Exception as error:  # of a library, or of the user's own class
      self._open.pop(name, None)
      self._failed.add(name)
      kind = type(error).__name__
      reason = files.printable(files.short_message(error))
      self._warn(
        f'the tracker {files.printable(name)} gets nothing more: '
        f'{kind}: {reason}'
      )
    return None

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    """Writes metrics or scores to all trackers."""
    for name, tracker in list(self._open.items()):
      self._call(name, tracker.write, step, dict(scalars))

  def image(self, step: int, name: str, path: pathlib.Path) -> None:
    """Writes a picture to all trackers."""
    for tracker_name, tracker in list(self._open.items()):
      self._call(tracker_name, tracker.image, step, name, path)

  def flush(self) -> None:
    """Flushes all trackers."""
    for name, tracker in list(self._open.items()):
      self._call(name, tracker.flush)

  def close(self) -> None:
    """Ends all trackers."""
    for name, tracker in list(self._open.items()):
      self._call(name, tracker.close)
    self._open.clear()


def _run_id(workdir: pathlib.Path, start: int) -> str:
  """Returns the identifier of a run, which its directory keeps."""
  path = workdir / _ID_FILE
  if start:
    try:
      found = files.read_json(path).get('run_id')
    except (OSError, ValueError):
      found = None
    if isinstance(found, str) and found.isalnum():
      return found
  run_id = uuid.uuid4().hex[:16]
  files.write_json(path, {'run_id': run_id})
  return run_id
