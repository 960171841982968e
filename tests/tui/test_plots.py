"""Plots: columns that stand still, gaps that stay gaps, and no drawing without need."""

from __future__ import annotations

import sys
from math import isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult

from backend.history import Series
from tui.plots import HistoryPlot, columns_of


def series(values, per_point=10.0, now=100_000.0) -> Series:
    return Series(values, per_point, now, now)


class Plots(App[None]):
    CSS = """
    HistoryPlot { height: 12; width: 60; }
    #tiny { height: 1; width: 30; }
    .plot--line { color: green; }
    .plot--axis { color: gray; }
    """

    def compose(self) -> ComposeResult:
        yield HistoryPlot("Processor", id="a")
        yield HistoryPlot("Graphics", id="b")
        yield HistoryPlot("Tiny", id="tiny")


def text_of(plot: HistoryPlot) -> list[str]:
    return [plot.render_line(y).text for y in range(plot.size.height)]


async def drawn(app: Plots, pilot) -> None:
    await pilot.pause()
    await app.workers.wait_for_complete()
    await pilot.pause()


def test_a_picture_moves_by_whole_columns_and_keeps_its_shape():
    values = [float(n % 37) for n in range(361)]
    step = 3600 / 90
    before, _ = columns_of(series(values, now=100_000), 90)
    within, _ = columns_of(series(values, now=100_000)._replace(now=100_000 + 1), 90)
    assert before == within
    later = [*values[4:], 1.0, 2.0, 3.0, 4.0]
    after, _ = columns_of(series(later, now=100_000 + step), 90)
    assert after[10:60] == before[11:61]


def test_the_axis_is_as_short_as_what_is_known():
    assert columns_of(series([1.0] * 20), 50)[1] == 300
    assert columns_of(series([1.0] * 60), 50)[1] == 900
    assert columns_of(series([1.0] * 361), 50)[1] == 3600


def test_gaps_stay_gaps_and_uneven_columns_do_not_tear():
    values = [50.0] * 100 + [nan] * 60 + [50.0] * 200
    columns, _ = columns_of(series(values), 100)
    holes = [index for index, value in enumerate(columns) if isnan(value)]
    assert len(holes) > 10
    assert holes == list(range(holes[0], holes[-1] + 1))
    smooth, _ = columns_of(series([50.0] * 361), 107)
    assert not any(map(isnan, smooth))


@given(
    st.lists(st.floats(0, 100) | st.just(nan), max_size=400),
    st.integers(1, 700),
    st.sampled_from([2.0, 10.0, 40.0]),
    st.floats(0, 5000),
)
def test_any_series_fits_any_width(values, dots, per_point, late):
    columns, span = columns_of(Series(values, per_point, 9000.0, 9000.0 + late), dots)
    assert 1 <= len(columns) <= dots
    assert span in (300, 900, 3600)
    assert all(isnan(value) or 0 <= value <= 100 for value in columns)


async def test_plots_of_one_screen_do_not_disturb_each_other():
    app = Plots()
    async with app.run_test(size=(80, 30)) as pilot:
        a, b = app.query_one("#a", HistoryPlot), app.query_one("#b", HistoryPlot)
        a.show(series([90.0] * 361))
        b.show(series([3.0] * 31), top=10.0, form=lambda value: f"{value:.0f} W")
        await drawn(app, pilot)
        first, second = text_of(a), text_of(b)
        assert "Processor" in first[0] and "90 %" in first[0]
        assert "-60 m" in first[-1] and "now" in first[-1]
        assert any("100┤" in line for line in first)
        assert "3 W" in second[0] and "10 W" in second[1]
        assert "-5 m" in second[-1] or "-15 m" in second[-1]
        full = [line for line in first if "⣿" in line]
        low = [line for line in second if "⣿" in line]
        assert len(full) > len(low) > 0


async def test_a_plot_that_comes_back_shows_all_that_is_known():
    async with Plots().run_test(size=(80, 40)) as pilot:
        app = pilot.app
        plot = app.query_one("#a", HistoryPlot)
        plot.show(series([50.0] * 361))
        await drawn(app, pilot)
        before = text_of(plot)
        plot.display = False
        await pilot.pause()
        plot.show(series([50.0] * 361))  # while it has no place on the screen
        plot.display = True
        await drawn(app, pilot)
        assert text_of(plot) == before


async def test_too_small_for_a_plot_is_a_sparkline():
    app = Plots()
    async with app.run_test(size=(80, 30)) as pilot:
        tiny = app.query_one("#tiny", HistoryPlot)
        tiny.show(series([0.0] * 180 + [99.0] * 181))
        await drawn(app, pilot)
        (line,) = text_of(tiny)
        assert line.startswith("Tiny") and "▁" in line and "█" in line and "99 %" in line


async def test_without_data_it_says_so():
    app = Plots()
    async with app.run_test(size=(80, 30)) as pilot:
        await drawn(app, pilot)
        assert "no data yet" in text_of(app.query_one("#a", HistoryPlot))[1]


async def test_the_same_data_is_not_drawn_again(monkeypatch):
    app = Plots()
    draws = []
    draw = HistoryPlot._draw
    monkeypatch.setattr(HistoryPlot, "_draw", lambda self: draws.append(self.id) or draw(self))
    async with app.run_test(size=(80, 30)) as pilot:
        a = app.query_one("#a", HistoryPlot)
        a.show(series([1.0] * 361))
        await drawn(app, pilot)
        draws.clear()
        for late in range(5):
            a.show(series([1.0] * 361)._replace(now=100_000.0 + late))
            await pilot.pause()
        assert draws == []
        newest = [1.0] * 360 + [9.0]
        a.show(series(newest))
        await pilot.pause()
        assert draws == []
        assert "9 %" in text_of(a)[0]
        a.show(series([2.0] * 361))
        await pilot.pause()
        assert draws == ["a"]


@pytest.mark.parametrize("theme", ["textual-light", "nord", "ansi-dark"])
async def test_another_theme_is_another_colour_of_the_same_picture(theme):
    app = Plots()
    async with app.run_test(size=(80, 30)) as pilot:
        a = app.query_one("#a", HistoryPlot)
        a.show(series([50.0] * 361))
        await drawn(app, pilot)
        before = text_of(a)
        app.theme = theme
        await drawn(app, pilot)
        assert text_of(a) == before


def test_the_plotting_library_is_not_part_of_the_first_frame():
    import subprocess

    code = "import sys, tui.detail; sys.exit('plotext' in sys.modules or 'textual_plotext' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
