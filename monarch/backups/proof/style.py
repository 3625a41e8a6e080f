"""The style sheet of the page about drills, for screens and for paper."""

STYLE = """
:root { color-scheme: light; --ink: #1d2530; --soft: #5b6675; --line: #dfe3e8; --good: #17693f;
  --good-back: #e9f5ee; --bad: #a4262c; --bad-back: #fcecec; --open: #7a5b00; }
* { box-sizing: border-box; }
body { margin: 0; background: #f3f4f6; color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1rem; }
article { background: #fff; border: 1px solid var(--line); border-radius: 6px; margin-bottom: 2rem;
  overflow: hidden; }
header { display: grid; grid-template-columns: 1fr auto; gap: 0 1.5rem; padding: 1.5rem 2rem;
  border-top: 6px solid; }
header.good { background: var(--good-back); border-color: var(--good); }
header.bad { background: var(--bad-back); border-color: var(--bad); }
header p, h1 { margin: 0; }
.kind { color: var(--soft); font-size: .8rem; letter-spacing: .08em; text-transform: uppercase; }
h1 { font-size: 1.6rem; line-height: 1.25; grid-column: 1; overflow-wrap: anywhere; }
h1 span { display: block; color: var(--soft); font-size: .95rem; font-weight: 400; }
.verdict { grid-column: 2; grid-row: 1 / span 2; align-self: center; font-size: 1.5rem; font-weight: 700; }
.verdict span { display: block; font-size: .8rem; font-weight: 400; text-align: right; }
.good .verdict, td.good { color: var(--good); }
.bad .verdict, td.bad { color: var(--bad); }
td.open { color: var(--open); }
.what { grid-column: 1 / -1; padding-top: .75rem; }
section { padding: 1rem 2rem 1.25rem; border-top: 1px solid var(--line); }
h2 { margin: 0 0 .5rem; font-size: 1.05rem; }
.problems { color: var(--bad); }
.problems ul { margin: 0; padding-left: 1.2rem; }
dl { margin: 0; }
dl div { display: grid; grid-template-columns: 11rem 1fr; gap: 1rem; padding: .3rem 0; }
dl div + div { border-top: 1px solid #eef0f3; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
code { font: .88em/1.4 ui-monospace, "SFMono-Regular", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem .35rem 0; border-bottom: 1px solid #eef0f3; text-align: left;
  vertical-align: top; }
th { color: var(--soft); font-size: .82rem; font-weight: 600; vertical-align: bottom; }
.number { text-align: right; }
td.good, td.bad { font-weight: 600; }
tr.wrong { background: var(--bad-back); }
td.number + td:not(.number), th.number + th:not(.number) { padding-left: 1rem; }
section > p { margin: 0; }
@media (max-width: 40rem) {
  header { grid-template-columns: 1fr; padding: 1rem; }
  .verdict { grid-column: 1; grid-row: auto; }
  section { padding: 1rem; }
  dl div { grid-template-columns: 1fr; gap: 0; }
  table { display: block; overflow-x: auto; }
  th:first-child, td:first-child { min-width: 10rem; }
}
@media print {
  @page { margin: 18mm; }
  body { background: #fff; font-size: 10pt; }
  main { padding: 0; max-width: none; }
  article { border: 0; break-after: page; }
  article:last-child { break-after: auto; }
  header, td, tr.wrong { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  tr, dl div { break-inside: avoid; }
  thead { display: table-header-group; }
}
"""
