"""An SVG picture, line by line. Colours that can be told apart, and read on white and beside a dark page."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

INK, PALE, GRID = "#24292f", "#6e7781", "#d8dee4"
BLUE, GREEN, RED, AMBER = "#0b69c7", "#1a7f37", "#cf222e", "#9a6700"


class Picture:
    def __init__(self, width: int, height: int, title: str) -> None:
        self._lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
            'font-family="system-ui, sans-serif" font-size="13">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{width}" height="{height}" rx="8" fill="#ffffff"/>',
        ]

    def text(self, x: float, y: float, text: str, *, colour: str = INK, anchor: str = "start", size: int = 13) -> None:
        self._lines.append(
            f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" font-size="{size}" '
            f'stroke="#ffffff" stroke-width="4" stroke-linejoin="round" paint-order="stroke">{escape(text)}</text>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, *, colour: str = GRID, width: float = 1) -> None:
        self._lines.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'
        )

    def arrow(self, x1: float, x2: float, y: float, *, colour: str = INK) -> None:
        """From left to right or back."""
        self.line(x1, y, x2, y, colour=colour)
        back = -6 if x2 > x1 else 6
        self._lines.append(
            f'<path d="M{x2:.1f} {y:.1f} l{back} -4 v8 z" fill="{colour}"/>',
        )

    def dot(self, x: float, y: float, *, colour: str = INK, radius: float = 4) -> None:
        self._lines.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>')

    def cross(self, x: float, y: float, *, colour: str = RED, size: float = 6) -> None:
        self.line(x - size, y - size, x + size, y + size, colour=colour, width=3)
        self.line(x - size, y + size, x + size, y - size, colour=colour, width=3)

    def box(self, x: float, y: float, width: float, height: float, *, colour: str) -> None:
        self._lines.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}" '
            'fill-opacity="0.12"/>'
        )

    def save(self, path: Path) -> None:
        path.write_text("\n".join([*self._lines, "</svg>", ""]), encoding="utf-8")
