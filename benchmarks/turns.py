"""What benchmarks share: seconds, a PyTorch process, medians of turns."""

import importlib.metadata
import importlib.util
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
from typing import Any, NamedTuple


class Spent(NamedTuple):
  """Seconds for a piece of work.

  Attributes:
    wall: as time passes.
    cpu: of all threads together.
  """

  wall: float
  cpu: float


class Torch:
  """The PyTorch side, in a process of its own.

  Attributes:
    about: its version, threads, and what the program says of itself.
  """

  def __init__(self, python: str, program: str, *arguments: str):
    """Starts `program`, a file beside this one, which prints what it is."""
    path = str(pathlib.Path(__file__).with_name(program))
    self.process = subprocess.Popen(
      [python, path, *arguments],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
    )
    self.about = self._read()

  def _read(self) -> dict[str, Any]:
    line = self.process.stdout.readline()
    if not line:
      raise RuntimeError('the PyTorch process ended; its error is above')
    return json.loads(line)

  def run(self, **request: Any) -> Spent:
    """Does what is asked; its answer has the seconds."""
    print(json.dumps(request), file=self.process.stdin, flush=True)
    return Spent(**self._read())

  def close(self) -> None:
    """Ends the process."""
    self.process.stdin.close()
    self.process.wait()


def medians(times: dict[str, list[Spent]]) -> dict[str, Spent]:
  """Of each contender over its rounds, without the first where it has more."""
  timed = {name: spent[1:] or spent for name, spent in times.items()}
  return {
    name: Spent(*(statistics.median(column) for column in zip(*spent)))
    for name, spent in timed.items()
  }


def machine(torch: Torch | None) -> str:
  """Processor, cores and versions, in a line."""
  cpuinfo = pathlib.Path('/proc/cpuinfo')
  text = cpuinfo.read_text() if cpuinfo.exists() else ''
  found = re.search(r'^model name\s*: (.*)$', text, re.MULTILINE)
  processor = found[1] if found else platform.processor()
  names = ('jax', 'jaxlib', 'flax', 'optax')
  versions = [f'{n} {importlib.metadata.version(n)}' for n in names]
  if torch is not None:
    versions.append(f'torch {torch.about["version"]}')
  return (
    f'{processor}, {os.cpu_count()} cores, Python '
    f'{platform.python_version()}, {", ".join(versions)}'
  )


def start_torch(python: str, program: str, *arguments: str) -> Torch | None:
  """The PyTorch side, or None where there is no PyTorch.

  Args:
    python: that has torch; '' for this one.
    program: a file beside this one.
    *arguments: of the program.
  """
  if not python and importlib.util.find_spec('torch') is None:
    print(
      'PyTorch is left out: this Python has none. Install torch, or name a '
      'Python that has it with --torch_python=PATH.'
    )
    return None
  return Torch(python or sys.executable, program, *arguments)
