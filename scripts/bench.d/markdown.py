"""Tables that are Markdown and read well in a terminal too, and sections that are kept between marks."""

from pathlib import Path


def table(rows: list[list[str]]) -> str:
    """The first row is the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    header, *lines = [[cell.rjust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    rule = ["-" * (width - 1) + ":" for width in widths]
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, rule, *lines])


def keep(file: Path, name: str, text: str) -> None:
    """Puts a section where the last one of this name stood in the file, else at its end; what is around it stays."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    section = f"{begin}\n{text}\n{end}\n"
    old = file.read_text() if file.exists() else ""
    before, begun, rest = old.partition(begin)
    if not begun:
        file.write_text(f"{old.rstrip()}\n\n{section}".lstrip())
        return
    after = rest.partition(end)[2].removeprefix("\n")
    file.write_text(before + section + after)
