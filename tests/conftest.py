"""What all tests share."""

import signal

pytest_plugins = ["tests.lab.fixtures"]

# A suite under nohup would hand its ignored SIGHUP on to every program that is tested.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
