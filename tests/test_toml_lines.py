"""Lines are found by a walk of our own, so it is held against `tomllib` on everything that could derail it."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from barnabas.cluster.toml_lines import KeyPath, key_lines, line_of

AWKWARD = """\
# [not.a.header]
top = 1  # key = 2

[a."b.c".'d']   # a quoted header
x = "[[node]] \\" # not a comment"
long = \"\"\"
y = 1
[z]\\
\"\"\"\"
plain = '''
'z = 2''''
list = [
  "]", # ]
  { q = 1 },
]
dotted.key . here = 3

[[ node ]]
id = 1
[node.inner]
deep = 1
[[node]]
id = 2
[[node.port]]
n = 1
[[node.port]]
n = 2
"""


def paths(value: object, path: KeyPath = ()) -> set[KeyPath]:
    """Every path in a document, save what is inside of inline tables and arrays of values."""
    found = {path} if path else set()
    if isinstance(value, dict):
        for key, inner in value.items():
            found |= paths(inner, (*path, key))
    elif isinstance(value, list) and path[-1] != "list":
        for index, inner in enumerate(value):
            found |= paths(inner, (*path, index))
    return found


def test_every_key_of_an_awkward_document_is_found_on_its_line() -> None:
    lines = key_lines(AWKWARD)
    text = AWKWARD.splitlines()
    implied = {("a",), ("a", "b.c")}  # tables that no header names
    assert set(lines) == paths(tomllib.loads(AWKWARD)) - implied
    for path, line in lines.items():
        names = [part for part in path if isinstance(part, str)]
        assert names[-1] in text[line - 1], (path, line)
    assert lines["a", "b.c", "d", "plain"] == 10
    assert lines["a", "b.c", "d", "list"] == 12
    assert (lines["node", 0, "id"], lines["node", 1, "id"], lines["node", 1, "port", 1, "n"]) == (19, 23, 27)


def test_what_has_no_line_of_its_own_has_that_of_what_encloses_it() -> None:
    lines = key_lines(AWKWARD)
    assert line_of(("a", "b.c", "d", "list", 1, "q"), lines) == 12
    assert line_of(("node", 1, "missing"), lines) == 22
    assert line_of(("nothing",), lines) is None


@given(
    st.lists(
        st.one_of(
            st.text(alphabet="ab\"'\\#[]{}=\n ", max_size=8),
            st.integers(),
            st.booleans(),
            st.lists(st.text(alphabet="]\"'#\n", max_size=4), max_size=3),
        ),
        max_size=8,
    )
)
def test_no_value_hides_the_keys_after_it(values: list[object]) -> None:
    text = "".join(f"# {index}\nkey{index} = {_toml(value)}\n" for index, value in enumerate(values))
    assert list(tomllib.loads(text).values()) == values
    assert key_lines(text) == {(f"key{index}",): 2 * index + 2 for index in range(len(values))}


def _toml(value: object) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value).lower()
