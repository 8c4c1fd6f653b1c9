"""Writes metrics of a run to JSONL and TensorBoard files, and to trackers."""

import contextlib
import math
import pathlib
import socket
import time
from typing import Mapping

from gan_jax.io import files, jsonl
from gan_jax.io import trackers as trackers_lib

_FLUSH_SECONDS = 30


class _TensorBoardWriter:
  """Writes scalars for TensorBoard, to a new file at each start of a run.

  Writes synchronously instead of through the thread of SummaryWriter, whose
  errors are never reported: on a full disk that thread dies, and later writes
  block forever.
  """

  def __init__(self, directory: pathlib.Path, purge_step: int):
    import tensorboardX
    from tensorboardX import summary
    from tensorboardX.proto import event_pb2, summary_pb2

    self._event, self._scalar = event_pb2.Event, summary.scalar
    self._summary = summary_pb2.Summary
    directory.mkdir(parents=True, exist_ok=True)
    name = f'events.out.tfevents.{time.time():.3f}.{socket.gethostname()}'
    self._path, self._flushed = directory / name, time.monotonic()
    with files.add_path_to_errors(self._path):
      self._file = tensorboardX.RecordWriter(str(self._path))
    self._put(file_version='brain.Event:2')
    # Hides later steps that an interrupted run has written.
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

  def write_picture(self, step: int, name: str, png: bytes) -> None:
    # The header of a PNG holds both sides at fixed places.
    width, height = (int.from_bytes(png[i : i + 4]) for i in (16, 20))
    image = self._summary.Image(
      width=width, height=height, colorspace=3, encoded_image_string=png
    )
    value = self._summary.Value(tag=name, image=image)
    self._put(step=step, summary=self._summary(value=[value]))

  def flush(self) -> None:
    with files.add_path_to_errors(self._path):
      self._file.flush()
    self._flushed = time.monotonic()

  def close(self) -> None:
    with files.add_path_to_errors(self._path):
      self._file.close()


class MetricWriter:
  """Writes scalars by step to `metrics.jsonl` and TensorBoard event files.

  Trackers get all of it, too.
  """

  def __init__(
    self,
    workdir: pathlib.Path,
    *,
    start: int = 0,
    trackers: trackers_lib.Trackers | None = None,
  ):
    """Opens the files; lines of steps later than `start` are dropped.

    Args:
      workdir: directory of the run.
      start: number of steps already done, the step of the restored checkpoint.
      trackers: open trackers, which are closed with the files.
    """
    self._trackers = trackers or trackers_lib.Trackers((), print)
    self._lines = jsonl.JsonlWriter(workdir / 'metrics.jsonl', start=start)
    self._events = _TensorBoardWriter(workdir / 'tensorboard', start + 1)

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    """Writes one line of scalars; NaN and infinity become null in JSON.

    Raises:
      OSError: if writing fails; the message names the file.
    """
    finite = {k: v if math.isfinite(v) else None for k, v in scalars.items()}
    self._lines.write({'step': step, **finite})
    self.write_events(step, scalars)

  def write_events(self, step: int, scalars: Mapping[str, float]) -> None:
    """Writes scalars for TensorBoard and trackers only."""
    self._events.write(step, scalars)
    self._trackers.write(step, scalars)

  def write_picture(self, step: int, name: str, path: pathlib.Path) -> None:
    """Writes a PNG for TensorBoard and trackers.

    Args:
      step: number of train steps done.
      name: name of the picture.
      path: path of the PNG.

    Raises:
      OSError: if reading or writing fails; the message names the file.
    """
    self._events.write_picture(step, name, path.read_bytes())
    self._trackers.image(step, name, path)

  def flush(self) -> None:
    """Flushes the TensorBoard file and the trackers.

    Raises:
      OSError: if writing fails; the message names the file.
    """
    self._events.flush()
    self._trackers.flush()

  def close(self) -> None:
    """Flushes and closes the files, and ends the trackers."""
    self._trackers.close()  # which raises nothing
    self._lines.close()
    self._events.close()

  def __enter__(self):
    return self

  def __exit__(self, kind, *unused):
    # The error being raised is more informative than one it causes here.
    with contextlib.suppress(OSError) if kind else contextlib.nullcontext():
      self.close()
