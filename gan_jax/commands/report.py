"""Shows a run, several runs or an ensemble as one HTML file.

  python report.py runs/digits               writes runs/digits/report.html
  python report.py runs/digits --out=page.html
  python report.py runs/a runs/b runs/c --out=compared.html
  python report.py runs/sweep                an ensemble: its sweep
  python report.py runs/digits --serve       a run under way, in a browser

The file needs no network and nothing beside it: samples over the steps next to
real examples, scores with errors and baselines, warnings, curves, and the
config. Runs that differ in their seeds alone are one row of a comparison.
--serve answers on this machine alone; from another one, tunnel the port:
ssh -L 6016:localhost:6016 MACHINE. See docs/report.md.
"""

import sys
from typing import Collection, NoReturn, Sequence

from absl import flags

from gan_jax.runner import cli

_PORT = 6016


def define_flags() -> None:
  """Defines the flags of the program."""
  flags.DEFINE_multi_string(
    'workdir', [], 'Directory of a run; may be left out: report.py DIR DIR.'
  )
  flags.DEFINE_string(
    'out',
    '',
    'The page; default: report.html in the directory of the run, or, of '
    'several, in the current one.',
  )
  flags.DEFINE_bool('overwrite', False, 'Whether --out may replace a file.')
  flags.DEFINE_bool(
    'serve', False, 'Serve the page on this machine instead, always current.'
  )
  flags.DEFINE_integer('port', _PORT, 'Port of --serve; 0 for a free one.')


def name_workdirs(
  arguments: Sequence[str], taking: Collection[str]
) -> list[str]:
  """Puts `--workdir` before each argument that is neither flag nor value.

  Args:
    arguments: arguments of the program, without its name.
    taking: names of the flags that take a value.
  """
  named: list[str] = []
  is_value = False
  for argument in arguments:
    if is_value or argument.startswith('-'):
      named.append(argument)
      is_value = not is_value and argument.lstrip('-') in taking
    else:
      named.append(f'--workdir={argument}')
  return named


def _main(_):
  # Imported here, so that --help and errors in flags come at once.
  from gan_jax.io import files, terminal
  from gan_jax.runner import report

  given = flags.FLAGS
  try:
    if given.serve:
      return _serve(given.workdir, given.port)
    if given['port'].present:
      raise ValueError(f'--port={given.port}: is for --serve')
    path = report.write_report(
      report.Request(given.workdir, given.out, given.overwrite)
    )
  except (ValueError, OSError) as error:
    sys.exit(f'report.py: {terminal.error_message(error)}')
  megabytes = path.stat().st_size / 1e6
  print(f'report   {files.printable(path)} ({megabytes:.2f} MB)')
  return terminal.output_status()


def _serve(workdirs: Sequence[str], port: int) -> None:
  """Answers requests until the program is stopped."""
  from gan_jax.runner import report, report_server, run_files

  if flags.FLAGS.out:
    raise ValueError(f'--out={flags.FLAGS.out} with --serve: it writes no file')
  paths = report.open_runs(workdirs)
  cache = run_files.PictureCache()
  server = report_server.make_server(
    lambda: report.make_page(paths, cache, live=True), port
  )
  address = f'http://localhost:{server.server_port}/'
  print(f'serving  {address} (Ctrl-C ends)', flush=True)
  server.serve_forever()


def run() -> NoReturn:
  """Runs the program with the arguments of this process."""
  define_flags()
  taking = [name for name in flags.FLAGS if not flags.FLAGS[name].boolean]
  sys.argv[1:] = name_workdirs(sys.argv[1:], taking)
  cli.run(_main, __name__)
