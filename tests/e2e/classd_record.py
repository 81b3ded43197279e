# SPDX-License-Identifier: BSD-3-Clause
"""What producers and subscribers write down, a JSON object a line, before they act on it.

frame     t, source, first, events, leaf, bytes
                                            before a frame is sent for the first time
again     t, leaf                           before it is sent again
ack       t, bytes                          an acknowledgement received, as it came
envelope  t, id, bytes                      before an envelope is sent, the first time or again
reply     t, text                           a reply to an envelope
packet    t, via, bytes                     a downstream packet; via: live, or gap for an answer
Times are Unix nanoseconds, bytes are hex. A line that a kill cut short is ignored."""
import json
import time


class Journal:
    """Appends lines; each has reached the kernel when the call returns."""

    def __init__(self, path):
        self.file = open(path, 'ab', buffering=0)
        if self.file.tell():
            with open(path, 'rb') as file:
                file.seek(-1, 2)
                if file.read() != b'\n':
                    self.file.write(b'\n')

    def write(self, *entries):
        now = time.time_ns()
        self.file.write(b''.join(json.dumps({'t': now, **entry}).encode() + b'\n'
                                 for entry in entries))


def read(path):
    """Entries of a journal, in order; a broken line is what a kill left."""
    with open(path, 'rb') as file:
        for line in file:
            try:
                yield json.loads(line)
            except ValueError:
                continue


class Evidence:
    """All journals together, as classd_check wants them."""

    def __init__(self):
        self.frames = {}  # datagram -> times sent
        self.envelopes = {}  # datagram -> times sent
        self.acks, self.replies, self.packets = [], [], []  # (t, bytes), (t, value), (t, via, ...)
        self.starts = []  # times at which the appliance was started

    def add(self, entries):
        by_leaf = {}
        for entry in entries:
            kind, t = entry['k'], entry['t']
            data = bytes.fromhex(entry['bytes']) if 'bytes' in entry else None
            if kind == 'frame':
                by_leaf[entry['leaf']] = data
                self.frames[data] = self.frames.get(data, 0) + 1
            elif kind == 'again':
                self.frames[by_leaf[entry['leaf']]] += 1
            elif kind == 'envelope':  # again, too
                self.envelopes[data] = self.envelopes.get(data, 0) + 1
            elif kind == 'ack':
                self.acks.append((t, data))
            elif kind == 'reply':
                self.replies.append((t, json.loads(entry['text'])))
            elif kind == 'packet':
                self.packets.append((t, entry['via'], data))
        return self

    def read(self, *paths):
        for path in paths:
            self.add(read(path))
        return self
