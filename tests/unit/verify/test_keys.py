"""Lists of keys, given as values: also what the encoding could not even say."""

from dataclasses import replace

import pytest

from tests.builders import STRANGER, Pair, key, named
from uptane.errors import Check, Rejected
from uptane.model.ids import KeyId, RoleName
from uptane.model.metadata import Delegations
from uptane.model.signed import THRESHOLD_MAX
from uptane.verify.keys import check_delegation_keys, check_key_ids, check_keys

A, B = named(key("a")), named(key("b"))
CHECK = Check.ROOT_KEYS


@pytest.mark.parametrize("threshold", [1, 2])
def test_a_role_may_need_some_or_all_of_its_keys(threshold: int) -> None:
    check_key_ids([A, B], [A.key_id, B.key_id], threshold, check=CHECK)


@pytest.mark.parametrize("threshold", [-1, 0, 3, THRESHOLD_MAX])
def test_a_role_may_need_neither_none_nor_more_than_its_keys(threshold: int) -> None:
    with pytest.raises(Rejected, match=CHECK.name):
        check_key_ids([A, B], [A.key_id, B.key_id], threshold, check=CHECK)


def test_a_role_names_keys_of_its_list_once() -> None:
    check_key_ids([A, B], [A.key_id], 1, check=CHECK)
    for ids in ([A.key_id, A.key_id], [A.key_id, named(STRANGER).key_id], []):
        with pytest.raises(Rejected, match=CHECK.name):
            check_key_ids([A, B], ids, 1, check=CHECK)


def test_a_list_has_each_key_and_each_id_once() -> None:
    check_keys([A, B], CHECK)
    check_keys([], CHECK)
    for doubled in (replace(A, key_id=KeyId(b"another!")), replace(B, key_id=A.key_id), A):
        with pytest.raises(Rejected, match=CHECK.name):
            check_keys([A, doubled], CHECK)


def test_delegations_need_as_many_roles_to_agree_as_there_are_at_most_and_one_at_least() -> None:
    delegations = Pair().image.delegations(RoleName("targets"))
    assert delegations is not None
    check_delegation_keys(delegations)
    check_delegation_keys(None)
    two_roles = delegations.delegations[1]
    for min_agree, good in ((0, False), (1, True), (2, True), (3, False)):
        changed = Delegations(delegations.keys, (replace(two_roles, min_agree=min_agree),))
        if good:
            check_delegation_keys(changed)
            continue
        with pytest.raises(Rejected, match=Check.DELEGATION_KEYS.name):
            check_delegation_keys(changed)
