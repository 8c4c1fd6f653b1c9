"""Serves the page of runs on this machine, made anew for each request."""

import functools
import http
import http.server
import socketserver
import threading
from typing import Callable

from gan_jax.io import files

ADDRESS = '127.0.0.1'
_NAMES = ('127.0.0.1', 'localhost')


class _Handler(http.server.BaseHTTPRequestHandler):
  """Answers `/` with the page, and anything else with an error.

  No path of a request reaches the disk. A foreign `Host` is refused, so that a
  page of the internet cannot read this one by a name that it points here (DNS
  rebinding).
  """

  server_version, sys_version = 'gan_jax', ''

  def __init__(self, make_page: Callable[[], str], *args):
    self._make_page = make_page
    super().__init__(*args)

  def do_GET(self):
    host = self.headers.get('Host', '').rpartition(':')
    name = host[0] if host[2].isdigit() else ''.join(host)
    if name not in _NAMES:
      self.send_error(http.HTTPStatus.FORBIDDEN, 'Foreign host')
    elif self.path != '/':
      self.send_error(http.HTTPStatus.NOT_FOUND)
    else:
      self._answer()

  do_HEAD = do_GET

  def _answer(self) -> None:
    status, kind = http.HTTPStatus.OK, 'text/html'
    try:
      body = self._make_page()
    except (OSError, ValueError) as error:  # a file that is half written, say
      status, kind = http.HTTPStatus.INTERNAL_SERVER_ERROR, 'text/plain'
      body = f'{files.printable(error)}\n'
    content = body.encode()
    self.send_response(status)
    self.send_header('Content-Type', f'{kind}; charset=utf-8')
    self.send_header('Content-Length', str(len(content)))
    self.send_header('Cache-Control', 'no-store')
    self.send_header('X-Content-Type-Options', 'nosniff')
    self.end_headers()
    if self.command != 'HEAD':
      self.wfile.write(content)

  def log_message(self, *unused):
    del unused


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
  daemon_threads = True

  def handle_error(self, *unused):
    del unused  # a browser that went away


def make_server(
  make_page: Callable[[], str], port: int
) -> http.server.HTTPServer:
  """Opens a server of a page on the loopback address.

  Args:
    make_page: returns the page; one call at a time.
    port: TCP port; 0 for a free one, which `server_port` tells.

  Returns:
    The server; `serve_forever` answers requests.

  Raises:
    OSError: if the port is in use, or not allowed.
    ValueError: if there is no such port.
  """
  if not 0 <= port < 2**16:
    raise ValueError(f'--port={port}: must be from 0 to {2**16 - 1}')
  lock = threading.Lock()

  def locked() -> str:
    with lock:
      return make_page()

  try:
    return _Server((ADDRESS, port), functools.partial(_Handler, locked))
  except OSError as error:
    raise OSError(
      f'--port={port}: {error.strerror}; choose another, or --port=0 for a '
      'free one'
    ) from error
