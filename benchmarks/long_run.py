"""Measures the memory of a long run: the digits, for half an hour.

  python benchmarks/long_run.py --minutes=30

Trains `configs/digits.py` with images, scores and checkpoints, reads the
resident memory of the process every ten seconds, and stops the run with
SIGTERM. Leaves out the first two minutes, in which programs are compiled.
Prints the mean memory of the first, middle and last of the remaining minutes,
and the slope of a line through all of these readings.
"""

import argparse
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import turns

EVERY = 10.0  # seconds between readings
WARM_UP = 120.0  # seconds


def resident(process: int) -> float:
  """Returns the resident memory of a process in MiB."""
  status = pathlib.Path(f'/proc/{process}/status').read_text()
  return int(re.search(r'VmRSS:\s+(\d+) kB', status)[1]) / 1024


def watch(workdir: pathlib.Path, minutes: float) -> tuple[np.ndarray, str]:
  """Trains, and reads the memory.

  Args:
    workdir: directory of the run.
    minutes: duration of the run.

  Returns:
    `[n, 2]` seconds since the start and MiB, and the last line of the log.

  Raises:
    RuntimeError: if the run ends by itself.
  """
  command = [
    *(sys.executable, 'train.py', f'--workdir={workdir}'),
    *('--config.num_steps=100000000', '--config.checkpoint_every=1500'),
    *('--config.sample_every=1500', '--config.eval_every=6000'),
  ]
  log = workdir.with_name('log')  # an unread pipe would fill up
  with log.open('w') as file:
    process = subprocess.Popen(command, cwd=turns.ROOT, stdout=file)
  start, rows = time.monotonic(), []
  while (seconds := time.monotonic() - start) < 60 * minutes:
    if process.poll() is not None:
      raise RuntimeError(f'the run ended by itself: {log.read_text()}')
    rows.append((seconds, resident(process.pid)))
    time.sleep(EVERY)
  process.send_signal(signal.SIGTERM)
  process.wait()
  lines = log.read_text().splitlines()
  return np.array(rows), [line for line in lines if 'step ' in line][-1]


def main() -> None:
  """Measures, and prints a table."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--minutes', type=float, default=30)
  minutes = parser.parse_args().minutes
  with tempfile.TemporaryDirectory() as directory:
    rows, last = watch(pathlib.Path(directory) / 'run', minutes)
  seconds, mib = rows[rows[:, 0] >= min(WARM_UP, 30 * minutes)].T
  minute = max(1, round(60 / EVERY))
  middle = len(mib) // 2
  parts = mib[:minute], mib[middle : middle + minute], mib[-minute:]
  slope = np.polyfit(seconds / 60, mib, 1)[0]
  print(turns.machine())
  print(f'\n{last}\n')
  print('MiB:', *(f'{x:.0f}' for x in mib[:: max(1, len(mib) // 30)]), '\n')
  header = ('start, MiB', 'middle, MiB', 'end, MiB', 'slope, MiB / minute')
  row = [*(f'{part.mean():.0f}' for part in parts), f'{slope:+.2f}']
  print(turns.table(header, [row]))


if __name__ == '__main__':
  main()
