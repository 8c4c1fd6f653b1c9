"""Opens pages in headless Chromium, where it is installed.

Chromium is driven over a pipe, so that no driver and no port are needed.
"""

import base64
import contextlib
import fcntl
import itertools
import json
import os
import shutil
import subprocess
import time

import pytest

_NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')
_SECONDS = 60
COMMAND = 'apt-get install chromium'


def find_chromium():
  """Returns the path of the program, or None."""
  return next(filter(None, map(shutil.which, _NAMES)), None)


needs_chromium = pytest.mark.skipif(
  find_chromium() is None, reason=f'needs Chromium: {COMMAND}'
)


class BrowserError(Exception):
  """Raised for an error of a script, or while a page is being replaced."""


class Page:
  """A page that is open.

  Attributes:
    errors: messages of the console and exceptions of the page.
    requests: addresses that the page asked for, itself included.
  """

  def __init__(self, send, read):
    self._send, self._read = send, read
    self._numbers = itertools.count(1)
    self._session = None
    self.errors, self.requests = [], []

  def call(self, method, **params):
    """Calls a method of the protocol, and returns its result."""
    number = next(self._numbers)
    message = {'id': number, 'method': method, 'params': params}
    if self._session:
      message['sessionId'] = self._session
    self._send(message)
    while True:
      answer = self._read()
      if answer.get('id') == number:
        if 'error' in answer:
          raise BrowserError(f'{method}: {answer["error"]}')
        return answer['result']
      self._note(answer)

  def _note(self, event):
    params, name = event.get('params', {}), event.get('method')
    if name == 'Runtime.exceptionThrown':
      self.errors.append(json.dumps(params['exceptionDetails']))
    if name == 'Runtime.consoleAPICalled' and params['type'] != 'log':
      self.errors.append(json.dumps(params['args']))
    if name == 'Log.entryAdded':
      self.errors.append(params['entry']['text'])
    if name == 'Network.requestWillBeSent':
      self.requests.append(params['request']['url'])

  def requests_of_others(self):
    """Returns the requests that are not for files or data."""
    own = ('file:', 'data:', 'blob:', 'about:')
    return [url for url in self.requests if not url.startswith(own)]

  def attach(self):
    target = self.call('Target.createTarget', url='about:blank')['targetId']
    self._session = self.call(
      'Target.attachToTarget', targetId=target, flatten=True
    )['sessionId']
    for domain in ('Page', 'Runtime', 'Log', 'Network'):
      self.call(f'{domain}.enable')

  def open(self, url, *, width=1200, height=800, dark=False):
    """Opens an address, and waits until the page's script has ended."""
    self.call(
      'Emulation.setDeviceMetricsOverride',
      width=width,
      height=height,
      deviceScaleFactor=1,
      mobile=False,
    )
    scheme = {'name': 'prefers-color-scheme', 'value': 'dark' if dark else ''}
    self.call('Emulation.setEmulatedMedia', features=[scheme])
    self.call('Page.navigate', url=url)
    self.wait_for("document.readyState === 'complete'")

  def evaluate(self, expression):
    """Returns the value of a JavaScript expression."""
    found = self.call(
      'Runtime.evaluate',
      expression=expression,
      returnByValue=True,
      awaitPromise=True,
    )
    if 'exceptionDetails' in found:
      raise BrowserError(json.dumps(found['exceptionDetails']))
    return found['result'].get('value')

  def wait_for(self, expression):
    """Waits until a JavaScript expression is true, in this page or the next."""
    end = time.monotonic() + _SECONDS
    while True:
      with contextlib.suppress(BrowserError):
        if self.evaluate(expression):
          return
      assert time.monotonic() < end, f'never true: {expression}'
      time.sleep(0.02)

  def screenshot(self, path, *, whole=True):
    """Saves a PNG of the page."""
    found = self.call('Page.captureScreenshot', captureBeyondViewport=whole)
    path.write_bytes(base64.b64decode(found['data']))


@contextlib.contextmanager
def chromium(profile):
  """Yields an empty Page in a new browser.

  Args:
    profile: directory for the browser's own files.
  """
  # The browser reads commands from descriptor 3 and writes answers to 4.
  (to_read, to_write), (from_read, from_write) = _high_pipe(), _high_pipe()
  command = f'exec "$0" "$@" 3<&{to_read} 4>&{from_write}'
  flags = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run']
  flags += [f'--user-data-dir={profile}', '--remote-debugging-pipe']
  flags += ['--disable-background-networking', 'about:blank']
  with open(os.devnull, 'wb') as quiet:
    browser = subprocess.Popen(
      ['bash', '-c', command, find_chromium(), *flags],
      pass_fds=(to_read, from_write),
      stdout=quiet,
      stderr=quiet,
    )
  os.close(to_read)
  os.close(from_write)
  try:
    with open(to_write, 'wb', 0) as out, open(from_read, 'rb', 0) as back:
      page = Page(*_messages(out, back))
      page.attach()
      yield page
      page._session = None
      with contextlib.suppress(AssertionError, BrowserError, OSError):
        page.call('Browser.close')
  finally:
    with contextlib.suppress(subprocess.TimeoutExpired):
      browser.wait(5)
    browser.kill()
    browser.wait()


def _high_pipe():
  """Returns both ends of a pipe, neither of which is 3 or 4."""
  ends = os.pipe()
  high = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 100) for end in ends)
  for end in ends:
    os.close(end)
  return high


def _messages(out, back):
  """Returns send(message) and read() over pipes of JSON that NUL ends."""
  buffer = bytearray()

  def send(message):
    out.write(json.dumps(message).encode() + b'\0')

  def read():
    while b'\0' not in buffer:
      chunk = back.read(1 << 16)
      assert chunk, 'Chromium ended'
      buffer.extend(chunk)
    end = buffer.index(b'\0')
    message = json.loads(bytes(buffer[:end]))
    del buffer[: end + 1]
    return message

  return send, read
