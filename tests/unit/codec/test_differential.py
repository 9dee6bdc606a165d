"""Every type of the schema, every drawn value: asn1tools and pycrate write the very octets that we write."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.codec import strategies as draw
from tests.unit.codec.oracles import as_tree, asn1tools_codec, pycrate_module
from uptane.codec.oer import Oer
from uptane.codec.oer_types import codings, decode, encode
from uptane.codec.schema_table import TYPES

pytestmark = pytest.mark.peer

CODINGS = codings()
OER = Oer()


@pytest.mark.parametrize("name", TYPES)
@settings(max_examples=40)
@given(data=st.data())
def test_both_oracles_write_what_we_write_and_read_it_back(name: str, data: st.DataObject) -> None:
    row = data.draw(draw.rows(TYPES[name]))
    octets = encode(CODINGS[name], row)
    assert decode(CODINGS[name], octets) == row

    tree = as_tree(TYPES[name], row)
    assert asn1tools_codec().encode(name, tree, check_constraints=True) == octets
    assert asn1tools_codec().decode(name, octets, check_constraints=True) == tree

    other = getattr(pycrate_module(), name)
    tree = as_tree(TYPES[name], row, null=0)
    other.set_val(tree)
    assert other.to_coer() == octets
    other.from_coer(octets)
    assert other.get_val() == tree


@settings(max_examples=150)
@given(value=draw.payloads)
def test_what_we_make_of_a_value_both_oracles_read(value: Any) -> None:
    octets = OER.encode(value)
    row = decode(CODINGS["Payload"], octets)
    assert asn1tools_codec().decode("Payload", octets, check_constraints=True) == as_tree(TYPES["Payload"], row)
    pycrate_module().Payload.from_coer(octets)
    assert pycrate_module().Payload.get_val() == as_tree(TYPES["Payload"], row, null=0)


# What the schema may look like one day: two additions to Image, one more cipher.
NEWER = (
    (
        "releaseCounter  Counter,\n    ...\n}\n\nAssignment",
        "releaseCounter Counter, ..., a INTEGER (0..255) OPTIONAL, b OCTET STRING OPTIONAL }\nAssignment",
    ),
    ("Cipher ::= ENUMERATED { aes256gcm, ... }", "Cipher ::= ENUMERATED { aes256gcm, ..., other }"),
)


@pytest.mark.parametrize("added", [{"a": 7}, {"b": b"x"}, {"a": 7, "b": b"x" * 200}], ids="+".join)
@settings(max_examples=30)
@given(image=draw.images())
def test_an_image_of_a_newer_schema_is_read_and_kept_to_the_octet(added: dict[str, Any], image: Any) -> None:
    older = decode(CODINGS["Image"], image.octets)
    newer = asn1tools_codec(NEWER).encode("Image", as_tree(TYPES["Image"], older) | added)
    row = decode(CODINGS["Image"], newer)
    assert row[:-1] == older[:-1]
    assert encode(CODINGS["Image"], row) == newer


def test_an_unknown_enumeration_of_a_newer_schema_is_read_as_its_number() -> None:
    tree = {"length": 1, "sha256": bytes(32), "method": "other", "wrappedKey": b"k"}
    row = decode(CODINGS["Encrypted"], asn1tools_codec(NEWER).encode("Encrypted", tree))
    assert row == (1, bytes(32), 1, b"k", ())
