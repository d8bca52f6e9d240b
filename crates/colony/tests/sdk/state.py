"""State and metadata through Dapr's SDK, as a program uses it. Exits 0 if all is as it should be."""

import grpc
from dapr.clients import DaprClient
from dapr.clients.grpc._request import TransactionalStateOperation, TransactionOperationType
from dapr.clients.grpc._state import Concurrency, Consistency, StateItem, StateOptions

STORE = "statestore"


def refused(call, code):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, (error.code(), error.details())
        return error
    raise AssertionError(f"not refused with {code}")


with DaprClient() as client:
    assert client.get_state(STORE, "cart").data == b""

    client.save_state(STORE, "cart", "1 apple")
    cart = client.get_state(STORE, "cart")
    assert cart.data == b"1 apple" and cart.etag

    client.save_state(STORE, "cart", "2 apples", etag=cart.etag)
    refused(lambda: client.save_state(STORE, "cart", "3 apples", etag=cart.etag), grpc.StatusCode.ABORTED)
    insert = StateOptions(concurrency=Concurrency.first_write, consistency=Consistency.strong)
    refused(lambda: client.save_state(STORE, "cart", "4 apples", options=insert), grpc.StatusCode.ABORTED)
    assert client.get_state(STORE, "cart").data == b"2 apples"

    client.save_bulk_state(
        STORE, [StateItem("a", "1"), StateItem("b", "2", metadata={"ttlInSeconds": "100"})]
    )
    items = client.get_bulk_state(STORE, ["a", "b", "none"]).items
    assert [(item.key, item.data) for item in items] == [("a", b"1"), ("b", b"2"), ("none", b"")]

    client.execute_state_transaction(
        STORE,
        [
            TransactionalStateOperation(
                operation_type=TransactionOperationType.upsert, key="c", data="3"
            ),
            TransactionalStateOperation(
                operation_type=TransactionOperationType.delete, key="a", data=""
            ),
        ],
    )
    assert client.get_state(STORE, "a").data == b"" and client.get_state(STORE, "c").data == b"3"

    refused(lambda: client.delete_state(STORE, "cart", etag=cart.etag), grpc.StatusCode.ABORTED)
    client.delete_state(STORE, "cart")
    assert client.get_state(STORE, "cart").data == b""

    refused(lambda: client.save_state(STORE, "a||b", "x"), grpc.StatusCode.INVALID_ARGUMENT)

    client.set_metadata("note", "mine")
    told = client.get_metadata()
    assert told.application_id == "shop" and told.extended_metadata["note"] == "mine"

    client.shutdown()
