"""README.md as the tests read it: the text, and its table of transactions."""

from tests.house.modules import ROOT

PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
TABLE = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.partition("| transaction |")[2].split("\n\n")[0].split("\n")
    if line.startswith("|")
]
"""Each row: transactions, as server, as client, judged by; the first is the rule below the head."""
