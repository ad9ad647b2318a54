"""On which line does a key of a TOML document stand?

`tomllib` forgets lines, and a refusal without one sends people searching. `key_lines` walks over a text that `tomllib`
has already accepted, so it need not judge anything: it reads headers and keys, and skips values. Keys inside inline
tables are not listed; `line_of` then answers with the nearest thing around them that has a line.
"""

import tomllib

KeyPath = tuple[str | int, ...]
"""("node", 1, "address") is the key `address` of the second [[node]]."""


def line_of(path: KeyPath, lines: dict[KeyPath, int]) -> int | None:
    """The line of `path`, or of what encloses it; None if nothing around it has one."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)


def key_lines(text: str) -> dict[KeyPath, int]:
    """Every key and header of valid TOML with the line it stands on, from 1."""
    return _Walk(text).lines


class _Walk:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.table: KeyPath = ()  # the table that the keys below the last header belong to
        self.arrays: dict[KeyPath, int] = {}  # array of tables -> how many tables it has so far
        self.lines: dict[KeyPath, int] = {}
        self._skip_blank("\r\n")
        while self.at < len(text):
            if text[self.at] == "[":
                self._header()
            else:
                self._assignment()
            self._skip_blank("\r\n")

    def _header(self) -> None:
        line = self._line()
        is_array = self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        *around, last = self._key()
        path = (*self._resolve(around), last)
        if is_array:
            self.lines.setdefault(path, line)
            index = self.arrays.get(path, 0)
            self.arrays[path] = index + 1
            path = (*path, index)
        self.at += 2 if is_array else 1
        self.table = path
        self.lines.setdefault(path, line)

    def _assignment(self) -> None:
        line = self._line()
        parts = self._key()
        for count in range(1, len(parts) + 1):
            self.lines.setdefault((*self.table, *parts[:count]), line)
        self.at += 1  # the equals sign
        self._skip_value()

    def _resolve(self, parts: list[str]) -> KeyPath:
        """A header below an array of tables means the array's last table."""
        path: KeyPath = ()
        for part in parts:
            path = (*path, part)
            if path in self.arrays:
                path = (*path, self.arrays[path] - 1)
        return path

    def _key(self) -> list[str]:
        """Reads a dotted key and stops at what follows it: `=` or `]`."""
        parts: list[str] = []
        while True:
            self._skip_blank()
            start = self.at
            if self.text[start] in "\"'":
                self._skip_string()
                parts.append(str(tomllib.loads(f"key = {self.text[start : self.at]}")["key"]))
            else:
                while self.text[self.at] not in " \t.=]":
                    self.at += 1
                parts.append(self.text[start : self.at])
            self._skip_blank()
            if self.text[self.at] != ".":
                return parts
            self.at += 1

    def _skip_value(self) -> None:
        """Stops at the end of the line on which the value ends."""
        depth = 0
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == "\n" and depth == 0:
                return
            if char in "\"'":
                self._skip_string()
            elif char == "#":
                self._skip_comment()
            else:
                depth += (char in "[{") - (char in "]}")
                self.at += 1

    def _skip_string(self) -> None:
        quote = self.text[self.at]
        is_long = self.text.startswith(quote * 3, self.at)
        end = quote * 3 if is_long else quote
        self.at += len(end)
        while not self.text.startswith(end, self.at):
            self.at += 2 if quote == '"' and self.text[self.at] == "\\" else 1
        self.at += len(end)
        while is_long and self.text.startswith(quote, self.at):  # up to two quotes may stand before the closing three
            self.at += 1

    def _skip_blank(self, also: str = "") -> None:
        while self.at < len(self.text):
            if self.text[self.at] in " \t" + also:
                self.at += 1
            elif self.text[self.at] == "#" and also:
                self._skip_comment()
            else:
                return

    def _skip_comment(self) -> None:
        end = self.text.find("\n", self.at)
        self.at = len(self.text) if end < 0 else end

    def _line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1
