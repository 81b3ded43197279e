#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
# long
"""The third ratio that must not fall: class D to the disk alone, best of three."""
from atr_harness import Report, case
from test_bench import holds


@case
def class_d_to_disk(_):
    """Class D does not fall far below what the disk syncs, which is usual."""
    holds(0.7, 'classd', 'disk alone', 'class-d', '--passes', '3', '--frames', '4096')


if __name__ == '__main__':
    Report.main()
