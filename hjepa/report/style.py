"""The style of the page: system fonts, one column, light and dark, nothing loaded."""

STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --muted: #656d76; --faint: #979ea6; --line: #e4e6e9;
  --paper: #fff; --tint: #f6f7f8; --link: #0b5cad;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --muted: #9da5ae; --faint: #767e88;
  --line: #30353b; --paper: #15181c; --tint: #1d2126; --link: #6cb0f5; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 var(--sans);
  -webkit-text-size-adjust: 100%; }
main { max-width: 1024px; margin: 0 auto; padding: 18px 32px 80px; }
.kicker { margin: 0; color: var(--muted); font-size: 13px; }
h1 { font-size: 40px; line-height: 1.1; letter-spacing: -0.022em; font-weight: 680; margin: 4px 0 8px; }
h2 { font-size: 24px; line-height: 1.25; letter-spacing: -0.012em; margin: 64px 0 6px; }
h2.task { font-size: 18px; margin: 36px 0 4px; }
h3 { font-size: 15px; margin: 28px 0 4px; overflow-wrap: anywhere; }
p { margin: 0 0 10px; max-width: 76ch; }
.answer { font-size: 19px; line-height: 1.5; max-width: 70ch; }
.beside { font-size: 16px; max-width: 76ch; }
p.quiet { max-width: 124ch; margin-bottom: 4px; }
.quiet { color: var(--muted); font-size: 14px; }
a { color: var(--link); text-decoration: none; } a:hover { text-decoration: underline; }
nav { font-size: 14px; margin: 20px 0 0; display: flex; flex-wrap: wrap; gap: 4px 18px; }
figure { margin: 10px 0 6px; }
figure svg { display: block; width: 100%; height: auto; overflow: hidden; fill: var(--ink); }
figure svg * { stroke-linejoin: round; }
figure svg.narrow { display: none; }
figcaption { color: var(--muted); font-size: 14px; line-height: 1.45; max-width: 132ch; margin-top: 4px; }
.scroll { overflow-x: auto; margin: 8px 0 12px; }
table { border-collapse: collapse; font-size: 15px; font-variant-numeric: tabular-nums; width: 100%; }
caption { text-align: left; color: var(--muted); font-size: 14px; padding: 4px 0; }
th, td { text-align: right; padding: 5px 0 5px 18px; border-bottom: 1px solid var(--line);
  white-space: nowrap; vertical-align: top; }
th:first-child { text-align: left; padding-left: 0; } th { font-weight: 500; }
thead th { color: var(--muted); font-weight: 400; font-size: 13px; vertical-align: bottom;
  white-space: normal; }
table.small { font-size: 13.5px; }
table.small td, table.small thead th { padding-left: 12px; }
table.small th:first-child { padding-left: 0; } table.small th[scope=row] { white-space: normal; min-width: 7em; }
tr.group th { padding-top: 14px; color: var(--muted); font-style: italic; font-weight: 400; }
table.hero-table tr:first-child th, table.hero-table tr:last-child th { color: var(--muted); font-weight: 400; }
.level { white-space: nowrap; } .dot { width: 0.72em; height: 0.72em; margin-right: 0.4em; overflow: visible; }
td .from { white-space: normal; }
.from, .path { font-family: var(--mono); font-size: 12px; } .path { overflow-wrap: anywhere; color: var(--muted); }
details { margin: 4px 0 12px; font-size: 15px; } summary { cursor: pointer; color: var(--muted); font-size: 14px; }
pre, code { font: 12.5px/1.5 var(--mono); }
code { display: block; background: var(--tint); border-radius: 6px; padding: 6px 10px; margin: 4px 0;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.commands { margin: 0 0 14px; } .commands .quiet { margin: 8px 0 2px; overflow-wrap: anywhere; }
table.results td:nth-child(2) { white-space: normal; min-width: 9em; }
table.results :is(th, td):nth-child(2) { text-align: left; }
pre { overflow-x: auto; background: var(--tint); border-radius: 6px; padding: 10px; }
.source { margin: 0; border-bottom: 1px solid var(--line); padding: 4px 0; font-size: 13.5px; }
.source summary { color: var(--ink); font-size: 13.5px; display: list-item; } .source ul { display: inline-block;
  vertical-align: top; margin: 0; padding: 0; list-style: none; max-width: calc(100% - 24px); }
.source b { font: 600 12px var(--mono); margin-right: 6px; } .source dl { margin: 6px 0 12px 18px; }
dl { display: grid; grid-template-columns: 96px 1fr; gap: 2px 12px; margin: 6px 0; font-size: 13.5px; }
dt { color: var(--muted); } dd { margin: 0; min-width: 0; overflow-wrap: anywhere; } dd i { color: var(--muted); }
.failed { padding-left: 0; list-style: none; } .failed li { border-left: 3px solid #D55E00; padding-left: 14px;
  margin: 14px 0; overflow-wrap: anywhere; } .failed p { margin: 0 0 2px; }
:target { background: color-mix(in srgb, var(--link) 18%, transparent); }
@media (max-width: 640px) { main { padding: 16px 16px 60px; } h1 { font-size: 30px; } .answer { font-size: 17px; }
  h2 { font-size: 21px; margin-top: 48px; } figure svg.wide { display: none; }
  figure svg.narrow { display: block; } table { font-size: 14px; } th, td { padding-left: 12px; }
  table.hero-table th:nth-child(4), table.hero-table td:nth-child(4),
  table.hero-table th:nth-child(5), table.hero-table td:nth-child(5),
  table.hero-table th:nth-child(6), table.hero-table td:nth-child(6) { display: none; }
  table.hero-table { font-size: 12.5px; } table.hero-table th, table.hero-table td { padding-left: 6px; }
  table.hero-table th:first-child { padding-left: 0; } dl { grid-template-columns: 1fr; } dt { margin-top: 6px; } }
@media print { main { max-width: none; } details { display: block; } }
"""
