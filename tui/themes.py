"""berth's own themes. All of Textual's can be chosen too."""

from __future__ import annotations

from textual.theme import Theme

DEFAULT = "berth-dark"

THEMES = (
    Theme(
        name="berth-dark",
        primary="#6cb6ff",
        secondary="#8b9bb4",
        accent="#d2a8ff",
        success="#6bc46d",
        warning="#e0a84b",
        error="#f4716b",
        foreground="#cdd6e0",
        background="#0f1318",
        surface="#151a21",
        panel="#1f2630",
        dark=True,
        variables={"block-cursor-text-style": "none", "footer-key-foreground": "#6cb6ff"},
    ),
    Theme(
        name="berth-light",
        primary="#0a5fb4",
        secondary="#57606a",
        accent="#7a3fc4",
        success="#187a33",
        warning="#955d00",
        error="#c21f2b",
        foreground="#20262e",
        background="#fbfbf9",
        surface="#f2f3f1",
        panel="#e2e6e9",
        dark=False,
        variables={"block-cursor-text-style": "none", "footer-key-foreground": "#0a5fb4"},
    ),
    Theme(  # the palette of Okabe and Ito: told apart with every kind of colour blindness
        name="berth-colour-blind",
        primary="#56b4e9",
        secondary="#8b9bb4",
        accent="#cc79a7",
        success="#56b4e9",
        warning="#f0e442",
        error="#ff8f2e",
        foreground="#d9dee5",
        background="#0f1318",
        surface="#151a21",
        panel="#1f2630",
        dark=True,
        variables={"block-cursor-text-style": "none", "footer-key-foreground": "#56b4e9"},
    ),
)
