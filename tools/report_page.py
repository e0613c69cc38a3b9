"""Opens the web page of `compat report --html` in Chromium: pictures to look at, and whether sorting works.

    compat report --html page.html redis-server sqlite3
    python -m tools.report_page page.html pictures/

Debian: apt install chromium. The tests read the page without a browser (tests/unit/report/).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

CHROMIUM = (
    "chromium",
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--virtual-time-budget=2000",
)
# Name of the picture: more options.
VIEWS = {
    "wide": ["--window-size=1400,1800"],
    "narrow": ["--window-size=500,1800"],
    "dark": ["--window-size=1400,1800", "--blink-settings=preferredColorScheme=0"],
    "no-scripts": ["--window-size=1400,1800", "--blink-settings=scriptEnabled=false"],
}
# Sorts every table by each column, twice, and writes what it finds into the page's title.
PROBE = """<script>
const problems = [];
for (const table of document.querySelectorAll("table.sortable")) {
  const rows = table.tBodies[0].rows.length;
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    for (const order of ["ascending", "descending"]) {
      head.querySelector("button").click();
      const texts = [...table.tBodies[0].rows].map((row) => row.cells[column].innerText.trim());
      const sign = order === "ascending" ? 1 : -1;
      const compare = (a, b) => sign * a.localeCompare(b, "en", { numeric: true });
      const sorted = texts.every((text, at) => at === 0 || compare(texts[at - 1], text) <= 0);
      if (!sorted || texts.length !== rows || head.getAttribute("aria-sort") !== order) {
        problems.push(`${head.innerText} ${order}`);
      }
    }
  });
}
const wide = document.documentElement.scrollWidth > innerWidth + 1;
if (wide) problems.push("the page is wider than the window");
document.title = "PROBE " + (problems.join("; ") || "fine");
</script></body>"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("pictures", type=Path)
    options = parser.parse_args()
    options.pictures.mkdir(parents=True, exist_ok=True)
    for name, extra in VIEWS.items():
        picture = options.pictures / f"{name}.png"
        _run(*extra, f"--screenshot={picture.absolute()}", options.page.absolute().as_uri())
        print(picture)
    probe = options.pictures / "probe.html"
    probe.write_text(options.page.read_text(encoding="utf-8").replace("</body>", PROBE), encoding="utf-8")
    dumped = _run("--dump-dom", "--window-size=500,900", probe.absolute().as_uri())
    probe.unlink()
    found = re.search(r"<title>PROBE (.*?)</title>", dumped)
    print(found[1] if found else "the probe did not run")
    return 0 if found and found[1] == "fine" else 1


def _run(*options: str) -> str:
    return subprocess.run([*CHROMIUM, *options], check=True, capture_output=True, text=True, timeout=120).stdout


if __name__ == "__main__":
    sys.exit(main())
