"""Shared helpers of the benchmarks: timing, taking turns, medians, tables.

It needs no package besides the standard library, so that a worker in another
Python can import it too. Importing it makes gan_jax and configs of this
repository importable.
"""

import argparse
import contextlib
import functools
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
import time
from typing import Any, Callable, Collection, Iterable, Mapping, NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
  sys.path.insert(0, str(ROOT))


class Spent(NamedTuple):
  """Seconds spent on a piece of work.

  Attributes:
    wall: elapsed seconds.
    cpu: CPU seconds of all threads together.
  """

  wall: float
  cpu: float

  def per(self, count: float) -> 'Spent':
    """Returns the seconds of one of `count` equal parts of the work."""
    return Spent(self.wall / count, self.cpu / count)


Contenders = Mapping[str, Callable[[], Spent]]


def timed(work: Callable[[], Any]) -> Spent:
  """Times a call in this process; the call must wait for its own result."""
  wall, cpu = time.perf_counter(), time.process_time()
  work()
  return Spent(time.perf_counter() - wall, time.process_time() - cpu)


class Worker:
  """A program in its own process that works on request; see `serve`.

  Used as a context manager, it ends the process on exit.

  Attributes:
    info: facts that the program reports about itself.
  """

  def __init__(
    self, python: str, program: str, *arguments: str, **environment: str
  ):
    """Starts `program`, a file in this directory.

    Args:
      python: path of the Python that runs it.
      program: name of the file.
      *arguments: arguments of the program.
      **environment: variables added to those of this process.
    """
    path = str(pathlib.Path(__file__).with_name(program))
    self.process = subprocess.Popen(
      [python, path, *arguments],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
      env=os.environ | environment,
    )
    self._name = program
    self.info = self.receive()

  def send(self, **request: Any) -> None:
    """Requests work without waiting for it."""
    print(json.dumps(request), file=self.process.stdin, flush=True)

  def receive(self) -> dict[str, Any]:
    """Waits for an answer.

    Raises:
      RuntimeError: if the process has ended.
    """
    line = self.process.stdout.readline()
    if not line:
      self.close()
      raise RuntimeError(f'{self._name} ended; its error is above')
    return json.loads(line)

  def run(self, **request: Any) -> Spent:
    """Requests work, waits for it, and returns the seconds that it took."""
    self.send(**request)
    return Spent(**self.receive())

  def close(self) -> None:
    """Ends the process."""
    self.process.stdin.close()
    self.process.wait()
    self.process.stdout.close()

  def __enter__(self) -> 'Worker':
    return self

  def __exit__(self, *error: Any) -> None:
    self.close()


def serve(info: Mapping[str, Any], work: Callable[..., Any]) -> None:
  """Runs the worker's side: times `work(**request)` for every request.

  Returns when standard input ends.

  Args:
    info: facts about the program, as JSON has them.
    work: function to time.
  """
  print(json.dumps(info), flush=True)
  for line in sys.stdin:
    request = json.loads(line)
    spent = timed(lambda: work(**request))
    print(json.dumps(spent._asdict()), flush=True)


def medians(times: dict[str, list[Spent]]) -> dict[str, Spent]:
  """Returns each contender's medians, without the first of several rounds."""
  counted = {name: spent[1:] or spent for name, spent in times.items()}
  return {
    name: Spent(*(statistics.median(column) for column in zip(*spent)))
    for name, spent in counted.items()
  }


def take_turns(
  contenders: Contenders, rounds: int, once: Collection[str] = ()
) -> dict[str, Spent]:
  """Runs contenders in turn, and returns their medians over the rounds.

  Args:
    contenders: name -> function that does the work and returns its seconds.
    rounds: number of rounds; the first is a warm-up and does not count.
    once: names of contenders that run in the first round only.
  """
  times: dict[str, list[Spent]] = {name: [] for name in contenders}
  for number in range(rounds):
    for name, run in contenders.items():
      if name not in once or not number:
        times[name].append(run())
    print(f'round {number + 1} of {rounds}', file=sys.stderr, flush=True)
  return medians(times)


def fastest(times: Mapping[str, Spent], prefix: str) -> Spent | None:
  """Returns the least seconds of the contenders with a prefix, or None.

  Wall and CPU seconds may come from two different contenders.
  """
  found = [spent for name, spent in times.items() if name.startswith(prefix)]
  return Spent(*map(min, zip(*found))) if found else None


def check_sizes(parameters: Mapping[str, int]) -> None:
  """Checks that all networks have the same number of parameters.

  Args:
    parameters: name -> number of parameters.

  Raises:
    AssertionError: if the numbers differ.
  """
  if len(set(parameters.values())) > 1:
    raise AssertionError(f'networks differ in size: {parameters}')


def short(value: float) -> str:
  """Formats a number with three digits, or as a whole number from 100 on."""
  return f'{value:,.0f}' if abs(value) >= 100 else f'{value:.3g}'


def table(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
  """Formats a Markdown table: the first column left-aligned, the rest right.

  Args:
    header: names of the columns.
    rows: cells; floats are formatted by `short`, None is left empty.
  """
  header = list(header)
  show = lambda cell: (
    '' if cell is None else short(cell) if isinstance(cell, float) else cell
  )
  lines = [header, ['---', *['---:'] * (len(header) - 1)]]
  lines += [[str(show(cell)) for cell in row] for row in rows]
  return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def machine(torch: Worker | None = None) -> str:
  """Describes the processor, its cores and the versions on one line."""
  cpuinfo = pathlib.Path('/proc/cpuinfo')
  text = cpuinfo.read_text() if cpuinfo.exists() else ''
  found = re.search(r'^model name\s*: (.*)$', text, re.MULTILINE)
  processor = found[1] if found else platform.processor()
  names = ('jax', 'jaxlib', 'flax', 'optax')
  versions = [f'{n} {importlib.metadata.version(n)}' for n in names]
  if torch is not None:
    versions.append(f'torch {torch.info["version"]}')
  return (
    f'{processor}, {os.cpu_count()} cores, Python '
    f'{platform.python_version()}, {", ".join(versions)}'
  )


def parser(documentation: str, rounds: int) -> argparse.ArgumentParser:
  """Builds a parser with the option that all benchmarks share, --rounds.

  Args:
    documentation: docstring of the program; --help shows its first line.
    rounds: default number of rounds.
  """
  options = argparse.ArgumentParser(description=documentation.splitlines()[0])
  options.add_argument(
    '--rounds',
    type=int,
    default=rounds,
    help='number of rounds; the first is a warm-up',
  )
  return options


def torch_parser(documentation: str, rounds: int) -> argparse.ArgumentParser:
  """Builds the parser of `parser` with the option --torch_python."""
  options = parser(documentation, rounds)
  options.add_argument(
    '--torch_python', default='', help='path of a Python that has PyTorch'
  )
  return options


@functools.cache
def has_torch(python: str) -> bool:
  """Returns whether PyTorch can be compared with; prints once if not.

  Args:
    python: path of a Python that has PyTorch; '' for this one.
  """
  if python or importlib.util.find_spec('torch') is not None:
    return True
  print(
    'PyTorch is left out: this Python does not have it. Install torch, or name '
    'a Python that has it with --torch_python=PATH.'
  )
  return False


def start_torch(
  python: str, program: str, *arguments: str
) -> contextlib.AbstractContextManager[Worker | None]:
  """Starts the PyTorch side, as a context manager.

  Args:
    python: path of a Python that has PyTorch; '' for this one.
    program: name of a file in this directory.
    *arguments: arguments of the program.

  Returns:
    A context manager of a Worker, or of None if there is no PyTorch.
  """
  if not has_torch(python):
    return contextlib.nullcontext()
  return Worker(python or sys.executable, program, *arguments)
