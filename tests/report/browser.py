"""A page in a real browser, where one is installed: does it fit, do its labels overlap?

The page stands in a frame of the width asked for, as windows have a least width of their own.
"""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
_MEASURE = r"""<script>addEventListener('load', () => {
document.querySelectorAll('details').forEach(d => { d.open = true; });
const width = document.documentElement.clientWidth, wide = [], over = [];
for (const e of document.querySelectorAll('body *')) {
  const r = e.getBoundingClientRect();
  if (r.width && (r.right > width + 1 || r.left < -1))
    wide.push(`${e.tagName} to ${Math.round(r.right)}: ${e.textContent.slice(0, 40)}`);
}
for (const svg of document.querySelectorAll('svg')) {
  const all = [...svg.querySelectorAll('text')];
  const texts = all.map(t => [t.textContent, t.getBoundingClientRect()]);
  for (let i = 0; i < all.length; i++) for (let j = i + 1; j < all.length; j++) {
    const [a, b] = [texts[i][1], texts[j][1]];
    const w = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const h = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (a.width && b.width && w > 1.5 && h > 3)
      over.push(`${svg.getAttribute('aria-label')}: ${texts[i][0]} | ${texts[j][0]}`);
  }
}
parent.postMessage({ width, scroll: document.documentElement.scrollWidth, wide, over }, '*');
});</script></body>"""
_OUTER = """<!doctype html><body style="margin:0"><iframe src="{page}" width="{width}" height="900"
style="border:0"></iframe><script>addEventListener('message', e => {{
const p = document.createElement('pre'); p.id = 'measured'; p.textContent = JSON.stringify(e.data);
document.body.append(p); }});</script></body>"""


def measure(page: str, width: int, folder: Path) -> dict[str, Any]:
    """Return {width, scroll, wide, over}: what is too wide, which labels of a drawing overlap."""
    (folder / "inner.html").write_text(page.replace("</body>", _MEASURE), encoding="utf-8")
    outer = folder / "outer.html"
    outer.write_text(_OUTER.format(page="inner.html", width=width), encoding="utf-8")
    words = [str(CHROMIUM), *_FLAGS, f"--window-size={max(width, 600)},900"]
    words += ["--timeout=15000", "--dump-dom", outer.as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    found = re.search(r'<pre id="measured">(.*?)</pre>', done.stdout, re.S)
    assert found, done.stderr[-300:]
    told: dict[str, Any] = json.loads(html.unescape(found[1]))
    return told
