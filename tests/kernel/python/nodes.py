# SPDX-License-Identifier: Apache-2.0
"""Processes of the benchmark, each a node of the store."""

import os
import re
import signal
import subprocess
import sys
import threading

LIMIT = 200  # seconds until a process must have done something


class Node:
    def __init__(self, command):
        self.process = subprocess.Popen(
            [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.said = {"output": "", "errors": ""}
        self.ended = 0  # streams
        self.changed = threading.Condition()
        self.readers = [
            threading.Thread(target=self._read, args=pair, daemon=True)
            for pair in (("output", self.process.stdout), ("errors", self.process.stderr))
        ]
        for reader in self.readers:
            reader.start()

    def _read(self, name, stream):
        with stream:
            while True:
                text = os.read(stream.fileno(), 65536).decode()
                with self.changed:
                    self.said[name] += text
                    self.ended += not text
                    self.changed.notify_all()
                if not text:
                    return

    def wait_for(self, name, pattern):
        """Until the process has said it."""
        with self.changed:
            self.changed.wait_for(lambda: re.search(pattern, self.said[name]) or self.ended == 2, LIMIT)
            if not re.search(pattern, self.said[name]):
                raise AssertionError("no %r in what it says: %s" % (pattern, self.said))

    def signal(self, number):
        self.process.send_signal(number)

    def end(self, number=None):
        """Its exit status."""
        if number is not None:
            self.signal(number)
        try:
            status = self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            raise AssertionError("it does not end: %s" % self.said) from None
        for reader in self.readers:
            reader.join()
        return status
