"""What all tests share."""

import signal

pytest_plugins = ["tests.lab.fixtures"]

# A suite under nohup or in the background of a script (`make test &`) was started with these ignored, and
# would hand that on to every program that is tested: Ctrl+C would then end none of them.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
