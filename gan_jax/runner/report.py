"""Writes the page of a run, of several runs, or of an ensemble.

`report.py` reads the flags and calls `write_report` or `report_server.serve`;
train.py writes through a `ReportWriter`.
"""

import dataclasses
import os
import pathlib
import time
from typing import Callable, Sequence

from gan_jax.io import files
from gan_jax.report import html_report
from gan_jax.runner import run_files

REPORT_FILE = 'report.html'
_MOST_PICTURES = 160  # of several runs together
_SHARE = 0.02  # of the time of a run that its page may take


@dataclasses.dataclass(frozen=True)
class Request:
  """Which runs a page shows, and where it goes.

  Attributes:
    workdirs: directories of runs, or of one ensemble.
    out: path of the page; '' for report.html in the directory of the only run,
      or in the current directory.
    overwrite: whether a file at `out` may be replaced. The page of a run in its
      own directory always may.
  """

  workdirs: Sequence[str | os.PathLike]
  out: str | os.PathLike = ''
  overwrite: bool = False


def open_runs(workdirs: Sequence[str | os.PathLike]) -> list[pathlib.Path]:
  """Checks that a page can show directories.

  Args:
    workdirs: directories of runs, or of one ensemble.

  Returns:
    Their paths.

  Raises:
    OSError: if one holds no run.
    ValueError: if there is none, one is named twice, or an ensemble is beside
      others.
  """
  if not workdirs:
    raise ValueError('name the directory of a run, such as runs/digits')
  paths = [files.resolve_path(path, 'workdir') for path in workdirs]
  for path in paths:
    run_files.check_run(path)
  places = [path.resolve() for path in paths]
  for path, place in zip(paths, places):
    if places.count(place) > 1:
      raise ValueError(f'{files.printable(path)} is named twice')
  if len(paths) > 1:
    for path in paths:
      if run_files.is_ensemble(path):
        raise ValueError(
          f'{files.printable(path)} is an ensemble, whose members are compared '
          'with one another: it must be alone'
        )
  return paths


def make_page(
  workdirs: Sequence[pathlib.Path],
  cache: run_files.PictureCache,
  *,
  live: bool = False,
) -> str:
  """Returns the page of runs.

  Args:
    workdirs: result of `open_runs`.
    cache: encodes pictures.
    live: whether a server makes the page anew each time it is loaded.

  Returns:
    The HTML.

  Raises:
    OSError: if a file cannot be read.
    ValueError: if a file is damaged; the message names it.
  """
  written = time.strftime('written %Y-%m-%d %H:%M')
  if len(workdirs) > 1:
    most = max(2, min(40, _MOST_PICTURES // len(workdirs)))
    runs = [
      run_files.read_run(path, cache, name=name, most_pictures=most)
      for path, name in zip(workdirs, _distinct_names(workdirs))
    ]
    compared = html_report.compare_runs(runs)
  elif run_files.is_ensemble(workdirs[0]):
    ensemble = run_files.read_ensemble(workdirs[0], cache)
    compared = html_report.compare_members(ensemble)
  else:
    run = run_files.read_run(workdirs[0], cache)
    return html_report.run_page(run, written=written, live=live)
  return html_report.comparison_page(compared, written=written, live=live)


def _distinct_names(workdirs: Sequence[pathlib.Path]) -> list[str]:
  """Returns the ends of paths, as long as they must be to differ."""
  parts = [path.resolve().parts for path in workdirs]
  for count in range(1, max(map(len, parts)) + 1):
    names = ['/'.join(of[-count:]) for of in parts]
    if len(set(names)) == len(names):
      break
  return names


def write_report(request: Request) -> pathlib.Path:
  """Writes the page of runs.

  Args:
    request: which runs, and where the page goes.

  Returns:
    The path of the page.

  Raises:
    OSError: if a directory holds no run, or a file cannot be read or written.
    ValueError: if the runs do not go together, the page has another file's
      place, or a file is damaged.
  """
  workdirs = open_runs(request.workdirs)
  path = _target(request, workdirs)
  page = make_page(workdirs, run_files.PictureCache())
  files.atomic_write(path, page)
  return path


def _target(request: Request, workdirs: Sequence[pathlib.Path]) -> pathlib.Path:
  """Returns the path of the page, checked before anything is read."""
  own = workdirs[0] / REPORT_FILE if len(workdirs) == 1 else None
  path = own or pathlib.Path(REPORT_FILE)
  if request.out:
    path = files.resolve_path(request.out, 'out')
  shown = files.printable(path)
  if path.is_dir():
    raise IsADirectoryError(
      f'--out={shown} is a directory; must be a file, such as '
      f'{files.printable(path / REPORT_FILE)}'
    )
  if path.suffix not in ('.html', '.htm'):
    raise ValueError(f'--out={shown}: must end in .html')
  is_own = own is not None and path.resolve() == own.resolve()
  if os.path.lexists(path) and not (is_own or request.overwrite):
    raise FileExistsError(
      f'{shown} exists; name another file by --out, or replace it by '
      '--overwrite'
    )
  parent = path.absolute().parent
  if not parent.is_dir():
    raise FileNotFoundError(
      f'--out={shown}: there is no directory {files.printable(parent)}'
    )
  if not os.access(parent, os.W_OK | os.X_OK):
    raise PermissionError(
      f'the directory {files.printable(parent)} is not writable: name another '
      'place by --out'
    )
  return path


class ReportWriter:
  """Writes the page of a run in the course of training; never raises.

  It is written anew whenever `write` is called, unless that has taken more
  than a fiftieth of the time.
  """

  def __init__(
    self,
    workdir: pathlib.Path | None,
    warn: Callable[[str], None],
    *,
    clock: Callable[[], float] = time.perf_counter,
  ):
    """Initializes the writer; nothing is written yet.

    Args:
      workdir: directory of the run; None writes nothing.
      warn: prints why the page could not be written; called once.
      clock: returns seconds.
    """
    self._workdir, self._warn, self._clock = workdir, warn, clock
    self._cache = run_files.PictureCache()
    self._start, self._spent = clock(), 0.0
    self._failed = False

  def write(self, *, last: bool = False) -> None:
    """Writes the page.

    Args:
      last: whether the run ends here, so that it is written in any case.
    """
    begin = self._clock()
    if self._workdir is None:
      return
    if not last and self._spent > _SHARE * (begin - self._start):
      return
    try:
      page = make_page([self._workdir], self._cache)
      files.atomic_write(self._workdir / REPORT_FILE, page)
    except Exception as error:  # a page is no reason to end a run
      if not self._failed:
        reason = files.printable(files.short_message(error))
        self._warn(f'{REPORT_FILE} could not be written: {reason}')
      self._failed = True
    self._spent += self._clock() - begin
