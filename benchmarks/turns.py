"""What benchmarks share: seconds, processes that take turns, medians, tables.

Needs no package, so that a peer in another Python can import it, too;
importing it makes gan_jax and configs of this repository importable.
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
  """Seconds for a piece of work.

  Attributes:
    wall: as time passes.
    cpu: of all threads together.
  """

  wall: float
  cpu: float

  def per(self, count: float) -> 'Spent':
    """Seconds for one of `count` equal parts of the work."""
    return Spent(self.wall / count, self.cpu / count)


Contenders = Mapping[str, Callable[[], Spent]]


def timed(work: Callable[[], Any]) -> Spent:
  """Seconds of a call in this process; it must wait for its own result."""
  wall, cpu = time.perf_counter(), time.process_time()
  work()
  return Spent(time.perf_counter() - wall, time.process_time() - cpu)


class Peer:
  """A program in a process of its own, which works on demand; see `serve`.

  `with` closes it at the end.

  Attributes:
    about: what the program says of itself.
  """

  def __init__(
    self, python: str, program: str, *arguments: str, **environment: str
  ):
    """Starts `program`, a file beside this one.

    Args:
      python: that runs it.
      program: name of the file.
      *arguments: of the program.
      **environment: variables that are added to those of this process.
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
    self.about = self.receive()

  def send(self, **request: Any) -> None:
    """Asks for work, and does not wait."""
    print(json.dumps(request), file=self.process.stdin, flush=True)

  def receive(self) -> dict[str, Any]:
    """Waits for an answer.

    Raises:
      RuntimeError: where the process has ended.
    """
    line = self.process.stdout.readline()
    if not line:
      self.close()
      raise RuntimeError(f'{self._name} ended; its error is above')
    return json.loads(line)

  def run(self, **request: Any) -> Spent:
    """Does what is asked; the seconds that it took."""
    self.send(**request)
    return Spent(**self.receive())

  def close(self) -> None:
    """Ends the process."""
    self.process.stdin.close()
    self.process.wait()
    self.process.stdout.close()

  def __enter__(self) -> 'Peer':
    return self

  def __exit__(self, *error: Any) -> None:
    self.close()


def serve(about: Mapping[str, Any], work: Callable[..., Any]) -> None:
  """The peer's side: times `work(**request)` for each request, till the last.

  Args:
    about: what the program says of itself, JSON.
    work: what to time.
  """
  print(json.dumps(about), flush=True)
  for line in sys.stdin:
    request = json.loads(line)
    spent = timed(lambda: work(**request))
    print(json.dumps(spent._asdict()), flush=True)


def medians(times: dict[str, list[Spent]]) -> dict[str, Spent]:
  """Of each contender over its rounds, without the first where it has more."""
  counted = {name: spent[1:] or spent for name, spent in times.items()}
  return {
    name: Spent(*(statistics.median(column) for column in zip(*spent)))
    for name, spent in counted.items()
  }


def take_turns(
  contenders: Contenders, rounds: int, once: Collection[str] = ()
) -> dict[str, Spent]:
  """Lets contenders take turns.

  Args:
    contenders: name -> what does the work and returns its seconds.
    rounds: of all, of which the first warms up and does not count.
    once: names of those that are in the first round alone.

  Returns:
    Medians over the rounds.
  """
  times: dict[str, list[Spent]] = {name: [] for name in contenders}
  for number in range(rounds):
    for name, run in contenders.items():
      if name not in once or not number:
        times[name].append(run())
    print(f'round {number + 1} of {rounds}', file=sys.stderr, flush=True)
  return medians(times)


def fastest(times: Mapping[str, Spent], prefix: str) -> Spent | None:
  """The least seconds of those whose names begin so; None where none does.

  Wall and CPU seconds may be those of two contenders.
  """
  found = [spent for name, spent in times.items() if name.startswith(prefix)]
  return Spent(*map(min, zip(*found))) if found else None


def check_sizes(parameters: Mapping[str, int]) -> None:
  """Makes sure that networks are compared with networks of their size.

  Args:
    parameters: name -> number of them.

  Raises:
    AssertionError: where numbers differ.
  """
  if len(set(parameters.values())) > 1:
    raise AssertionError(f'networks differ in size: {parameters}')


def short(value: float) -> str:
  """A number in three digits, or whole from 100 on."""
  return f'{value:,.0f}' if abs(value) >= 100 else f'{value:.3g}'


def table(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
  """A table in Markdown: text on the left, what follows on the right.

  Args:
    header: names of the columns.
    rows: cells; floats are shown by `short`, None is left empty.
  """
  header = list(header)
  show = lambda cell: (
    '' if cell is None else short(cell) if isinstance(cell, float) else cell
  )
  lines = [header, ['---', *['---:'] * (len(header) - 1)]]
  lines += [[str(show(cell)) for cell in row] for row in rows]
  return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def machine(torch: Peer | None = None) -> str:
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


def parser(documentation: str, rounds: int) -> argparse.ArgumentParser:
  """Options that benchmarks share: --rounds.

  Args:
    documentation: of the program; its first line is shown by --help.
    rounds: the default.
  """
  options = argparse.ArgumentParser(description=documentation.splitlines()[0])
  options.add_argument(
    '--rounds', type=int, default=rounds, help='the first warms up'
  )
  return options


def torch_parser(documentation: str, rounds: int) -> argparse.ArgumentParser:
  """As `parser`, with --torch_python."""
  options = parser(documentation, rounds)
  options.add_argument(
    '--torch_python', default='', help='a Python that has PyTorch'
  )
  return options


@functools.cache
def has_torch(python: str) -> bool:
  """Whether there is a PyTorch to compare with; says once where there is none.

  Args:
    python: that has torch; '' for this one.
  """
  if python or importlib.util.find_spec('torch') is not None:
    return True
  print(
    'PyTorch is left out: this Python has none. Install torch, or name a '
    'Python that has it with --torch_python=PATH.'
  )
  return False


def start_torch(
  python: str, program: str, *arguments: str
) -> contextlib.AbstractContextManager[Peer | None]:
  """The PyTorch side, for `with`: a Peer, or None where there is no PyTorch.

  Args:
    python: that has torch; '' for this one.
    program: a file beside this one.
    *arguments: of the program.
  """
  if not has_torch(python):
    return contextlib.nullcontext()
  return Peer(python or sys.executable, program, *arguments)
