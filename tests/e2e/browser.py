# SPDX-License-Identifier: BSD-3-Clause
"""Opens pages in Debian's chromium without a screen, over chromedriver's WebDriver interface."""
import base64
import json
import os
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ARGUMENTS = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
             '--disable-background-networking', '--disable-component-update', '--no-first-run',
             '--disable-extensions', '--disable-sync']
START_SECONDS, ANSWER_SECONDS = 20, 60


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Browser:
    """One browser with one page, and a folder of its own that goes with it."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.base = f'http://127.0.0.1:{(port := free_port())}'
        environment = dict(os.environ, HOME=self.folder.name, TMPDIR=self.folder.name)
        self.driver = subprocess.Popen(['chromedriver', f'--port={port}'], env=environment,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.session = None
        # Not through a proxy, whatever the environment says.
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            self.wait_until_up()
            profile = os.path.join(self.folder.name, 'profile')
            wanted = {'browserName': 'chrome',
                      'goog:loggingPrefs': {'browser': 'ALL', 'performance': 'ALL'},
                      'goog:chromeOptions': {'args': ARGUMENTS + [f'--user-data-dir={profile}']}}
            answer = self.ask('POST', '/session', {'capabilities': {'alwaysMatch': wanted}})
            self.session = answer['sessionId']
            self.post('url', url='about:blank')  # instead of the browser's own first page
            list(self.requests())
        except BaseException:
            self.close()
            raise

    def wait_until_up(self):
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                if self.ask('GET', '/status')['ready']:
                    return
            except OSError:
                pass
            assert time.monotonic() < end and self.driver.poll() is None, 'no chromedriver'
            time.sleep(0.05)

    def ask(self, method, path, body=None):
        request = urllib.request.Request(
            self.base + path, method=method, headers={'Content-Type': 'application/json'},
            data=None if body is None else json.dumps(body).encode())
        try:
            with self.opener.open(request, timeout=ANSWER_SECONDS) as answer:
                return json.load(answer)['value']
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)['value']['message'][:300]) from error

    def post(self, what, **body):
        return self.ask('POST', f'/session/{self.session}/{what}', body)

    def devtools(self, command, **parameters):
        return self.post('goog/cdp/execute', cmd=command, params=parameters)

    def open(self, path):
        self.post('url', url='file://' + os.path.abspath(path))

    def width(self, pixels):
        self.devtools('Emulation.setDeviceMetricsOverride', width=pixels, height=800,
                      deviceScaleFactor=1, mobile=pixels < 600)

    def scheme(self, name):
        self.devtools('Emulation.setEmulatedMedia',
                      features=[{'name': 'prefers-color-scheme', 'value': name}])

    def run(self, script, *arguments):
        return self.post('execute/sync', script=script, args=list(arguments))

    def log(self, kind):
        """Entries since it was last asked for."""
        return self.post('se/log', type=kind)

    def requests(self):
        """Addresses that pages asked for since this was last asked."""
        for entry in self.log('performance'):
            message = json.loads(entry['message'])['message']
            if message['method'] == 'Network.requestWillBeSent':
                yield message['params']['request']['url']

    def pdf(self):
        return base64.b64decode(self.post('print'))

    def close(self):
        try:
            if self.session:
                self.ask('DELETE', f'/session/{self.session}')
        except (OSError, AssertionError):
            pass
        self.driver.terminate()
        try:
            self.driver.wait(5)
        except subprocess.TimeoutExpired:
            self.driver.kill()
            self.driver.wait()
        self.folder.cleanup()
