// State: saves, gets and deletes orders.

const assert = require("node:assert");
const { DaprClient } = require("@dapr/dapr");

const STORE = "statestore";

async function main() {
  const client = new DaprClient();
  for (let orderId = 1; orderId <= 10; orderId += 1) {
    const key = `sdk-${orderId}`;
    assert.ifError((await client.state.save(STORE, [{ key, value: { orderId } }])).error);
    console.log(`Saving Order: ${JSON.stringify({ orderId })}`);
    const got = await client.state.get(STORE, key);
    assert.deepStrictEqual(got, { orderId });
    console.log(`Getting Order: ${JSON.stringify(got)}`);
    assert.ifError((await client.state.delete(STORE, key)).error);
    assert.strictEqual(await client.state.get(STORE, key), "");
    console.log(`Deleted Order: ${JSON.stringify({ orderId })}`);
  }
}

main();
