"""Resident memory of a process, without any package.

Shared by the sides of the benchmarks that report memory.
"""

import pathlib
import re
import resource


def _read(field: str, process: int | str = 'self') -> float | None:
  """Returns a field of /proc in MiB; None on systems without it."""
  status = pathlib.Path(f'/proc/{process}/status')
  if not status.exists():
    return None
  found = re.search(rf'^{field}:\s*(\d+) kB', status.read_text(), re.MULTILINE)
  return int(found[1]) / 2**10


def peak_mib() -> float:
  """Returns the peak memory of this process in MiB."""
  peak = _read('VmHWM')  # getrusage includes the parent's memory at the fork
  if peak is None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
  return peak


def resident_mib(files: bool = True, process: int | str = 'self') -> float:
  """Returns the memory of a process in MiB; where unknown, the peak of this.

  Args:
    files: whether to count pages of mapped files, which the system takes back
      when it needs them.
    process: number of the process.
  """
  found = _read('VmRSS' if files else 'RssAnon', process)
  return peak_mib() if found is None else found


def reset_peak() -> None:
  """Lets the peak begin at the present memory, where the system can."""
  path = pathlib.Path('/proc/self/clear_refs')
  if path.exists():
    path.write_text('5')
