"""`python -m deploy.grafana` writes the dashboards anew, in each language."""

from __future__ import annotations

from pathlib import Path

from contracts.texts import LANGUAGES
from deploy.grafana.drawing import draw
from deploy.grafana.line import LINE
from deploy.grafana.plant import ASSET, CAMERAS, OVERVIEW

FOLDER = Path(__file__).parent / "dashboards"
BOARDS = (OVERVIEW, ASSET, CAMERAS, LINE)


def files() -> dict[Path, str]:
    """Each file of dashboards/ and what it holds."""
    return {
        Path(lang) / f"{board.id}.json": draw(board, lang) for lang in LANGUAGES for board in BOARDS
    }


def main() -> None:
    for file, text in files().items():
        path = FOLDER / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
