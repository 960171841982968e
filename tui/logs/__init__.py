"""The log screen: lines of one or several containers, followed, searched, filtered, copied and saved."""

from tui.logs.open import open_job_logs, open_logs

__all__ = ["open_job_logs", "open_logs"]
