// Pub/sub: publishes orders.

const { ask, wanted } = require("./web");

async function main() {
  for (let orderId = 1; orderId <= 10; orderId += 1) {
    wanted(await ask("POST", "/v1.0/publish/orderpubsub/orders", { orderId }), 204);
    console.log(`Published data: ${JSON.stringify({ orderId })}`);
  }
}

main();
