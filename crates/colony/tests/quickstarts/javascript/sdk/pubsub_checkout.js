// Pub/sub: publishes orders.

const assert = require("node:assert");
const { DaprClient } = require("@dapr/dapr");

async function main() {
  const client = new DaprClient();
  for (let orderId = 1; orderId <= 10; orderId += 1) {
    const { error } = await client.pubsub.publish("orderpubsub", "orders", { orderId });
    assert.ifError(error);
    console.log(`Published data: ${JSON.stringify({ orderId })}`);
  }
}

main();
