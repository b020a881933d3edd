"""The frame of the report: one HTML page without scripts and without anything from elsewhere. All text is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from string import Template

from autorl.analysis.tables import Table

__all__ = ["code", "definitions", "details", "escape", "figure", "page", "paragraph", "section", "table"]

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>$title</title>
<style>
$style
</style>
</head>
<body>
<main>
$body
</main>
</body>
</html>
""")

_STYLE = """\
:root { --ink: #1f2328; --muted: #69707a; --grid: #dfe3e8; --paper: #ffffff; --panel: #f6f7f9; --accent: #0072b2;
  --faint: #b4bac2; --method: #0072b2; --random: #d55e00; --default: #009e73; --failed: #b5578f; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --muted: #9aa2ad; --grid: #353b44; --paper: #15181c; --panel: #1d2126; --accent: #56b4e9;
    --faint: #565e69; --method: #56b4e9; --random: #f08a3c; --default: #34c79b; --failed: #e087bd; }
}
* { box-sizing: border-box; }
html { background: var(--paper); color: var(--ink); }
body { margin: 0; font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2.2rem 1.4rem 4rem; }
header .kind { color: var(--muted); font-size: 0.85rem; letter-spacing: 0.04em; text-transform: uppercase; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0.2rem 0 0.4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.6rem 0 0.7rem; padding-top: 0.9rem; border-top: 1px solid var(--grid); }
h3 { font-size: 0.95rem; margin: 1.4rem 0 0.4rem; }
p { margin: 0.5rem 0; max-width: 46rem; }
.lead { background: var(--panel); border-left: 4px solid var(--accent); border-radius: 3px; padding: 0.9rem 1.1rem; margin: 1.1rem 0; }
.lead p { max-width: none; }
.lead .headline { font-size: 1.1rem; font-weight: 600; }
.note { color: var(--muted); font-size: 0.85rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; margin: 0.5rem 0; }
th, td { padding: 0.28rem 0.8rem 0.28rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--grid); }
th { color: var(--muted); font-weight: 600; white-space: nowrap; border-bottom-width: 2px; }
.right { text-align: right; white-space: nowrap; }
tr.strong td { font-weight: 650; }
figure { margin: 1.2rem 0; break-inside: avoid; }
figure svg { width: 100%; height: auto; display: block; overflow: visible; }
pre { background: var(--panel); border-radius: 4px; padding: 0.8rem 1rem; overflow-x: auto; font-size: 0.82rem; line-height: 1.45;
  user-select: all; -webkit-user-select: all; }
code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
details { margin: 0.6rem 0; }
summary { cursor: pointer; font-weight: 600; font-size: 0.95rem; }
dl { display: grid; grid-template-columns: minmax(9rem, max-content) 1fr; gap: 0.25rem 1.2rem; font-size: 0.88rem; }
dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; }
@media print {
  :root { --ink: #000; --muted: #555; --grid: #ccc; --paper: #fff; --panel: #f4f4f4; }
  body { font-size: 11pt; } main { max-width: none; padding: 0; }
  h2 { break-after: avoid; } tr { break-inside: avoid; } .wide, pre { overflow: visible; } pre { white-space: pre-wrap; }
}"""


def page(title: str, body: Sequence[str]) -> str:
    """Return the whole document around finished parts of HTML."""
    return _PAGE.substitute(title=escape(title), style=_STYLE, body="\n".join(part for part in body if part))


def section(heading: str, *parts: str) -> str:
    """Return a section of finished parts; nothing if they are all empty."""
    content = "\n".join(part for part in parts if part)
    return f"<section>\n<h2>{escape(heading)}</h2>\n{content}\n</section>" if content else ""


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph of plain text."""
    return f"<p{_class(kind)}>{escape(text)}</p>" if text else ""


def code(text: str) -> str:
    """Return text to copy: one click selects all of it."""
    return f"<pre>{escape(text)}</pre>"


def figure(svg: str, caption: str = "") -> str:
    """Return a figure around an ``<svg>`` element of `autorl.analysis.style.to_svg` (which escapes its own text)."""
    below = f'<figcaption class="note">{escape(caption)}</figcaption>' if caption else ""
    return f"<figure>\n{svg}\n{below}</figure>"


def definitions(entries: Sequence[tuple[str, str]]) -> str:
    """Return a list of terms, each with its plain text."""
    return (
        "<dl>\n" + "\n".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in entries) + "\n</dl>"
        if entries
        else ""
    )


def table(content: Table, heading: bool = False) -> str:
    """Return a table with its note; nothing if it has no rows."""
    if not content.rows:
        return ""
    kinds = ["right" if column.right else "" for column in content.columns]
    head = "".join(
        f'<th scope="col"{_class(k)}>{escape(c.name)}</th>' for c, k in zip(content.columns, kinds, strict=True)
    )
    rows = []
    for index, row in enumerate(content.rows):
        cells = "".join(f"<td{_class(k)}>{escape(text)}</td>" for text, k in zip(row, kinds, strict=True))
        rows.append(f"<tr{_class('strong' if index in content.strong else '')}>{cells}</tr>")
    title = f"<h3>{escape(content.title)}</h3>\n" if heading else ""
    body = "\n".join(rows)
    return (
        f'{title}<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>\n'
        + paragraph(content.note, "note")
    )


def details(summary: str, content: str) -> str:
    """Return content that is folded away until asked for; nothing if there is none."""
    return f"<details>\n<summary>{escape(summary)}</summary>\n{content}\n</details>" if content else ""


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
