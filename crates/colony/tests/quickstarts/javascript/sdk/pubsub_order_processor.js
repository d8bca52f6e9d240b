// Pub/sub: takes events over the protocol that is named.

const { CommunicationProtocolEnum, DaprServer } = require("@dapr/dapr");

async function main(protocol) {
  const server = new DaprServer({
    serverHost: "127.0.0.1",
    serverPort: process.env.APP_PORT,
    communicationProtocol: CommunicationProtocolEnum[protocol],
  });
  await server.pubsub.subscribe("orderpubsub", "orders", async (order) => {
    console.log(`Subscriber received : ${order.orderId}`);
  });
  await server.start();
}

main(process.argv[2]);
