"""Runs the benchmarks and writes what they print into docs/.

  python benchmarks/suite.py --torch_python=PATH         all
  python benchmarks/suite.py --only toy feed             some
  make bench TORCH_PYTHON=PATH                           all, in .venv

The output of a benchmark replaces the text between the lines
`<!-- NAME begin -->` and `<!-- NAME end -->` of its document. Without PyTorch,
its rows are left out, and a line says how to get them. If a benchmark fails, its old table stays,
the summary names it, and the exit status is 1. The old table also stays if
nothing could be measured, as with gpu on a machine without a GPU. Takes half an
hour to an hour on two cores, most of it for scores.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import time
from typing import NamedTuple

import turns

DOCS = turns.ROOT / 'docs'


class Benchmark(NamedTuple):
  """A benchmark and the place of its output.

  Attributes:
    name: name of the file, and of the marks in the document.
    document: file in docs/.
    torch: whether it takes --torch_python.
    always: whether it runs without being named.
  """

  name: str
  document: str = 'benchmarks.md'
  torch: bool = False
  always: bool = True


BENCHMARKS = (
  Benchmark('startup'),
  Benchmark('toy', torch=True),
  Benchmark('ensemble'),
  Benchmark('mixture_speed', torch=True),
  Benchmark('dcgan_step', torch=True),
  Benchmark('residual_step', torch=True),
  Benchmark('modern_step', torch=True),
  Benchmark('gpu', torch=True),
  Benchmark('feed'),
  Benchmark('scaling', 'scaling.md'),
  Benchmark('gpu_collectives', 'scaling.md', always=False),  # jax[cuda13]
  Benchmark('many_images', 'scaling.md', always=False),  # 5 GB of disk
  Benchmark('scores'),
  Benchmark('inception', torch=True, always=False),  # needs --weights
)


def replace(text: str, name: str, body: str) -> str:
  """Replaces the text between the two marks of a benchmark.

  Args:
    text: text of the document.
    name: name of the benchmark.
    body: new text between the marks.

  Raises:
    ValueError: if the marks are missing, repeated or in the wrong order.
  """
  begin, end = (f'<!-- {name} {side} -->' for side in ('begin', 'end'))
  before, _, rest = text.partition(begin)
  _, found, after = rest.partition(end)
  if not found or begin in rest or end in before + after:
    raise ValueError(
      f'the document must have {begin!r} once, and {end!r} once after it'
    )
  return f'{before}{begin}\n\n{body.strip()}\n\n{end}{after}'


def has_table(output: str) -> bool:
  """Returns whether an output has a table with at least one row."""
  return re.search(r'^\| ?:?---.*\n\| ', output, re.MULTILINE) is not None


def run(benchmark: Benchmark, arguments: list[str]) -> str:
  """Runs a benchmark in its own process, and shows its output.

  Args:
    benchmark: benchmark to run.
    arguments: command-line arguments.

  Returns:
    The output.

  Raises:
    subprocess.CalledProcessError: if it fails.
  """
  path = str(pathlib.Path(__file__).with_name(f'{benchmark.name}.py'))
  command = [sys.executable, path, *arguments]
  lines = []
  with subprocess.Popen(
    command, cwd=turns.ROOT, stdout=subprocess.PIPE, text=True
  ) as process:
    for line in process.stdout:
      print(line, end='', flush=True)
      lines.append(line)
  if process.returncode:
    raise subprocess.CalledProcessError(process.returncode, command)
  return ''.join(lines)


def refresh(benchmark: Benchmark, arguments: list[str]) -> str:
  """Runs a benchmark, and updates its document.

  Args:
    benchmark: benchmark to run.
    arguments: command-line arguments.

  Returns:
    The outcome, for the summary.

  Raises:
    ValueError: if the document lacks the marks.
    subprocess.CalledProcessError: if the benchmark fails.
  """
  path = DOCS / benchmark.document
  replace(path.read_text(), benchmark.name, '')  # raises before an hour
  start = time.perf_counter()
  output = run(benchmark, arguments)
  if not has_table(output):
    return f'nothing measured: {output.strip()}'
  path.write_text(replace(path.read_text(), benchmark.name, output))
  minutes = (time.perf_counter() - start) / 60
  return f'written to docs/{benchmark.document} ({minutes:.1f} minutes)'


def parse() -> tuple[argparse.Namespace, list[str]]:
  """Parses the options, and returns those for the benchmarks separately."""
  names = [benchmark.name for benchmark in BENCHMARKS]
  parser = argparse.ArgumentParser(
    description=__doc__.splitlines()[0],
    allow_abbrev=False,
    epilog='Other options, such as --rounds=3, go to every benchmark.',
  )
  parser.add_argument('--only', nargs='*', choices=names, default=[])
  parser.add_argument(
    '--torch_python', default='', help='path of a Python that has PyTorch'
  )
  options, more = parser.parse_known_args()
  if options.torch_python:  # benchmarks run in the root of the repository
    options.torch_python = os.path.abspath(options.torch_python)
  return options, more


def main() -> None:
  """Runs the benchmarks, updates the documents, and prints a summary."""
  options, more = parse()
  wanted = [b for b in BENCHMARKS if b.name in options.only or not options.only]
  outcomes, failed = {}, False
  for benchmark in wanted:
    if not benchmark.always and benchmark.name not in options.only:
      outcomes[benchmark.name] = (
        f'left out; run it with --only {benchmark.name}'
      )
      continue
    torch = [f'--torch_python={options.torch_python}']
    print(f'\n== {benchmark.name}', flush=True)
    try:
      outcome = refresh(benchmark, [*torch * benchmark.torch, *more])
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
      outcome, failed = f'FAILED: {error}', True
    outcomes[benchmark.name] = outcome
  print()
  for name, outcome in outcomes.items():
    print(f'{name:14} {outcome}')
  sys.exit(failed)


if __name__ == '__main__':
  main()
