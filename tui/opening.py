"""Opens the dashboard, and says what settings it cannot be opened with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.errors import UsageError
from tui.app import BerthApp

if TYPE_CHECKING:
    from backend.config import Config


def run(config: Config, *, read_only: bool = False) -> int:
    """Open the dashboard; the exit code once it is left. `ConfigError` for keys that cannot be."""
    import msgspec

    from backend import log

    theme = config.settings.theme
    log.install()
    if read_only:  # also for actions that look at nothing but the configuration
        config = msgspec.structs.replace(
            config, settings=msgspec.structs.replace(config.settings, read_only=True)
        )
    app = BerthApp(config, read_only=read_only)
    if theme is not None and theme not in app.available_themes:
        raise UsageError(
            f"settings.yaml: theme: there is no theme {theme!r}.",
            hint="Themes: " + ", ".join(sorted(app.available_themes)) + ".",
        )
    app.run()
    return app.return_code or 0
