"""How does the page look?"""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1b2f; --paper: #f6f6fa; --card: #fff; --line: #e3e3ec;
  --faint: #6b6b80; --chip: #eeeef6; --accent: #5b3fd6; --notice: #fff4d6; --amber: #b77f00; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8f0; --paper: #15151f; --card: #1f1f2c; --line: #34344a; --faint: #9a9ab0;
    --chip: #2b2b3d; --accent: #a794ff; --notice: #33290f; --amber: #e0a100; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 76rem;
  padding: 1.5rem 1.5rem 3rem; color: var(--ink); background: var(--paper); }
h1 { margin: 0 0 .75rem; font-size: 1.5rem; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.15rem; }
.notice { margin: 0; padding: .6rem 1rem; border-left: 4px solid var(--amber); border-radius: 4px;
  background: var(--notice); }
.numbers { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.25rem 0 0; }
.numbers div { flex: 1 1 7rem; padding: .6rem .9rem; border: 1px solid var(--line);
  border-radius: 6px; background: var(--card); }
.numbers dt { color: var(--faint); font-size: .8rem; }
.numbers dd { margin: 0; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.box { margin: 0 0 1.25rem; overflow-x: auto; border: 1px solid var(--line); border-radius: 6px;
  background: var(--card); }
table { width: 100%; border-collapse: collapse; }
caption { padding: .55rem .8rem; text-align: left; font-weight: 600; }
caption small { font-weight: 400; color: var(--faint); }
th, td { padding: .35rem .8rem; border-top: 1px solid var(--line); text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
th { color: var(--faint); font-size: .8rem; font-weight: 600; }
td { font-variant-numeric: tabular-nums; }
th.n, td.n { text-align: right; white-space: nowrap; }
th { overflow-wrap: break-word; }
td:first-child { min-width: 6.5rem; }
td.code { font: .8rem/1.5 ui-monospace, monospace; }
th small { display: block; font-weight: 400; color: var(--accent); }
.none { color: var(--faint); font-style: italic; }
.pairs { display: flex; flex-wrap: wrap; gap: .25rem .4rem; margin: 0; }
.pairs div { padding: 0 .5rem; border-radius: 4px; background: var(--chip); }
.pairs dt, .pairs dd { display: inline; margin: 0; }
.pairs dt { color: var(--faint); font-size: .85rem; }
.pairs dt::after { content: " "; }
"""
