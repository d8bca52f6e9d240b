// Configuration: gets items, and is told of their changes until it has seen one of each. The SDK does that over gRPC only.

const { CommunicationProtocolEnum, DaprClient } = require("@dapr/dapr");

const STORE = "configstore";
const KEYS = ["orderId1", "orderId2"];

async function main() {
  const client = new DaprClient({ communicationProtocol: CommunicationProtocolEnum.GRPC });
  const { items } = await client.configuration.get(STORE, KEYS);
  for (const key of KEYS) console.log(`Configuration for ${key}: ${JSON.stringify(items[key])}`);
  const missing = new Set(KEYS);
  await new Promise((resolve) => {
    const told = async ({ items }) => {
      console.log(`Configuration update ${JSON.stringify(items)}`);
      for (const key of Object.keys(items)) missing.delete(key);
      if (missing.size === 0) resolve();
    };
    client.configuration.subscribeWithKeys(STORE, KEYS, told).then((stream) => {
      console.log("App subscribed to config changes");
      main.stream = stream;
    });
  });
  await main.stream.stop();
  console.log("App unsubscribed from config changes");
  process.exit(0);
}

main();
