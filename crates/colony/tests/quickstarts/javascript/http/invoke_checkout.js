// Service invocation: sends orders to the processor by its application's id.

const { untilAnswered, wanted } = require("./web");

async function main(processor) {
  for (let orderId = 1; orderId <= 10; orderId += 1) {
    wanted(await untilAnswered("POST", "/orders", { orderId }, { "dapr-app-id": processor }), 200);
    console.log(`Order passed: ${JSON.stringify({ orderId })}`);
  }
}

main(process.argv[2]);
