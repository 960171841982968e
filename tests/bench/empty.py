"""The least a Textual app can be that shows a table: the floor for a first frame."""

from textual.app import App, ComposeResult
from textual.widgets import DataTable


class Empty(App[None]):
    """100 rows of text."""

    def compose(self) -> ComposeResult:
        yield DataTable[str]()

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        table.add_columns("name", "state", "cpu", "memory", "image")
        table.add_rows([f"row-{n:03d}", "running", "1 %", "2 G", "image:latest"] for n in range(100))


if __name__ == "__main__":
    Empty().run()
