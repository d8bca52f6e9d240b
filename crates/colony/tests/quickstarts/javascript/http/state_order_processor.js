// State: saves, gets and deletes orders.

const assert = require("node:assert");
const { ask, wanted } = require("./web");

const STORE = "/v1.0/state/statestore";

async function main() {
  for (let orderId = 1; orderId <= 10; orderId += 1) {
    const key = `http-${orderId}`;
    wanted(await ask("POST", STORE, [{ key, value: { orderId } }]), 204);
    console.log(`Saving Order: ${JSON.stringify({ orderId })}`);
    const got = wanted(await ask("GET", `${STORE}/${key}`), 200);
    assert.deepStrictEqual(JSON.parse(got), { orderId });
    console.log(`Getting Order: ${got}`);
    wanted(await ask("DELETE", `${STORE}/${key}`), 204);
    wanted(await ask("GET", `${STORE}/${key}`), 204);
    console.log(`Deleted Order: ${JSON.stringify({ orderId })}`);
  }
}

main();
