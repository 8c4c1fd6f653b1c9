"""What a run leaves behind: scalars, pictures, its configuration.

Files that someone may be reading are written beside and moved into place.
Images are NHWC in [-1, 1].
"""

import contextlib
import math
import pathlib
import socket
import time
from typing import Mapping

from gan_jax.io import files, jsonl

_FLUSH_SECONDS = 30


class _TensorBoardWriter:
  """Scalars for TensorBoard, in a file of its own for each start of a run.

  Written here and not by a thread of SummaryWriter, whose errors reach nobody:
  on a full disk it ends, and who has something to write waits for ever.
  """

  def __init__(self, directory: pathlib.Path, purge_step: int):
    import tensorboardX
    from tensorboardX import summary
    from tensorboardX.proto import event_pb2

    self._event, self._scalar = event_pb2.Event, summary.scalar
    directory.mkdir(parents=True, exist_ok=True)
    name = f'events.out.tfevents.{time.time():.3f}.{socket.gethostname()}'
    self._path, self._flushed = directory / name, time.monotonic()
    with files.add_path_to_errors(self._path):
      self._file = tensorboardX.RecordWriter(str(self._path))
    self._put(file_version='brain.Event:2')
    # What a killed run wrote of the steps from here on is not shown.
    begin = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    self._put(step=purge_step, session_log=begin)

  def _put(self, **fields):
    event = self._event(wall_time=time.time(), **fields)
    with files.add_path_to_errors(self._path):
      self._file.write(event.SerializeToString())

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    for name, value in scalars.items():
      self._put(step=step, summary=self._scalar(name, value))
    if time.monotonic() - self._flushed > _FLUSH_SECONDS:
      self.flush()

  def flush(self) -> None:
    with files.add_path_to_errors(self._path):
      self._file.flush()
    self._flushed = time.monotonic()

  def close(self) -> None:
    with files.add_path_to_errors(self._path):
      self._file.close()


class MetricWriter:
  """Scalars by step, to `metrics.jsonl` and TensorBoard event files."""

  def __init__(self, workdir: pathlib.Path, *, start: int = 0):
    """Opens the files; lines later than `start` are dropped.

    Args:
      workdir: the run's directory.
      start: steps already done, those of the checkpoint that is continued.
    """
    self._lines = jsonl.JsonlWriter(workdir / 'metrics.jsonl', start=start)
    self._events = _TensorBoardWriter(workdir / 'tensorboard', start + 1)

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    """Writes one line of scalars; NaN and infinity become null in JSON.

    Raises:
      OSError: where it cannot be written; it names the file.
    """
    finite = {k: v if math.isfinite(v) else None for k, v in scalars.items()}
    self._lines.write({'step': step, **finite})
    self.write_events(step, scalars)

  def write_events(self, step: int, scalars: Mapping[str, float]) -> None:
    """Writes scalars for TensorBoard alone."""
    self._events.write(step, scalars)

  def flush(self) -> None:
    """Hands the system what TensorBoard's file is yet to get.

    Raises:
      OSError: where it cannot be written; it names the file.
    """
    self._events.flush()

  def close(self) -> None:
    """Flushes and closes the files."""
    self._lines.close()
    self._events.close()

  def __enter__(self):
    return self

  def __exit__(self, kind, *unused):
    # An error that is under way says more than what follows from it.
    with contextlib.suppress(OSError) if kind else contextlib.nullcontext():
      self.close()
