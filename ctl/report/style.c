/* SPDX-License-Identifier: ISC */
#include "ctl/report/style.h"

#include <stddef.h>

/* v1: accepted, v2: refused, v3: put off, v4: given up, v5: monitored.
 * r1 to r6: reasons. w1 to w3: the lines of the weeks. */
const char *const report_style[] = {
	":root{color-scheme:light dark;--bg:#fff;--card:#f6f8fa;--line:#d0d7de;"
	"--ink:#1f2328;--soft:#57606a;--link:#0550ae;"
	"--good:#1a7f37;--warn:#8a5a00;--bad:#b3261e;"
	"--v1:#0969da;--v2:#c2410c;--v3:#a57100;--v4:#6e7781;--v5:#7c3aed;"
	"--r1:#c2410c;--r2:#7c3aed;--r3:#0e7490;--r4:#be185d;--r5:#a57100;"
	"--r6:#6e7781;--grid:#d8dee4}\n",
	"@media(prefers-color-scheme:dark){:root{--bg:#0f1419;--card:#182028;"
	"--line:#34404c;--ink:#e6edf3;--soft:#9aa7b4;--link:#79b8ff;"
	"--good:#56d364;--warn:#e3b341;--bad:#ff8a80;"
	"--v1:#4493f8;--v2:#f0783c;--v3:#e3b341;--v4:#8b98a5;--v5:#b794f6;"
	"--r1:#f0783c;--r2:#b794f6;--r3:#4fc3dc;--r4:#f783ac;--r5:#e3b341;"
	"--r6:#8b98a5;--grid:#2b3640}}\n",
	"*{box-sizing:border-box}\n",
	"body{margin:0;background:var(--bg);color:var(--ink);"
	"font:16px/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,"
	"\"Liberation Sans\",Arial,sans-serif}\n",
	"a{color:var(--link)}\n",
	":focus-visible{outline:3px solid var(--link);outline-offset:2px}\n",
	".skip{position:absolute;left:-999em}.skip:focus{left:1em;top:1em;"
	"background:var(--bg);padding:.5em;z-index:1}\n",
	"header,main,footer{max-width:1500px;margin:0 auto;padding:1rem}\n",
	"header{padding-bottom:0}h1{font-size:1.6rem;line-height:1.2;"
	"margin:.2em 0;overflow-wrap:anywhere}\n",
	"h2{font-size:1.2rem;margin:0 0 .3rem}h3{font-size:1rem;"
	"margin:1rem 0 .3rem}\n",
	"p{margin:.3rem 0;max-width:75ch}.soft,footer,caption,th,.y,.x,"
	"summary{color:var(--soft)}\n",
	"nav ul{display:flex;flex-wrap:wrap;gap:.2rem 1rem;list-style:none;"
	"margin:.6rem 0 0;padding:0}nav a{display:inline-block;padding:.2rem 0}\n",
	".badge{display:inline-block;font-weight:600;padding:.1rem .7rem;"
	"border:2px solid;border-radius:1rem;margin:.3rem 0}\n",
	".good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}\n",
	".tiles{display:grid;grid-template-columns:repeat(auto-fill,"
	"minmax(9.2rem,1fr));gap:.6rem;margin:0 0 1rem}\n",
	".tiles div{background:var(--card);border:1px solid var(--line);"
	"border-left:5px solid var(--tile,var(--soft));border-radius:6px;"
	"padding:.4rem .7rem}.tiles dt{color:var(--soft);font-size:.85rem;"
	"line-height:1.3}.tiles dd{margin:0;font-size:1.5rem;font-weight:650;"
	"font-variant-numeric:tabular-nums;line-height:1.25}\n",
	".tiles small{display:block;font-size:.8rem;font-weight:400;"
	"color:var(--soft)}\n",
	".cards{display:grid;grid-template-columns:minmax(0,1fr);gap:1rem;"
	"align-items:start}\n",
	"@media(min-width:1100px){.cards{grid-template-columns:repeat(2,"
	"minmax(0,1fr))}.wide{grid-column:1/-1}}\n",
	"section{border:1px solid var(--line);border-radius:8px;padding:.9rem;"
	"min-width:0}\n",
	".notes{list-style:none;margin:.3rem 0;padding:0}.notes li{margin:.3rem 0;"
	"padding-left:.7rem;border-left:4px solid currentColor;"
	"overflow-wrap:anywhere}.notes span{color:var(--ink)}\n",
	".scroll{overflow-x:auto}\n",
	"table{border-collapse:collapse;width:100%;font-size:.9rem;"
	"font-variant-numeric:tabular-nums}caption{text-align:left;"
	"padding:.2rem 0}\n",
	"th,td{padding:.25rem .5rem;border-bottom:1px solid var(--line);"
	"text-align:right;vertical-align:top}th{font-weight:600}"
	"th:first-child,td:first-child,.l{text-align:left}\n",
	"tbody th{color:var(--ink);font-weight:400;overflow-wrap:anywhere;"
	"min-width:8.5rem;max-width:30rem}td.l{overflow-wrap:anywhere}"
	"td time{white-space:nowrap}\n",
	"td.b{width:22%;min-width:4rem;vertical-align:middle}"
	".bar{display:block;width:100%;height:.8rem}\n",
	"details{margin-top:.5rem}summary{cursor:pointer;padding:.2rem 0}\n",
	"figure{margin:.4rem 0 0}.legend{display:flex;flex-wrap:wrap;"
	"gap:.1rem 1rem;list-style:none;padding:0;margin:0 0 .4rem;"
	"font-size:.9rem}.legend i{display:inline-block;width:.9em;height:.9em;"
	"margin-right:.4em;border-radius:2px;vertical-align:-.05em}\n",
	".plot{display:grid;grid-template-columns:auto minmax(0,1fr);"
	"column-gap:.5rem}.y{display:flex;flex-direction:column;"
	"justify-content:space-between;text-align:right;font-size:.8rem;"
	"line-height:1;height:13rem;margin:-.4rem 0;"
	"font-variant-numeric:tabular-nums}\n",
	".plot svg{width:100%;height:12.2rem;display:block;overflow:visible}"
	".x{grid-column:2;position:relative;height:1.5rem;margin-top:.5rem;"
	"font-size:.8rem}.x span{position:absolute;white-space:nowrap;"
	"border-left:1px solid var(--line);padding-left:.25rem}\n",
	"@media(max-width:640px){.x .odd{display:none}.plot svg{height:9.2rem}"
	".y{height:10rem}header,main,footer{padding:.7rem}section{padding:.7rem}"
	"}\n",
	".grid{fill:none;stroke:var(--grid);"
	"stroke-width:1;vector-effect:non-scaling-stroke}\n",
	".tip rect{fill:transparent}.tip rect:hover{fill:var(--ink);"
	"fill-opacity:.12}\n",
	".v1{fill:var(--v1);background:var(--v1)}"
	".v2{fill:var(--v2);background:var(--v2)}"
	".v3{fill:var(--v3);background:var(--v3)}"
	".v4{fill:var(--v4);background:var(--v4)}"
	".v5{fill:var(--v5);background:var(--v5)}"
	".r1{fill:var(--r1);background:var(--r1)}"
	".r2{fill:var(--r2);background:var(--r2)}"
	".r3{fill:var(--r3);background:var(--r3)}"
	".r4{fill:var(--r4);background:var(--r4)}"
	".r5{fill:var(--r5);background:var(--r5)}"
	".r6{fill:var(--r6);background:var(--r6)}\n",
	".lines path:not(.grid){fill:none;stroke-width:3;"
	"vector-effect:non-scaling-stroke;stroke-linejoin:round;"
	"stroke-linecap:round}"
	".w1{stroke:var(--v2);background:var(--v2)}"
	".w2{stroke:var(--v5);background:var(--v5);stroke-dasharray:8 5}"
	".w3{stroke:var(--v1);background:var(--v1);stroke-dasharray:2 5}\n",
	"code{font-size:.9em;overflow-wrap:anywhere}footer{font-size:.9rem}\n",
	/* A table goes on over the page; a chart, a row and a note don't, and a
	 * heading stays with what follows. Folded numbers can't be unfolded. */
	"@media print{@page{margin:12mm}:root{--bg:#fff;--card:#fff;--line:#999;"
	"--ink:#000;--soft:#333;--link:#000}body{font-size:10pt}"
	"header,main,footer{padding:0}nav,.skip,details:not([open]),"
	"details[open]>summary{display:none}.cards{display:block}"
	"section{border-color:#999;margin-bottom:1rem}"
	"figure,tr,.tiles div,.notes li{break-inside:avoid}"
	"h2,h3,h2+p,caption,thead{break-after:avoid}.plot{margin-top:.8rem}"
	"svg,.legend i,.tiles div{print-color-adjust:exact;"
	"-webkit-print-color-adjust:exact}.scroll{overflow:visible}"
	"table{font-size:8pt}th,td{padding:.1rem .25rem}"
	"tbody th{min-width:0}td.b{min-width:1.5rem;width:10%}"
	"td.l{min-width:4rem}}\n",
	NULL,
};
