"""The look that all pages share: one style sheet whose colours come from the palettes, light and dark."""

from modellego.decision_routes.page import read_asset
from modellego.drawing.palette import DARK, LIGHT, Palette


def theme_css() -> str:
    """Return the shared style sheet: colour variables for both themes, then type, tables and buttons."""
    light, dark = _variables(LIGHT), _variables(DARK)
    return (
        f":root{{color-scheme:light;{light}}}\n"
        f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\n"
        f":root[data-theme=dark]{{color-scheme:dark;{dark}}}\n" + read_asset("modellego.decision_routes", "theme.css")
    )


def _variables(palette: Palette) -> str:
    names = {name: getattr(palette, name) for name in ("paper", "ink", "muted", "line", "band", "shared", "unused")}
    names |= {f"c{index}": colour for index, colour in enumerate(palette.classes)}
    return "".join(f"--{name}:{value};" for name, value in names.items())
