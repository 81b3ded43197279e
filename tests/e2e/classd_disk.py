# SPDX-License-Identifier: BSD-3-Clause
"""A lab of class D whose log may lie on a small disk of its own."""
import classd_lab
from disk_trouble import Disk


class DiskLab:
    """Serves from the start on, with a subscriber; megabytes: of the disk, 0 for none. What derives
    from it may prepare the lab before its appliance starts, and begin once it serves."""

    def __init__(self, args, megabytes=0):
        self.lab = classd_lab.Lab(args, fresh=False)
        self.disk = None
        try:
            if megabytes:
                self.disk = Disk(self.lab.work, megabytes)
                self.lab.log = f'{self.disk.path}/log'
                self.lab.args += ['--log', self.lab.log]
            self.prepare()
            self.lab.start()
            self.subscriber = self.lab.subscriber_process()
            self.begin()
        except BaseException:
            self.close()
            raise

    def prepare(self):
        pass

    def begin(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.disk:
            # Before the folder that it is mounted in goes.
            if self.lab.atr:
                self.lab.atr.kill()
            self.disk.close()
        self.lab.close()
