"""The outermost JSON of a request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from cds_service.hooks.envelope import read_envelope, read_object, read_value
from cds_service.hooks.errors import BadRequest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.sampled_from(["hook", "context", "prefetch", "own", "é", 'q"u\\o']) | st.text(), JSON)


def test_JSON_08_members_are_kept_as_they_were_sent() -> None:
    envelope = read_envelope(
        b' {"hook" : "patient-view", "own":{"a":1.50} , "prefetch":{ "k" : {"id":"1"} , "n":null} } '
    )
    assert {name: bytes(raw) for name, raw in envelope.fields.items()} == {
        "hook": b'"patient-view"',
        "own": b'{"a":1.50}',
    }
    assert envelope.prefetch is not None
    assert {key: bytes(raw) for key, raw in envelope.prefetch.items()} == {"k": b'{"id":"1"}', "n": b"null"}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "found nothing"),
        (b"nonsense", "expected JSON"),
        (b"[]", "expected a JSON object"),
        (b"null", "expected a JSON object"),
        (b'"text"', "expected a JSON object"),
        (b'{"hook":"patient-view"} trailing', "expected JSON"),
        (b'{"hook":"patient-view",}', "expected JSON"),
        (b'{"hook":"patient-view" /* a comment */}', "expected JSON"),
        (b"{'hook':'patient-view'}", "expected JSON"),
        (b'{"hook":"patient-', "expected JSON"),
        (b'{"hook":NaN}', "expected JSON"),
        (b'{"prefetch":{"k":{"value":NaN}}}', "expected JSON"),
        (b'{"prefetch":{"k":{"value":-Infinity}}}', "expected JSON"),
        (b'{"prefetch":{"k":{"value":01}}}', "expected JSON"),
        (b'\xef\xbb\xbf{"hook":"patient-view"}', "byte order mark"),
        ('{"hook":"patient-view"}'.encode("utf-16"), "UTF-8"),
        (b'{"hook":"\xff"}', "UTF-8"),
        (b'{"prefetch":{"k":{"id":"\xc3"}}}', "UTF-8"),
        (b'{"context":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested"),
        (b'{"prefetch":{"k":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}}", "nested"),
        (b'{"prefetch":[]}', "prefetch: expected a JSON object"),
    ],
)
def test_JSON_06_JSON_08_what_is_no_json_object_in_utf_8_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(BadRequest, match=says) as refused:
        read_envelope(body)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"hook":1,"hook":1}',
        b'{"hook":1,"hook":2}',
        b'{"hook":12,"hook":1}',
        b'{"own":1,"own":1}',
        b'{"own":{"a":[1]},"hook":2,"own":{"a":[1]}}',
        b'{"prefetch":{"k":1},"prefetch":{"k":1}}',
        b'{"prefetch":{"k":1},"prefetch":null}',
        b'{"prefetch":[1],"prefetch":{"k":1}}',
        b'{"prefetch":{"k":1,"k":1}}',
        b'{"own":1,"prefetch":{"k":{"a":1},"l":2,"k":{"a":2}}}',
        b'{"h\\u006fok":1,"hook":1}',
    ],
)
def test_JSON_08_a_key_that_stands_twice_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest, match="expected each key once"):
        read_envelope(body)


def test_JSON_08_a_key_twice_inside_a_resource_is_left_to_the_resource() -> None:
    envelope = read_envelope(b'{"prefetch":{"k":{"id":"1","id":"2"}}}')
    assert envelope.prefetch is not None


@given(OBJECTS)
def test_JSON_08_every_object_without_repeated_keys_is_read_whole(members: dict[str, Any]) -> None:
    body = json.dumps(members, ensure_ascii=False).encode()
    found = {name: json.loads(bytes(raw)) for name, raw in read_object(body, "body").items()}
    assert found == members


@given(OBJECTS.filter(bool), st.data())
def test_JSON_08_any_object_with_a_repeated_key_is_refused(members: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(members)))
    parts = [f"{json.dumps(key)}:{json.dumps(value)}" for key, value in members.items()]
    again = f"{json.dumps(name)}:{json.dumps(data.draw(JSON))}"
    parts.insert(data.draw(st.integers(0, len(parts))), again)
    with pytest.raises(BadRequest, match="expected each key once"):
        read_object(("{" + " , ".join(parts) + "}").encode(), "body")


@pytest.mark.parametrize(
    ("field", "text", "says"),
    [
        ("extension", b'{"a":1,"a":1}', "extension: expected each key once, found another twice."),
        ("extension", b'{"id":[{"code":1,"code":2}]}', "extension.id[0]: expected each key once, found code twice."),
        ("extension", b'{"Jane":{"id":{"id":1,"id":2}}}', "extension: expected each key once, found id twice."),
        ("context.selections", b'[1,{"id":1,"id":2}]', "context.selections[1]: expected each key once, found id"),
        ("context.Jane", b'{"Doe":1,"Doe":1}', "context: expected each key once, found another twice."),
        ("Jane", b'{"Doe":1,"Doe":1}', "body: expected each key once, found another twice."),
        ("extension", b'{"a":{"b":{"x":1,"x":2}},"a":1}', "extension: expected each key once, found another twice."),
    ],
)
def test_JSON_08_a_key_twice_at_any_level_of_a_value_is_refused_at_its_place(
    field: str, text: bytes, says: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        read_value(Raw(text), field)
    assert str(refused.value).startswith(says)
    assert refused.value.issues[0].field == says.partition(": ")[0]


def test_ERR_03_only_names_that_are_defined_are_repeated() -> None:
    for body, found in ((b'{"hook":1,"hook":2}', "hook"), (b'{"Jane":1,"Jane":2}', "another")):
        with pytest.raises(BadRequest, match=f"found {found} twice"):
            read_envelope(body)
    for key, found in (("patient", "patient"), ("glucose", "glucose"), ("Jane", "another")):
        with pytest.raises(BadRequest, match=f"prefetch: expected each key once, found {found} twice"):
            read_envelope(f'{{"prefetch":{{"{key}":1,"{key}":2}}}}'.encode(), {"patient", "glucose"})
