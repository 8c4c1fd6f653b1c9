"""Pages of runs as single HTML files: plain data in, text out.

  page = html_report.run_page(record)            one run
  page = html_report.comparison_page(compared)   several runs, or an ensemble

A page needs no network and no other file: pictures, sound, styles and the
charts (uPlot, see assets/uPlot.LICENSE) are in it. Names, settings and messages
of others are escaped, and a content security policy in the page lets no other
script run and nothing load.
"""

from gan_jax.report.html_report.comparison import comparison_page
from gan_jax.report.html_report.grouping import compare_members, compare_runs
from gan_jax.report.html_report.pictures import encode_picture
from gan_jax.report.html_report.records import (
  Comparison,
  Curve,
  EnsembleRecord,
  Evaluation,
  Group,
  Picture,
  RunRecord,
)
from gan_jax.report.html_report.single_run import run_page

__all__ = [
  'Comparison',
  'Curve',
  'EnsembleRecord',
  'Evaluation',
  'Group',
  'Picture',
  'RunRecord',
  'compare_members',
  'compare_runs',
  'comparison_page',
  'encode_picture',
  'run_page',
]
