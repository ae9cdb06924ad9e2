//! The style of the page: one for light and dark, wide and narrow.

/// Contrast of every text to its ground is at least 4.5 in both schemes (WCAG 2.2, 1.4.3).
pub(super) const STYLE: &str = "
:root{--paper:#fff;--ink:#1a1d21;--soft:#50575e;--line:#c9ced3;--grid:#e6e9ec;--shade:#e9edf1;
--twin:#0b57a4;--sibling:#6b4d00;--alert:#b3261e;--dot:#8a949e;--card:#f5f7f9}
@media (prefers-color-scheme:dark){:root{--paper:#14171a;--ink:#eceff1;--soft:#b3bcc4;
--line:#485159;--grid:#2a3036;--shade:#23292f;--twin:#7db8f5;--sibling:#e2bd5b;--alert:#ff8a80;
--dot:#7f8a94;--card:#1d2226}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}
header,main{max-width:1000px;margin:0 auto;padding:0 20px}
header{padding-top:32px}
h1{font-size:28px;line-height:1.25;margin:0 0 12px;overflow-wrap:anywhere}
h2{font-size:20px;margin:40px 0 12px}
.kind{margin:0;color:var(--soft)}
.notice{border-left:4px solid var(--alert);background:var(--card);padding:8px 12px;margin:8px 0}
dl{margin:0}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(220px,1fr));gap:12px 24px;
margin-top:20px}
dt{color:var(--soft);font-size:14px}
dd{margin:0;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(280px,1fr));gap:12px}
.figures div{background:var(--card);padding:12px 14px;border-radius:6px}
.figures strong{display:block;font-size:22px;line-height:1.3}
.figures span{color:var(--soft);font-size:14px}
.key{display:flex;flex-wrap:wrap;gap:4px 20px;margin:8px 0 0;padding:0;list-style:none;
color:var(--soft);font-size:14px}
.key svg{vertical-align:-2px;margin-right:6px}
.narrow{display:none}
svg{display:block;max-width:100%}
.key svg{display:inline}
svg text{fill:var(--ink);font-size:13px;font-family:inherit;font-variant-numeric:tabular-nums}
svg .soft{fill:var(--soft)}
svg .tag{fill:var(--soft);paint-order:stroke;stroke:var(--paper);stroke-width:5px}
svg .grid{stroke:var(--grid);fill:none}
svg .frame{stroke:var(--line);fill:none}
svg .shade{fill:var(--shade)}
svg .dot{fill:var(--dot)}
svg .twin{stroke:var(--twin);fill:none;stroke-width:2}
svg .sibling{stroke:var(--sibling);fill:none;stroke-width:1.5;stroke-dasharray:5 3}
svg .out{stroke:var(--alert);fill:none;stroke-width:2}
svg .mark{stroke:var(--alert);fill:none;stroke-width:1.5;stroke-dasharray:2 3}
svg .alert{fill:var(--alert);paint-order:stroke;stroke:var(--paper);stroke-width:4px}
svg .box{fill:var(--card);stroke:var(--line)}
svg .link{stroke:var(--soft);fill:none;stroke-width:1.5}
svg .head{fill:var(--soft)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px}
caption{text-align:left;color:var(--soft);padding:0 0 6px}
th,td{text-align:left;vertical-align:top;padding:6px 12px 6px 0;border-bottom:1px solid var(--grid)}
td{overflow-wrap:anywhere}
th{color:var(--soft);font-weight:600}
td.who{white-space:nowrap}
td.time{white-space:nowrap;font-variant-numeric:tabular-nums}
main{padding-bottom:60px}
@media (max-width:700px){.wide{display:none}.narrow{display:block}header,main{padding:0 16px}
header{padding-top:20px}h1{font-size:22px}
table,thead,tbody,tr,th,td,caption{display:block}thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
tr{border-bottom:1px solid var(--line);padding:8px 0}td{border:0;padding:1px 0}
td.who{white-space:normal}td.time{white-space:normal;font-weight:600}
td[data-name]::before{content:attr(data-name) ': ';color:var(--soft)}}
@media print{.narrow{display:none}.wide{display:block}}
";
